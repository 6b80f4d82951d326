// What is so of one instance on a server, as its agent knows it: the state, what is on disk of it, and what was told of it.
import type { ObservedInstance } from "../../../contracts/agent-protocol.ts";
import type { InstanceFailure } from "../../../contracts/failures.ts";
import type { AppId, InstanceId } from "../../../contracts/ids.ts";
import { observedStatus, type LocalInstance, type LocalState } from "../../../core/converge/local.ts";
import { afterEnd, hasRun } from "../../../core/converge/restart.ts";
import type { Container } from "./engine.ts";
import type { SupervisePorts } from "./supervised.ts";

/** Survives the agent and a power cut. ended: the last end, until the next start. */
export interface Facts {
  readonly restarts: number;
  readonly crashes: number;
  readonly everReady: boolean;
  readonly readySinceMs: number | null;
  readonly ended: { readonly life: number; readonly state: Extract<LocalState, { kind: "ended" }> } | null;
  readonly fenced: boolean;
  /** Of one that runs once: whether it may have been started, and whether it did what it was to do. */
  readonly begun: boolean;
  readonly done: boolean;
}
const NO_FACTS: Facts = {
  restarts: 0,
  crashes: 0,
  everReady: false,
  readySinceMs: null,
  ended: null,
  fenced: false,
  begun: false,
  done: false,
};

const UNSEEN_END: InstanceFailure = {
  code: "exited",
  message: "whether it ran is not known",
  exitCode: null,
  signal: null,
  logTail: [],
};

const UNREPORTED_MAX = 3;

export class Record {
  readonly instance: InstanceId;
  readonly generation: number;
  readonly app: AppId;
  state: LocalState = { kind: "preparing", pull: null };
  facts: Facts;
  digest: string | null = null;
  private sinceMs: number;
  private unreportedEnds: ObservedInstance[] = [];
  private readonly ports: SupervisePorts;

  constructor(ports: SupervisePorts, about: { instance: InstanceId; generation: number; app: AppId }) {
    this.ports = ports;
    this.instance = about.instance;
    this.generation = about.generation;
    this.app = about.app;
    this.sinceMs = ports.nowMs();
    this.facts = ports.disk.facts.get(this.key) ?? NO_FACTS;
  }

  get key(): string {
    return `${this.instance}/${this.generation}`;
  }

  local(): LocalInstance {
    const { instance, generation, state } = this;
    const { crashes, restarts, everReady } = this.facts;
    return { instance, generation, state, crashes, restarts, everReady };
  }
  observed(): ObservedInstance {
    return this.unreportedEnds[0] ?? this.observedNow();
  }
  private observedNow(): ObservedInstance {
    const { instance, generation, app, digest, facts } = this;
    const status = observedStatus(this.state);
    const sinceMs = Math.max(0, Math.round(this.sinceMs));
    return { instance, generation, app, status, restarts: facts.restarts, digest, sinceMs };
  }
  /** The heartbeat that carried this was acknowledged. Whether there is more to say at once. */
  reported(carried: ObservedInstance): boolean {
    if (carried !== this.unreportedEnds[0]) return false;
    this.unreportedEnds.shift();
    return true;
  }

  remember(change: Partial<Facts>): void {
    this.facts = { ...this.facts, ...change };
    this.ports.disk.facts.set(this.key, this.facts);
  }

  /** What is stopping can only become what is final. */
  set(state: LocalState): void {
    if (this.state.kind === "stopped" || this.state.kind === "stopping") return;
    this.become(state);
  }
  settle(state: Extract<LocalState, { kind: "stopped" | "failed" }>): void {
    if (this.state.kind !== "stopped") this.become(state);
  }
  private become(state: LocalState): void {
    if (state.kind !== this.state.kind) this.sinceMs = this.ports.nowMs();
    this.state = state;
    this.ports.changed();
  }
  /** Was ready before, and whether it is now; told by the caller once the gateway knows. */
  becomes(state: Extract<LocalState, { kind: "running" }>): void {
    this.state = state;
    this.sinceMs = this.ports.nowMs();
  }

  /** The backoff that an earlier agent left goes on. */
  beginEnded(container: Container | null): boolean {
    const { ended } = this.facts;
    if (!ended || (container && container.life !== ended.life)) return false;
    const latestMs = this.ports.nowMs() + this.ports.limits.restartBackoffMaxMs;
    this.state = { ...ended.state, retryAtMs: Math.min(ended.state.retryAtMs, latestMs) };
    return true;
  }

  /** A one-off run is over, or may be: it is not run again. */
  beginOver(hasContainer: boolean): boolean {
    const { done, ended, begun } = this.facts;
    if (done) this.state = { kind: "done", exitCode: 0 };
    else if (ended && hasRun(ended.state.failure)) this.state = { kind: "failed", failure: ended.state.failure };
    else if (begun && !hasContainer) this.state = { kind: "failed", failure: UNSEEN_END };
    else return false;
    return true;
  }
  over(failure: InstanceFailure | null, life: number): void {
    if (failure === null) {
      this.remember({ done: true });
      return this.set({ kind: "done", exitCode: 0 });
    }
    const nowMs = this.ports.nowMs();
    this.remember({ ended: { life, state: { kind: "ended", failure, endedAtMs: nowMs, retryAtMs: nowMs } } });
    this.set({ kind: "failed", failure });
  }

  /** A run, or a start (life is null), failed. */
  failed(failure: InstanceFailure, life: number | null): void {
    const { limits } = this.ports;
    const nowMs = this.ports.nowMs();
    const { readySinceMs, crashes: before } = this.facts;
    const readyForMs = life === null || readySinceMs === null ? 0 : nowMs - readySinceMs;
    const { crashes, delayMs } = afterEnd(before, { code: failure.code, cause: null, readyForMs }, limits);
    const state = { kind: "ended", failure, endedAtMs: nowMs, retryAtMs: nowMs + delayMs } as const;
    this.remember({ crashes, readySinceMs: null, begun: false, ended: { life: life ?? -1, state } });
    this.set(state);
    this.unreportedEnds = [...this.unreportedEnds, this.observedNow()].slice(-UNREPORTED_MAX);
    this.ports.writeEndpoints(() => undefined);
  }
}
