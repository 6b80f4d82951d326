// The poll loop: always one request waiting at the control plane for a newer document, unless wake-ups come over the socket.
import type { Logger } from "pino";
import { AGENT_PROTOCOL, PollResponse } from "../../../contracts/agent-protocol.ts";
import type { DesiredDocument } from "../../../contracts/desired.ts";
import type { AgentLimits } from "../../../core/converge/limits.ts";
import { type Control, Refused } from "./control.ts";
import { backoffMs, pause } from "./pause.ts";
import type { AgentSocket } from "./socket.ts";

export interface PollPorts {
  readonly control: Control;
  readonly socket: AgentSocket | null;
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
  /** Something newer is to be fetched over HTTP, although there is a socket. */
  #isWanted = false;
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
      if (this.#ports.revision() >= revision || this.#stop.signal.aborted) return;
      if (this.#ports.socket?.ask() === true) return;
      this.#isWanted = true;
      this.#current.abort();
    }, WAKE_GRACE_MS);
  }

  /** There is a socket now, or none any more: a waiting poll, or the waiting for a socket's end, is over. */
  turned(): void {
    this.#current.abort();
  }

  async #run(): Promise<void> {
    let failures = 0;
    while (!this.#stop.signal.aborted) {
      this.#current = new AbortController();
      if (this.#ports.socket?.isThere === true && !this.#isWanted) {
        failures = 0;
        await this.#standAside(this.#current.signal);
        continue;
      }
      this.#isWanted = false;
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

  /**
   * Until there is no socket any more, and then for a while: where sockets ended for all at once, most are back by then, and a poll of
   * each beside its next socket would be in vain. What is newer is named by heartbeats meanwhile, and fetched at once.
   */
  async #standAside(signal: AbortSignal): Promise<void> {
    if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
    if (this.#stop.signal.aborted || this.#isWanted) return;
    this.#current = new AbortController();
    const { pollAsideMs } = this.#ports.limits;
    await pause(backoffMs(1, pollAsideMs, 2 * pollAsideMs, null), this.#current.signal);
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
