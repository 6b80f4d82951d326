// The poll loop: always one request waiting at the control plane for a newer document.
import type { Logger } from "pino";
import { AGENT_PROTOCOL, PollResponse } from "../../../contracts/agent-protocol.ts";
import type { DesiredDocument } from "../../../contracts/desired.ts";
import type { AgentLimits } from "../../../core/converge/limits.ts";
import { type Control, Refused } from "./control.ts";
import { backoffMs, pause } from "./pause.ts";

export interface PollPorts {
  readonly control: Control;
  readonly limits: AgentLimits;
  readonly log: Logger;
  /** The newest revision on our disk. */
  readonly revision: () => number;
  /** Resolves once the document is stored (and so may be acknowledged). */
  readonly accept: (document: DesiredDocument) => Promise<void>;
}

/** The waiting poll's own answer is likely on its way: cutting it off at once would cost the round trip it saves. */
const WAKE_GRACE_MS = 40;
/** The poll that followed the news was lost too, if it has brought nothing by then: two beats, each of which names the revision. */
const HEARD_ANEW_MS = 4_000;

export class Poll {
  readonly #ports: PollPorts;
  readonly #stop = new AbortController();
  #current = new AbortController();
  #heardOf = -1;
  #heardAtMs = 0;
  #ended: Promise<void> | null = null;

  constructor(ports: PollPorts) {
    this.#ports = ports;
  }

  start(): void {
    this.#ended ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    this.#current.abort();
    await this.#ended;
  }

  /** Someone heard of a newer revision than ours: a poll that waits on the old one (or a backoff) has lost its wake-up. */
  knows(revision: number): void {
    const nowMs = performance.now();
    if (revision <= this.#ports.revision()) return;
    if (revision <= this.#heardOf && nowMs - this.#heardAtMs < HEARD_ANEW_MS) return;
    this.#heardOf = revision;
    this.#heardAtMs = nowMs;
    setTimeout(() => {
      if (this.#ports.revision() < revision) this.#current.abort();
    }, WAKE_GRACE_MS);
  }

  async #run(): Promise<void> {
    let failures = 0;
    while (!this.#stop.signal.aborted) {
      this.#current = new AbortController();
      try {
        await this.#once(this.#current.signal);
        failures = 0;
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        if (this.#current.signal.aborted) continue;
        failures += 1;
        await this.#backOff(error, failures);
      }
    }
  }

  async #once(signal: AbortSignal): Promise<void> {
    const { control, limits, revision, accept } = this.#ports;
    const answer = await control.call(
      {
        lane: "poll",
        method: "POST",
        path: "/agent/v1/poll",
        body: { protocol: AGENT_PROTOCOL, ackRevision: revision() },
        timeoutMs: limits.pollTimeoutMs,
        signal,
      },
      PollResponse,
    );
    if (answer !== null) await accept(answer.desired);
  }

  async #backOff(error: unknown, failures: number): Promise<void> {
    const { limits, log } = this.#ports;
    const retryAfterMs = error instanceof Refused ? error.retryAfterMs : null;
    const waitMs = backoffMs(failures, limits.pollBackoffMinMs, limits.pollBackoffMaxMs, retryAfterMs);
    log.warn({ error: String(error), failures, waitMs: Math.round(waitMs) }, "a poll failed");
    this.#current = new AbortController();
    await pause(waitMs, AbortSignal.any([this.#stop.signal, this.#current.signal]));
  }
}
