// What an isolate remembers of a document: used at once, asked for again in the background when it is older than it may be.
import { within } from "../within.ts";

export interface Freshness {
  readonly freshMs: number;
  readonly nowMs: () => number;
}

interface Asking<Value> {
  readonly promise: Promise<Value>;
  readonly sinceMs: number;
}

/** How long the first askers wait. Later than that they go without, and whoever comes meanwhile does not wait at all. */
const PATIENCE_MS = 1_000;
/** A request that left may have taken its reading with it: it is begun anew. */
const ASKING_MS_MAX = 5_000;

export class Fresh<Value> {
  readonly #freshness: Freshness;
  #value: { readonly value: Value; atMs: number } | null = null;
  #asking: Asking<Value> | null = null;

  constructor(freshness: Freshness) {
    this.#freshness = freshness;
  }

  /** What is known, without waiting; null where nothing is. */
  get known(): Value | null {
    return this.#value?.value ?? null;
  }

  get isFresh(): boolean {
    return this.#value !== null && this.#freshness.nowMs() - this.#value.atMs < this.#freshness.freshMs;
  }

  /** What is known is used until there is another. Null: nothing is known, and it cannot be found out in time. */
  async get(ask: () => Promise<Value>, keepAlive: (work: Promise<unknown>) => void): Promise<Value | null> {
    if (this.isFresh) return this.known;
    const nowMs = this.#freshness.nowMs();
    let asking = this.#asking;
    if (asking === null || nowMs - asking.sinceMs >= ASKING_MS_MAX) {
      asking = this.#ask(ask);
      keepAlive(asking.promise.catch(() => null));
    }
    if (this.#value !== null) return this.#value.value;
    const patienceMs = PATIENCE_MS - (nowMs - asking.sinceMs);
    return patienceMs <= 0 ? null : within(patienceMs, asking.promise).catch(() => null);
  }

  /** Asks now. */
  renew(ask: () => Promise<Value>): Promise<Value> {
    return this.#ask(ask).promise;
  }

  #ask(ask: () => Promise<Value>): Asking<Value> {
    const promise = ask()
      .then((value) => {
        if (this.#asking === asking) this.#value = { value, atMs: this.#freshness.nowMs() };
        return value;
      })
      .catch((error: unknown) => {
        // Asked again when it is stale once more: not by every request until then.
        if (this.#asking === asking && this.#value !== null) this.#value.atMs = this.#freshness.nowMs();
        throw error;
      })
      .finally(() => {
        if (this.#asking === asking) this.#asking = null;
      });
    const asking: Asking<Value> = { promise, sinceMs: this.#freshness.nowMs() };
    this.#asking = asking;
    return asking;
  }
}
