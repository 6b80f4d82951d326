// The heartbeat: every beat, and at once on a change. Retried within its beat, never backed off; a late answer is taken too.
import type { Logger } from "pino";
import { type HeartbeatRequest, HeartbeatResponse } from "../../../contracts/agent-protocol.ts";
import type { AgentLimits } from "../../../core/converge/limits.ts";
import { type Control, Refused } from "./control.ts";
import { monotonicMs } from "./control-clock.ts";
import { inTime } from "./in-time.ts";

export interface HeartbeatPorts {
  readonly control: Control;
  readonly limits: AgentLimits;
  readonly log: Logger;
  /** What is so now. */
  readonly report: () => HeartbeatRequest;
  /** sentAtMs: monotonic, read before anything of it was sent: a lease is counted from there. */
  readonly acknowledged: (answer: HeartbeatResponse, reported: HeartbeatRequest, sentAtMs: number) => void;
  readonly failed: () => void;
}

/** Tries within one beat, so that a refused connection is not a busy loop. A refusal by name waits for the next beat. */
const TRIES_PER_BEAT = 4;

export class Heartbeat {
  readonly #ports: HeartbeatPorts;
  readonly #stop = new AbortController();
  #timer: NodeJS.Timeout | null = null;
  #dueAtMs = Infinity;
  #inFlight: Promise<void> | null = null;
  #changed = false;
  #failures = 0;
  /** When the newest heartbeat that was answered was sent. */
  #heardOfMs = 0;

  constructor(ports: HeartbeatPorts) {
    this.#ports = ports;
  }

  start(): void {
    this.#schedule(0);
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#inFlight;
  }

  /** Something that the control plane waits for changed: a heartbeat leaves within milliseconds. */
  change(): void {
    if (this.#inFlight !== null) this.#changed = true;
    else this.#schedule(this.#ports.limits.heartbeatCoalesceMs);
  }

  /** The earlier of what is scheduled and this. */
  #schedule(delayMs: number): void {
    const dueAtMs = performance.now() + delayMs;
    if (this.#stop.signal.aborted || this.#inFlight !== null || dueAtMs >= this.#dueAtMs) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#dueAtMs = dueAtMs;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#dueAtMs = Infinity;
      this.#inFlight = this.#beat().then((nextMs) => {
        this.#inFlight = null;
        this.#schedule(nextMs);
      });
    }, delayMs);
  }

  /** Milliseconds to the next one. */
  async #beat(): Promise<number> {
    const { control, limits, report, failed, log } = this.#ports;
    const startedAtMs = performance.now();
    const sentAtMs = monotonicMs();
    this.#changed = false;
    const body = report();
    const call = {
      ...({ lane: "heartbeat", method: "POST", path: "/agent/v1/heartbeat", body } as const),
      timeoutMs: limits.heartbeatGiveUpMs,
      signal: this.#stop.signal,
    };
    const answered = control.call(call, HeartbeatResponse).then((answer) => {
      if (answer !== null) this.#acknowledge(answer, body, sentAtMs);
    });
    try {
      await inTime(answered, limits.heartbeatTimeoutMs);
    } catch (error) {
      if (this.#stop.signal.aborted) return 0;
      this.#failures += 1;
      failed();
      if (this.#failures === 1 || this.#failures % 30 === 0) {
        log.warn({ error: String(error), failures: this.#failures }, "a heartbeat failed");
      }
      // Also where it came too late to a control plane that has too much to do: more tries would keep it that way.
      const refused = error instanceof Refused && (error.status < 500 || error.code === "overloaded");
      return refused ? limits.heartbeatMs : limits.heartbeatMs / TRIES_PER_BEAT;
    }
    if (this.#changed) return limits.heartbeatCoalesceMs;
    const jitterMs = (Math.random() * 2 - 1) * limits.heartbeatJitterMs;
    return Math.max(0, limits.heartbeatMs + jitterMs - (performance.now() - startedAtMs));
  }

  /** Also of one that came late: until a newer one is answered, it is the best there is. */
  #acknowledge(answer: HeartbeatResponse, reported: HeartbeatRequest, sentAtMs: number): void {
    if (sentAtMs < this.#heardOfMs || this.#stop.signal.aborted) return;
    this.#heardOfMs = sentAtMs;
    this.#failures = 0;
    this.#ports.acknowledged(answer, reported, sentAtMs);
  }
}
