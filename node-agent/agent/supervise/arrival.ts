// The agent's first moments: until it knows what became of its instances while it was away, nothing that was not serving serves.
import type { AgentLimits } from "../../../core/converge/limits.ts";

export interface ArrivalPorts {
  readonly limits: AgentLimits;
  /** Since a heartbeat was last answered: a lease that did not end cannot have been given up. */
  readonly silentForMs: () => number;
  /** One of the answers below may have changed. */
  readonly changed: () => void;
}

/**
 * A node that returns may run, or be about to start, what was replaced elsewhere meanwhile (invariant 2). So it waits for
 * one answer: to act, until the first heartbeat was answered or failed; to let what it starts have traffic, until its
 * document is known to be the newest. A control plane that stays silent may not keep apps down (invariant 5): after
 * returnHoldMs no edge holds a route from before we went away any more, and the stored document counts.
 */
export class Arrival {
  readonly #ports: ArrivalPorts;
  #timers: NodeJS.Timeout[] = [];
  #acts = false;
  #current = false;
  #serves: boolean;

  constructor(ports: ArrivalPorts) {
    this.#ports = ports;
    this.#serves = true;
    this.hear();
  }

  /** Before an answer counts: how long there was none. An Engine that is away can make the time until `begin` a long one. */
  hear(): void {
    const { limits, silentForMs } = this.#ports;
    if (!this.#current && silentForMs() >= limits.leaseMs) this.#serves = false;
  }

  /** What runs here is known, and the control plane is asked: from now on its answer is waited for. */
  begin(): void {
    const { limits } = this.#ports;
    this.hear();
    this.#timers = [
      setTimeout(() => this.failed(), limits.firstAnswerMs),
      setTimeout(() => this.#serve(), limits.returnHoldMs),
    ];
  }

  /** Whether the document may be acted on. */
  get acts(): boolean {
    return this.#acts;
  }

  /** Whether what becomes ready in this run of the agent may have traffic. */
  get serves(): boolean {
    return this.#serves;
  }

  /** Whether the control plane's present word is known. */
  get current(): boolean {
    return this.#current;
  }

  /** The first heartbeat was not answered (in time): we go by what we have. */
  failed(): void {
    if (this.#acts) return;
    this.#acts = true;
    this.#ports.changed();
  }

  /** A heartbeat was answered: revision is the newest there is, ours the one we have. */
  answered(revision: number, ours: number): void {
    if (revision <= ours) this.accepted();
  }

  /** A document came from the control plane in this run, or the one we have is the newest. */
  accepted(): void {
    if (this.#current) return;
    this.#current = true;
    this.#acts = true;
    this.#serves = true;
    this.leave();
    this.#ports.changed();
  }

  leave(): void {
    for (const timer of this.#timers) clearTimeout(timer);
  }

  #serve(): void {
    this.#serves = true;
    this.#ports.changed();
  }
}
