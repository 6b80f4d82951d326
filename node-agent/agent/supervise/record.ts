// What is so of one instance: its state, what is remembered of it, and what of that the control plane was told.
import type { ObservedInstance } from "../../../contracts/agent-protocol.ts";
import type { InstanceFailure } from "../../../contracts/failures.ts";
import type { AppId, InstanceId } from "../../../contracts/ids.ts";
import { type LocalInstance, type LocalState, observedStatus } from "../../../core/converge/local.ts";
import { afterEnd, hasRun } from "../../../core/converge/restart.ts";
import type { Exit, Unit } from "../runtime/runtime.ts";
import type { Facts } from "../state/facts-store.ts";
import { hasSucceeded, UNSEEN_END } from "./failure.ts";
import type { SupervisePorts } from "./ports.ts";

/** While the control plane is away ends add up; `restarts` counts them all. */
const UNREPORTED_MAX = 3;

export class InstanceRecord {
  readonly instance: InstanceId;
  readonly generation: number;
  readonly app: AppId;
  digest: string | null = null;
  readonly #ports: SupervisePorts;
  #state: LocalState = { kind: "preparing", pull: null };
  #sinceMs: number;
  #facts: Facts;
  /** What is told while the gateway does not know yet what is so. */
  #toldStill: ObservedInstance | null = null;
  /** Ends that no heartbeat has carried yet, oldest first: a restart at once must not hide them from the control plane. */
  #unreportedEnds: ObservedInstance[] = [];

  constructor(ports: SupervisePorts, about: { instance: InstanceId; generation: number; app: AppId }) {
    this.#ports = ports;
    this.instance = about.instance;
    this.generation = about.generation;
    this.app = about.app;
    this.#sinceMs = ports.clock.nowMs();
    this.#facts = ports.facts.of(about);
  }

  get state(): LocalState {
    return this.#state;
  }

  get facts(): Facts {
    return this.#facts;
  }

  local(): LocalInstance {
    const { instance, generation } = this;
    const { crashes, restarts, everReady } = this.#facts;
    return { instance, generation, state: this.#state, crashes, restarts, everReady };
  }

  observed(): ObservedInstance {
    return this.#unreportedEnds[0] ?? this.#toldStill ?? this.#now();
  }

  /** The heartbeat that carried this was acknowledged. Whether there is more to say at once. */
  reported(carried: ObservedInstance): boolean {
    if (carried !== this.#unreportedEnds[0]) return false;
    this.#unreportedEnds.shift();
    return true;
  }

  /** Resolves once it is on disk; or cannot be: then an agent that comes next knows less, and that is all. */
  async remember(change: Partial<Facts>): Promise<void> {
    const { facts, log } = this.#ports;
    this.#facts = { ...this.#facts, ...change };
    await facts.put(this.#facts).catch((error: unknown) => log.error({ error: String(error) }, "supervision file"));
  }

  /** From an earlier agent, before anybody was told of this one. */
  begin(state: LocalState): void {
    this.#state = state;
  }

  /** The backoff that an earlier agent left goes on; a clock that stepped cannot make it longer than any is. */
  beginEnded(): boolean {
    const { ended } = this.#facts;
    if (ended === null) return false;
    const { failure, endedAtMs, retryAtMs } = ended;
    const latestMs = this.#ports.clock.nowMs() + this.#ports.limits.restartBackoffMaxMs;
    this.#state = { kind: "ended", failure, endedAtMs, retryAtMs: Math.min(retryAtMs, latestMs) };
    return true;
  }

  /** A one-off instance whose run is over, or may be: however an earlier agent was ended, it is not run again. */
  beginOver(hasUnit: boolean): boolean {
    const { done, ended, begun } = this.#facts;
    if (done !== null) this.#state = { kind: "done", ...done };
    else if (ended !== null && hasRun(ended.failure)) this.#state = { kind: "failed", failure: ended.failure };
    else if (begun && !hasUnit) this.#state = { kind: "failed", failure: UNSEEN_END };
    else return false;
    return true;
  }

  /** The run of a one-off instance is over, for good: on disk, then told. */
  async over({ unit, exit }: { unit: Unit; exit: Exit }, failure: InstanceFailure): Promise<void> {
    const { clock, logs, log, endpoints } = this.#ports;
    const nowMs = clock.nowMs();
    const done = hasSucceeded(unit, exit) ? { exitCode: 0 } : null;
    log.info({ instance: this.instance, exitCode: exit.exitCode, done: done !== null }, "a one-off instance ended");
    logs.note(this.instance, nowMs, done === null ? `${failure.code}: ${failure.message}` : failure.message);
    const ended = done === null ? { life: unit.life, failure, endedAtMs: nowMs, retryAtMs: nowMs } : null;
    await this.remember({ ended, done });
    this.set(done === null ? { kind: "failed", failure } : { kind: "done", ...done });
    void endpoints.write().catch(() => undefined);
  }

  /** What is stopping can only become what is final. */
  set(state: LocalState): void {
    if (this.#state.kind === "stopped" || this.#state.kind === "stopping") return;
    this.#become(state);
  }

  settle(state: Extract<LocalState, { kind: "stopped" | "failed" }>): void {
    if (this.#state.kind !== "stopped") this.#become(state);
  }

  /** Ready or not ready any more. It is told once gatewayKnows has resolved, whatever else is told before. */
  async becomes(state: Extract<LocalState, { kind: "running" }>, gatewayKnows: () => Promise<void>): Promise<void> {
    this.#toldStill ??= this.#now();
    this.#state = state;
    this.#sinceMs = this.#ports.clock.nowMs();
    await gatewayKnows();
    this.#toldStill = null;
    this.#ports.changed();
  }

  /** A run, or a start (run is null), failed: counted on disk, then told. */
  async failed(failure: InstanceFailure, run: { unit: Unit; exit: Exit } | null): Promise<void> {
    const { clock, limits, logs, log, endpoints } = this.#ports;
    const readyForMs = run === null ? 0 : this.#readyForMs(run.exit);
    const end = { code: failure.code, cause: run?.exit.cause ?? null, readyForMs };
    const { crashes, delayMs } = afterEnd(this.#facts.crashes, end, limits);
    const nowMs = clock.nowMs();
    const { code, message, exitCode } = failure;
    log.warn({ instance: this.instance, code, failure: message, exitCode, crashes }, "an instance ended");
    logs.note(this.instance, nowMs, `${code}: ${message}`);
    const retryAtMs = nowMs + delayMs;
    const life = run?.unit.life ?? null;
    await this.remember({
      crashes,
      readySinceMs: null,
      begun: false,
      ended: { life, failure, endedAtMs: nowMs, retryAtMs },
    });
    if (this.#state.kind === "stopping" || this.#state.kind === "stopped") return;
    this.set({ kind: "ended", failure, endedAtMs: nowMs, retryAtMs });
    this.#unreportedEnds = [...this.#unreportedEnds, this.#now()].slice(-UNREPORTED_MAX);
    void endpoints.write().catch(() => undefined);
  }

  /** How long the run had been ready; of one that ended while no agent was there, by the host's clock. */
  #readyForMs({ endedAtMs }: Exit): number {
    const { readySinceMs } = this.#facts;
    if (readySinceMs === null) return 0;
    const endedAgoMs = endedAtMs === undefined ? 0 : Math.max(0, Date.now() - endedAtMs);
    return this.#ports.clock.nowMs() - endedAgoMs - readySinceMs;
  }

  #become(state: LocalState): void {
    this.#toldStill = null;
    if (state.kind !== this.#state.kind) this.#sinceMs = this.#ports.clock.nowMs();
    this.#state = state;
    this.#ports.changed();
  }

  #now(): ObservedInstance {
    return {
      instance: this.instance,
      generation: this.generation,
      app: this.app,
      status: observedStatus(this.#state),
      restarts: this.#facts.restarts,
      digest: this.digest,
      sinceMs: Math.max(0, Math.round(this.#sinceMs)),
    };
  }
}
