// How one simulated node came back to a control plane that was away: when it was heard, when its poll was held, how often it was turned away.

/** Everything here is since the control plane answered again; requests sent before that are its absence, not its return. */
export interface Returned {
  /** The first heartbeat answered. null: not yet. */
  readonly heardAtMs: number | null;
  /** When the poll that is held now, or was answered first, was sent, or its socket was opened. null: none. */
  readonly pollSentAtMs: number | null;
  /** Answers that said no; requests without an answer. */
  readonly refused: number;
  readonly unanswered: number;
}

export class Homecoming {
  #sinceMs = Infinity;
  #heardAtMs: number | null = null;
  #pollSentAtMs: number | null = null;
  #openPollAtMs: number | null = null;
  #socketSinceMs: number | null = null;
  #refused = 0;
  #unanswered = 0;

  begin(sinceMs: number): void {
    this.#sinceMs = sinceMs;
    this.#heardAtMs = null;
    this.#pollSentAtMs = null;
    this.#refused = 0;
    this.#unanswered = 0;
  }

  beatAnswered(atMs: number): void {
    if (atMs >= this.#sinceMs) this.#heardAtMs ??= atMs;
  }

  pollSent(sentAtMs: number): void {
    this.#openPollAtMs = sentAtMs;
  }

  pollAnswered(sentAtMs: number): void {
    this.#openPollAtMs = null;
    if (sentAtMs >= this.#sinceMs) this.#pollSentAtMs ??= sentAtMs;
  }

  /** null: it has none any more. */
  socket(sinceMs: number | null): void {
    this.#socketSinceMs = sinceMs;
  }

  failed(sentAtMs: number, refused: boolean): void {
    if (sentAtMs === this.#openPollAtMs) this.#openPollAtMs = null;
    if (sentAtMs < this.#sinceMs) return;
    if (refused) this.#refused += 1;
    else this.#unanswered += 1;
  }

  read(): Returned {
    const openSince = this.#openPollAtMs !== null && this.#openPollAtMs >= this.#sinceMs ? this.#openPollAtMs : null;
    // A socket that is open now was opened after the absence, in which all ended.
    const socketSince = this.#socketSinceMs === null ? null : Math.max(this.#socketSinceMs, this.#sinceMs);
    const waiting = [this.#pollSentAtMs ?? openSince, socketSince].filter((atMs) => atMs !== null);
    return {
      heardAtMs: this.#heardAtMs,
      pollSentAtMs: waiting.length === 0 ? null : Math.min(...waiting),
      refused: this.#refused,
      unanswered: this.#unanswered,
    };
  }
}
