// One instance as its agent supervises it: the shipped states and rules of core/converge, over the simulated Engine.
import type { DesiredInstance } from "../../../contracts/desired.ts";
import type { InstanceFailure } from "../../../contracts/failures.ts";
import type { AppId, InstanceId } from "../../../contracts/ids.ts";
import type { AgentLimits } from "../../../core/converge/limits.ts";
import type { Container, Engine, Exit } from "./engine.ts";
import { answersIn, type EndpointRow, type EndpointState } from "./gateway.ts";
import type { Disk } from "./machine.ts";
import { Record } from "./record.ts";

/** What an instance asks of the agent around it. Every `after` ends with the agent's life. */
export interface SupervisePorts {
  readonly engine: Engine;
  readonly disk: Disk;
  readonly limits: AgentLimits;
  /** The control plane's time, as far as it was heard. */
  nowMs(): number;
  after(delayMs: number, act: () => void): void;
  guard<Args extends unknown[]>(act: (...args: Args) => void): (...args: Args) => void;
  /** Whether a strict singleton may be started now: a lease covers it, and our document is the newest. */
  isAdmitted(): boolean;
  writeEndpoints(written: () => void): void;
  changed(): void;
  random(low: number, high: number): number;
  /** A strict singleton was ended for want of a lease. */
  fenced(): void;
  /** Of the world, for what an app inside does. */
  worldMs(): number;
}

const failureOf = (
  code: InstanceFailure["code"],
  message: string,
  exitCode: number | null = null,
): InstanceFailure => ({
  code,
  message,
  exitCode,
  signal: null,
  logTail: [],
});
const FENCED = failureOf("fenced", "no committed lease covers it any more");
const ADMIT_LOOK_MS = 20;

export class Supervised {
  readonly record: Record;
  desired: DesiredInstance | null;
  private container: Container | null = null;
  /** The run that served under the agent before us, and has been serving since. */
  private servedLife: number | null = null;
  /** Rises with each start and with the stop, so that what belongs to an older one does nothing. */
  private attempt = 0;
  private isLaunching = false;
  private afterLaunch: (() => void) | null = null;
  private isDoomed = false;
  private readonly ports: SupervisePorts;

  constructor(
    ports: SupervisePorts,
    about: { readonly instance: InstanceId; readonly generation: number; readonly app: AppId },
    desired: DesiredInstance | null,
  ) {
    this.ports = ports;
    this.desired = desired;
    this.record = new Record(ports, about);
  }

  get isStrict(): boolean {
    return this.desired?.singleton === "strict";
  }

  /** It runs once. */
  private get isErrand(): boolean {
    return Boolean(this.desired?.job);
  }

  /** isServing: whether what has not been serving since before this agent may have traffic. */
  endpoint(state: EndpointState | null, isServing: boolean): EndpointRow[] {
    // Nobody is sent to what runs once.
    if (state === null || this.isErrand) return [];
    const { instance, generation, app } = this.record;
    const served = this.container !== null && this.container.life === this.servedLife;
    return [{ instance, generation, app, state: isServing || state === "gone" || served ? state : "starting" }];
  }

  /** Takes over what an earlier agent left. */
  adopt(container: Container, wasReady: boolean): void {
    const { record } = this;
    this.container = container;
    record.digest = this.desired ? digestOf(this.desired) : null;
    if (container.state !== "running") {
      const isOver = this.isErrand ? record.beginOver(true) : record.beginEnded(container);
      if (!isOver) this.ended(container.exit ?? { exitCode: null, outOfMemory: false });
      return;
    }
    const readySinceMs = record.facts.readySinceMs ?? this.ports.nowMs();
    if (wasReady) {
      record.remember({ everReady: true, readySinceMs });
      this.servedLife = container.life;
    }
    record.state = wasReady ? { kind: "running", readySinceMs, failure: null } : { kind: "starting" };
    this.attend();
  }

  /** Of one that the document names and that left no container. False: nothing is known of it. */
  resume(wasStopped: boolean): boolean {
    const { record } = this;
    if (record.facts.fenced) record.state = { kind: "failed", failure: FENCED };
    else if (wasStopped) record.state = { kind: "stopped", exitCode: null, atMs: this.ports.nowMs() };
    else return record.beginEnded(null);
    return true;
  }

  start(again: boolean): void {
    const { record } = this;
    if (again) record.remember({ restarts: record.facts.restarts + 1, ended: null });
    const attempt = (this.attempt += 1);
    this.isDoomed = false;
    this.isLaunching = true;
    record.set({ kind: "preparing", pull: null });
    this.bringUp(attempt, again);
  }

  /** A strict singleton waits here until it may run. */
  private bringUp(attempt: number, again: boolean): void {
    const { ports } = this;
    if (this.attempt !== attempt) return this.endLaunch();
    if (this.isStrict && !ports.isAdmitted()) return ports.after(ADMIT_LOOK_MS, () => this.bringUp(attempt, again));
    const launched = ports.guard((container: Container) => this.launched(attempt, container));
    const missed = ports.guard(() => this.missed(attempt, again));
    const isWanted = (): boolean => this.attempt === attempt && (!this.isStrict || ports.isAdmitted());
    if (!again || !this.container) return this.launch(isWanted, launched, missed);
    ports.engine.restart(
      this.container,
      isWanted,
      ports.guard((found) => {
        if (found) launched(found);
        else this.launch(isWanted, launched, missed);
      }),
      missed,
    );
  }

  private launch(isWanted: () => boolean, launched: (container: Container) => void, missed: () => void): void {
    const { ports, desired, record } = this;
    if (!desired) return missed();
    const { attempt } = this;
    ports.engine.prepare(desired, {
      progress: ports.guard((percent) => {
        if (this.attempt === attempt) record.set({ kind: "preparing", pull: { doneBytes: percent, totalBytes: 100 } });
      }),
      done: ports.guard(() => {
        if (this.attempt === attempt && desired.job) record.remember({ begun: true });
        ports.engine.launch(
          desired,
          isWanted,
          ports.guard((container) => (container ? launched(container) : missed())),
        );
      }),
      failed: ports.guard((code, message) => {
        this.endLaunch();
        if (this.attempt === attempt) record.failed(failureOf(code, message), null);
      }),
    });
  }
  /** The Engine was asked no more: stopped meanwhile, or its lease ended, and it waits for the next. */
  private missed(attempt: number, again: boolean): void {
    if (this.attempt === attempt) this.ports.after(ADMIT_LOOK_MS, () => this.bringUp(attempt, again));
    else this.endLaunch();
  }
  private launched(attempt: number, container: Container): void {
    this.container = container;
    if (this.desired) this.record.digest = digestOf(this.desired);
    this.endLaunch();
    if (this.attempt !== attempt) return;
    this.record.remember({ readySinceMs: null });
    this.record.set({ kind: "starting" });
    if (container.state === "running") this.attend();
    else this.ended(container.exit ?? { exitCode: null, outOfMemory: false });
  }
  private endLaunch(): void {
    this.isLaunching = false;
    this.afterLaunch?.();
    this.afterLaunch = null;
  }

  giveUp(): void {
    const { state } = this.record;
    if (state.kind === "ended") this.record.set({ kind: "failed", failure: state.failure });
  }

  /** Out of the gateway first, then the container, then the fence, then the word of it. */
  stop(): void {
    const { ports, record } = this;
    this.attempt += 1;
    record.set({ kind: "stopping" });
    ports.writeEndpoints(() =>
      this.endForGood("stopped", () => record.settle({ kind: "stopped", exitCode: 0, atMs: ports.nowMs() })),
    );
  }

  /** A strict singleton whose lease ran out ends at once, and is told as failed, which is final too. */
  fence(): void {
    const { ports, record } = this;
    if (["stopping", "stopped", "failed"].includes(record.state.kind)) return;
    ports.fenced();
    this.attempt += 1;
    record.set({ kind: "stopping" });
    ports.writeEndpoints(() => undefined);
    record.remember({ fenced: true });
    this.endForGood("fenced", () => record.settle({ kind: "failed", failure: FENCED }));
  }

  private endForGood(cause: "stopped" | "fenced", ended: () => void): void {
    const { ports, record } = this;
    const finish = (): void => {
      this.container = null;
      ports.disk.markStopped(record);
      ended();
    };
    const stopContainer = (): void => {
      if (this.container) ports.engine.stop(this.container, cause, ports.guard(finish));
      else finish();
    };
    if (this.isLaunching) this.afterLaunch = stopContainer;
    else stopContainer();
  }

  exited(container: Container, life: number, exit: Exit): void {
    if (container !== this.container || container.life !== life) return;
    const { kind } = this.record.state;
    if (kind === "starting" || kind === "running") this.ended(exit);
  }
  private ended({ outOfMemory, exitCode }: Exit): void {
    const { record } = this;
    const life = this.container?.life ?? null;
    if (this.isErrand && life !== null) return this.ranOnce(exitCode, life);
    if (this.isDoomed) record.failed(failureOf("never_ready", "not ready in its time", exitCode), life);
    else if (outOfMemory) record.failed(failureOf("out_of_memory", "it was killed for memory", exitCode), life);
    else record.failed(failureOf("exited", `it ended with ${exitCode}`, exitCode), life);
  }

  private ranOnce(exitCode: number | null, life: number): void {
    if (this.isDoomed) return this.record.over(failureOf("timed_out", "ended at its time-out", exitCode), life);
    this.record.over(exitCode === 0 ? null : failureOf("exited", `it ended with ${exitCode}`, exitCode), life);
  }

  /** Asks it how it is: when it should have started, and whenever that may have changed. */
  private attend(): void {
    const { ports, container } = this;
    if (!container) return;
    const { life } = container;
    if (this.desired?.job) return this.endInTime(container, this.desired.job.timeoutMs);
    const budgetMs = ports.limits.startupBudgetMs * ports.limits.startupBudgetShare;
    const bootMs = container.readyAtMs - ports.worldMs();
    if (bootMs < budgetMs) return ports.after(Math.max(0, bootMs) + ports.random(2, 60), () => this.look(container));
    ports.after(budgetMs, () => {
      if (this.container !== container || container.life !== life || this.record.state.kind !== "starting") return;
      this.isDoomed = true;
      ports.engine.kill(container);
    });
  }
  private endInTime(container: Container, timeoutMs: number): void {
    const { life } = container;
    this.ports.after(timeoutMs, () => {
      if (this.container !== container || container.life !== life || this.record.state.kind !== "starting") return;
      this.isDoomed = true;
      this.ports.engine.kill(container);
    });
  }
  look(container: Container): void {
    const { state } = this.record;
    if (container !== this.container || (state.kind !== "starting" && state.kind !== "running")) return;
    const isWell = answersIn(container, this.ports.worldMs());
    if (state.kind === "starting" && !isWell) {
      if (container.state === "running") this.attend();
    } else if (state.kind === "starting" || isWell !== (state.failure === null)) {
      this.becomes(isWell ? null : failureOf("never_ready", "its readiness probe fails"));
    }
  }
  private becomes(failure: InstanceFailure | null): void {
    const { record, ports } = this;
    const wasRunning = record.state.kind === "running";
    const readySinceMs = record.state.kind === "running" ? record.state.readySinceMs : ports.nowMs();
    record.becomes({ kind: "running", readySinceMs, failure });
    if (!wasRunning) record.remember({ everReady: true, readySinceMs });
    // The gateway must know it before anyone is sent there: first the file, then the report.
    ports.writeEndpoints(() => ports.changed());
  }
}

const digestOf = (desired: DesiredInstance): string => `sha256:${desired.release.slice(4)}`;
