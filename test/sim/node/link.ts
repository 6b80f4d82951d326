// The agent's line to the control plane, as the shipped one keeps it: a heartbeat every beat and at once on a change, one poll waiting.
import type { HeartbeatRequest, HeartbeatResponse } from "../../../contracts/agent-protocol.ts";
import type { DesiredDocument } from "../../../contracts/desired.ts";
import type { Result } from "../../../contracts/failures.ts";
import type { NodeProof } from "../../../core/messages.ts";
import type { AgentLimits } from "../../../core/converge/limits.ts";

/** The way to the control plane. Exactly one of the two answers comes, in time or never. */
export interface ControlLine {
  heartbeat(
    proof: NodeProof,
    request: HeartbeatRequest,
    timeoutMs: number,
    answered: (result: Result<HeartbeatResponse>) => void,
    failed: () => void,
  ): void;
  /** null: nothing new (204). */
  poll(
    proof: NodeProof,
    ackRevision: number,
    timeoutMs: number,
    answered: (result: Result<DesiredDocument | null>) => void,
    failed: () => void,
  ): void;
}

export interface LinkPorts {
  readonly line: ControlLine;
  readonly limits: AgentLimits;
  readonly proofOf: (lane: "heartbeat" | "poll") => NodeProof;
  readonly report: () => HeartbeatRequest;
  readonly acknowledged: (answer: HeartbeatResponse, request: HeartbeatRequest, sentAtMs: number) => void;
  readonly failed: () => void;
  readonly accept: (document: DesiredDocument, stored: () => void) => void;
  readonly revision: () => number;
  /** Monotonic. */
  readonly monotonicMs: () => number;
  readonly after: (delayMs: number, act: () => void) => void;
  readonly guard: <Args extends unknown[]>(act: (...args: Args) => void) => (...args: Args) => void;
  readonly between: (low: number, high: number) => number;
}

const TRIES_PER_BEAT = 4;
const WAKE_GRACE_MS = 40;
const HEARD_ANEW_MS = 4_000;

export class Link {
  private readonly ports: LinkPorts;
  private isStarted = false;
  private isInFlight = false;
  private hasChanged = false;
  /** Of the scheduled beat; a newer schedule makes older timers void. */
  private dueAtMs = Infinity;
  private schedule = 0;
  private pollOrder = 0;
  private pollFailures = 0;
  private heardOf = -1;
  private heardAtMs = 0;

  constructor(ports: LinkPorts) {
    this.ports = ports;
  }

  start(): void {
    this.isStarted = true;
    this.beatIn(0);
    this.poll();
  }

  /** Something that the control plane waits for changed. */
  change(): void {
    if (!this.isStarted) return;
    if (this.isInFlight) this.hasChanged = true;
    else this.beatIn(this.ports.limits.heartbeatCoalesceMs);
  }

  later(delayMs: number, act: () => void): void {
    this.ports.after(delayMs, act);
  }

  private beatIn(delayMs: number): void {
    const { ports } = this;
    const dueAtMs = ports.monotonicMs() + delayMs;
    if (this.isInFlight || dueAtMs >= this.dueAtMs) return;
    this.dueAtMs = dueAtMs;
    const schedule = (this.schedule += 1);
    ports.after(delayMs, () => {
      if (schedule === this.schedule) this.beat();
    });
  }

  private beat(): void {
    const { ports } = this;
    const { heartbeatMs, heartbeatTimeoutMs, heartbeatJitterMs, heartbeatCoalesceMs } = ports.limits;
    this.dueAtMs = Infinity;
    this.isInFlight = true;
    this.hasChanged = false;
    const sentAtMs = ports.monotonicMs();
    const request = ports.report();
    const next = (delayMs: number): void => {
      this.isInFlight = false;
      this.beatIn(delayMs);
    };
    ports.line.heartbeat(
      ports.proofOf("heartbeat"),
      request,
      heartbeatTimeoutMs,
      ports.guard((result) => {
        if (result.ok) ports.acknowledged(result.value, request, sentAtMs);
        if (!result.ok) {
          ports.failed();
          return next(heartbeatMs);
        }
        const jitterMs = ports.between(-heartbeatJitterMs, heartbeatJitterMs);
        next(this.hasChanged ? heartbeatCoalesceMs : heartbeatMs + jitterMs - (ports.monotonicMs() - sentAtMs));
      }),
      ports.guard(() => {
        ports.failed();
        next(heartbeatMs / TRIES_PER_BEAT);
      }),
    );
  }

  /** Someone heard of a newer revision than ours: a poll that waits on the old one has lost its wake-up. */
  knows(revision: number): void {
    const { ports } = this;
    const nowMs = ports.monotonicMs();
    if (revision <= ports.revision()) return;
    if (revision <= this.heardOf && nowMs - this.heardAtMs < HEARD_ANEW_MS) return;
    this.heardOf = revision;
    this.heardAtMs = nowMs;
    ports.after(WAKE_GRACE_MS, () => {
      if (ports.revision() < revision) this.poll();
    });
  }

  /** A newer poll makes what comes of an older one void. */
  private poll(): void {
    const { ports } = this;
    const order = (this.pollOrder += 1);
    const settled =
      <Args extends unknown[]>(act: (...args: Args) => void) =>
      (...args: Args): void => {
        if (order === this.pollOrder) act(...args);
      };
    ports.line.poll(
      ports.proofOf("poll"),
      ports.revision(),
      ports.limits.pollTimeoutMs,
      ports.guard(
        settled((result) => {
          if (!result.ok) return this.pollLater(order);
          this.pollFailures = 0;
          if (result.value) ports.accept(result.value, () => this.pollIfCurrent(order));
          else this.poll();
        }),
      ),
      ports.guard(settled(() => this.pollLater(order))),
    );
  }
  private pollIfCurrent(order: number): void {
    if (order === this.pollOrder) this.poll();
  }
  private pollLater(order: number): void {
    const { ports } = this;
    const { pollBackoffMinMs, pollBackoffMaxMs } = ports.limits;
    this.pollFailures += 1;
    const ceilingMs = Math.min(pollBackoffMaxMs, pollBackoffMinMs * 2 ** Math.min(this.pollFailures, 30));
    ports.after(ports.between(pollBackoffMinMs, Math.max(pollBackoffMinMs, ceilingMs)), () =>
      this.pollIfCurrent(order),
    );
  }
}
