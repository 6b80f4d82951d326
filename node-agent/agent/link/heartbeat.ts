// The heartbeat: every beat, and at once on a change. Retried within its beat, never backed off; a late answer is taken too. It
// goes over the agent's socket while that is believed in, and over HTTP at all other times.
import type { Logger } from "pino";
import { type HeartbeatRequest, HeartbeatResponse } from "../../../contracts/agent-protocol.ts";
import type { AgentLimits } from "../../../core/converge/limits.ts";
import { HOST_CLOCKS, type Moment, momentOf } from "../state/moment.ts";
import { type Control, Refused } from "./control.ts";
import { monotonicMs } from "./control-clock.ts";
import { inTime } from "./in-time.ts";
import type { AgentSocket } from "./socket.ts";

export interface HeartbeatPorts {
  readonly control: Control;
  readonly socket: AgentSocket | null;
  readonly limits: AgentLimits;
  readonly log: Logger;
  /** What is so now. */
  readonly report: () => HeartbeatRequest;
  /** sentAt: read before anything of it was sent: a lease is counted from there. */
  readonly acknowledged: (answer: HeartbeatResponse, reported: HeartbeatRequest, sentAt: Moment) => void;
  readonly failed: (error: unknown) => void;
  /** Milliseconds from one to the next just now. */
  readonly everyMs: () => number;
}

/** Tries within one beat, so that a refused connection is not a busy loop. A refusal by name waits for the next beat. */
const TRIES_PER_BEAT = 4;
/** After so many in a row (10 s of refused connections) they come at the beat's own rhythm: a whole fleet is waiting, and is to come back spread over it. */
const QUICK_TRIES_MAX = 20;

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
    const { limits, report, failed, everyMs, log, socket } = this.#ports;
    // Else it would go over HTTP while the socket that it may go over is asked for.
    await socket?.settled();
    if (this.#stop.signal.aborted) return 0;
    const startedAtMs = performance.now();
    const sentAt = momentOf(HOST_CLOCKS);
    this.#changed = false;
    const body = report();
    const answered = this.#send(body).then((answer) => {
      if (answer !== null) this.#acknowledge(answer, body, sentAt);
    });
    try {
      await inTime(answered, limits.heartbeatTimeoutMs);
    } catch (error) {
      if (this.#stop.signal.aborted) return 0;
      this.#failures += 1;
      failed(error);
      if (this.#failures === 1 || this.#failures % 30 === 0) {
        log.warn({ error: String(error), failures: this.#failures }, "a heartbeat failed");
      }
      // Also where it came too late to a control plane that has too much to do: more tries would keep it that way.
      const refused = error instanceof Refused && (error.status < 500 || error.code === "overloaded");
      if (refused) return everyMs();
      const soonMs = limits.heartbeatMs / TRIES_PER_BEAT;
      return this.#failures <= QUICK_TRIES_MAX ? soonMs : Math.max(soonMs, this.#toNextBeatMs(startedAtMs));
    }
    return this.#changed ? limits.heartbeatCoalesceMs : this.#toNextBeatMs(startedAtMs);
  }

  #toNextBeatMs(startedAtMs: number): number {
    const { heartbeatMs, heartbeatJitterMs } = this.#ports.limits;
    const jitterMs = (Math.random() * 2 - 1) * heartbeatJitterMs;
    return Math.max(0, heartbeatMs + jitterMs - (performance.now() - startedAtMs));
  }

  #send(body: HeartbeatRequest): Promise<HeartbeatResponse | null> {
    const { control, socket, limits } = this.#ports;
    const call = {
      ...({ lane: "heartbeat", method: "POST", path: "/agent/v1/heartbeat", body } as const),
      timeoutMs: limits.heartbeatGiveUpMs,
      signal: this.#stop.signal,
    };
    const overSocket = socket?.beat(body) ?? null;
    if (overSocket !== null) return overSocket;
    const sentAtMs = monotonicMs();
    return control.call(call, HeartbeatResponse).then(
      (answer) => {
        socket?.heardOverHttp(sentAtMs);
        return answer;
      },
      (error: unknown) => {
        if (error instanceof Refused && error.code === "overloaded") socket?.busyOverHttp();
        throw error;
      },
    );
  }

  /** Also of one that came late: until a newer one is answered, it is the best there is. */
  #acknowledge(answer: HeartbeatResponse, reported: HeartbeatRequest, sentAt: Moment): void {
    if (sentAt.monotonicMs < this.#heardOfMs || this.#stop.signal.aborted) return;
    this.#heardOfMs = sentAt.monotonicMs;
    this.#failures = 0;
    this.#ports.acknowledged(answer, reported, sentAt);
  }
}
