// One instance as its agent supervises it: the shipped states and rules of core/converge, over the simulated Engine.
import type { ObservedInstance } from "../../../contracts/agent-protocol.ts";
import type { DesiredInstance } from "../../../contracts/desired.ts";
import type { InstanceFailure } from "../../../contracts/failures.ts";
import type { AppId, InstanceId } from "../../../contracts/ids.ts";
import type { AgentLimits } from "../../../core/converge/limits.ts";
import { observedStatus, type LocalInstance, type LocalState } from "../../../core/converge/local.ts";
import { crashesAfter, restartDelayMs } from "../../../core/converge/restart.ts";
import type { Container, Engine, Exit } from "./engine.ts";
import { answersIn, type EndpointRow, type EndpointState } from "./gateway.ts";
import type { Disk } from "./machine.ts";

/** What an instance asks of the agent around it. Every `after` ends with the agent's life. */
export interface SupervisePorts {
  readonly engine: Engine;
  readonly disk: Disk;
  readonly limits: AgentLimits;
  /** By the agent's own clock. */
  nowMs(): number;
  /** The same moment by the control plane's clock, as far as it is known. */
  controlMs(localMs: number): number;
  after(delayMs: number, act: () => void): void;
  guard<Args extends unknown[]>(act: (...args: Args) => void): (...args: Args) => void;
  /** Whether a committed lease covers strict singletons now. */
  isCovered(): boolean;
  writeEndpoints(written: () => void): void;
  changed(): void;
  random(low: number, high: number): number;
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

export class Supervised {
  readonly instance: InstanceId;
  readonly generation: number;
  readonly app: AppId;
  desired: DesiredInstance | null;
  state: LocalState = { kind: "preparing", pull: null };
  private container: Container | null = null;
  private crashes = 0;
  private restarts = 0;
  private everReady = false;
  private sinceMs: number;
  /** Rises with each start and with the stop, so that what belongs to an older one does nothing. */
  private attempt = 0;
  private isLaunching = false;
  private afterLaunch: (() => void) | null = null;
  private isDoomed = false;
  /** Converted once: another number is another end to those who hear of it. */
  private retryAtControlMs = 0;
  private unreportedEnd: ObservedInstance | null = null;
  private readonly ports: SupervisePorts;

  constructor(
    ports: SupervisePorts,
    about: { readonly instance: InstanceId; readonly generation: number; readonly app: AppId },
    desired: DesiredInstance | null,
  ) {
    this.ports = ports;
    this.instance = about.instance;
    this.generation = about.generation;
    this.app = about.app;
    this.desired = desired;
    this.sinceMs = ports.nowMs();
  }

  local(): LocalInstance {
    const { instance, generation, state, crashes, restarts, everReady } = this;
    return { instance, generation, state, crashes, restarts, everReady };
  }

  observed(): ObservedInstance {
    return this.unreportedEnd ?? this.observedNow();
  }
  private observedNow(): ObservedInstance {
    const { instance, generation, app, restarts } = this;
    const digest = this.container && this.desired ? `sha256:${this.desired.release.slice(4)}` : null;
    const { controlMs } = this.ports;
    const local = observedStatus(this.state);
    const status = local.kind === "backoff" ? { ...local, retryAtMs: this.retryAtControlMs } : local;
    const sinceMs = Math.max(0, Math.round(controlMs(this.sinceMs)));
    return { instance, generation, app, status, restarts, digest, sinceMs };
  }
  /** The heartbeat that carried this was acknowledged. Whether there is more to say at once. */
  reported(carried: ObservedInstance): boolean {
    if (this.unreportedEnd === null || carried !== this.unreportedEnd) return false;
    this.unreportedEnd = null;
    return true;
  }

  endpoint(state: EndpointState | null): EndpointRow[] {
    const { instance, generation, app } = this;
    return state === null ? [] : [{ instance, generation, app, state }];
  }

  /** Takes over what an earlier agent left. */
  adopt(container: Container, wasReady: boolean): void {
    const facts = this.ports.disk.facts.get(container.name);
    this.restarts = facts?.restarts ?? 0;
    this.everReady = (facts?.everReady ?? false) || wasReady;
    this.container = container;
    if (container.state !== "running") return this.ended(container.exit ?? { exitCode: null, outOfMemory: false });
    const readySinceMs = this.ports.nowMs();
    this.state = wasReady ? { kind: "running", readySinceMs, failure: null } : { kind: "starting" };
    this.attend();
  }

  start(again: boolean): void {
    const { ports } = this;
    if (again) {
      this.restarts += 1;
      this.rememberFacts();
    }
    const attempt = (this.attempt += 1);
    this.isDoomed = false;
    this.isLaunching = true;
    this.set({ kind: "preparing", pull: null });
    const launched = ports.guard((container: Container) => this.launched(attempt, container));
    if (again && this.container) {
      return ports.engine.restart(
        this.container,
        () => this.isWanted(attempt),
        ports.guard((found) => {
          if (found) launched(found);
          else this.launch(attempt, launched);
        }),
        ports.guard(() => this.launchMissed(attempt)),
      );
    }
    this.launch(attempt, launched);
  }

  private launch(attempt: number, launched: (container: Container) => void): void {
    const { ports, desired } = this;
    if (!desired) return;
    const isCurrent = (): boolean => this.isWanted(attempt);
    ports.engine.prepare(desired, {
      progress: ports.guard((percent) => {
        if (isCurrent()) this.set({ kind: "preparing", pull: { doneBytes: percent, totalBytes: 100 } });
      }),
      done: ports.guard(() => {
        ports.engine.launch(
          desired,
          isCurrent,
          ports.guard((container) => {
            if (container) launched(container);
            else this.launchMissed(attempt);
          }),
        );
      }),
      failed: ports.guard((code, message) => {
        this.endLaunch();
        if (isCurrent()) this.failed(failureOf(code, message), 0);
      }),
    });
  }
  /** A strict singleton may not start without a lease that covers it, however long the way here took. */
  private isWanted(attempt: number): boolean {
    return this.attempt === attempt && (this.desired?.singleton !== "strict" || this.ports.isCovered());
  }
  private launchMissed(attempt: number): void {
    this.endLaunch();
    if (this.attempt === attempt) this.failed(failureOf("fenced", "no lease covers it"), 0);
  }
  private launched(attempt: number, container: Container): void {
    this.container = container;
    this.endLaunch();
    if (this.attempt !== attempt) return;
    this.set({ kind: "starting" });
    if (container.state === "running") this.attend();
    else this.ended(container.exit ?? { exitCode: null, outOfMemory: false });
  }
  private endLaunch(): void {
    this.isLaunching = false;
    this.afterLaunch?.();
    this.afterLaunch = null;
  }

  giveUp(): void {
    if (this.state.kind === "ended") this.set({ kind: "failed", failure: this.state.failure });
  }

  /** Out of the gateway first, then the container, then the fence, then the word of it. */
  stop(cause: "stopped" | "fenced" = "stopped"): void {
    const { ports } = this;
    this.attempt += 1;
    this.set({ kind: "stopping" });
    const finish = (): void => {
      ports.disk.markStopped(this);
      this.set({ kind: "stopped", exitCode: 0, atMs: ports.nowMs() });
    };
    const stopContainer = (): void => {
      if (this.container) ports.engine.stop(this.container, cause, ports.guard(finish));
      else finish();
    };
    ports.writeEndpoints(() => {
      if (this.isLaunching) this.afterLaunch = stopContainer;
      else stopContainer();
    });
  }

  exited(container: Container, life: number, exit: Exit): void {
    if (container !== this.container || container.life !== life) return;
    if (this.state.kind === "starting" || this.state.kind === "running") this.ended(exit);
  }

  private ended(exit: Exit): void {
    const readyForMs = this.state.kind === "running" ? this.ports.nowMs() - this.state.readySinceMs : 0;
    this.failed(this.exitFailure(exit), readyForMs);
  }
  private exitFailure({ outOfMemory, exitCode }: Exit): InstanceFailure {
    if (this.isDoomed) return failureOf("never_ready", "not ready in its time", exitCode);
    return outOfMemory
      ? failureOf("out_of_memory", "it was killed for memory", exitCode)
      : failureOf("exited", `it ended with ${exitCode}`, exitCode);
  }

  private failed(failure: InstanceFailure, readyForMs: number): void {
    const { limits } = this.ports;
    const nowMs = this.ports.nowMs();
    this.crashes = crashesAfter(this.crashes, readyForMs, limits);
    const retryAtMs = nowMs + restartDelayMs(this.crashes, limits);
    this.retryAtControlMs = Math.max(0, Math.ceil(this.ports.controlMs(retryAtMs)));
    this.set({ kind: "ended", failure, endedAtMs: nowMs, retryAtMs });
    this.unreportedEnd = this.observedNow();
    this.ports.writeEndpoints(() => undefined);
  }

  /** Asks it how it is: when it should have started, and whenever that may have changed. */
  private attend(): void {
    const { ports, container } = this;
    if (!container) return;
    const { life } = container;
    const { startupBudgetMs, startupBudgetShare } = ports.limits;
    const bootMs = container.readyAtMs - ports.worldMs();
    const budgetMs = startupBudgetMs * startupBudgetShare;
    if (bootMs < budgetMs) return ports.after(Math.max(0, bootMs) + ports.random(2, 60), () => this.look(container));
    ports.after(budgetMs, () => {
      if (this.container !== container || container.life !== life || this.state.kind !== "starting") return;
      this.isDoomed = true;
      ports.engine.kill(container);
    });
  }
  look(container: Container): void {
    if (container !== this.container || (this.state.kind !== "starting" && this.state.kind !== "running")) return;
    const isWell = answersIn(container, this.ports.worldMs());
    if (this.state.kind === "starting" && !isWell) {
      if (container.state === "running") this.attend();
      return;
    }
    if (this.state.kind === "running" && isWell === (this.state.failure === null)) return;
    this.becomes(isWell ? null : failureOf("never_ready", "its readiness probe fails"));
  }

  private becomes(failure: InstanceFailure | null): void {
    const readySinceMs = this.state.kind === "running" ? this.state.readySinceMs : this.ports.nowMs();
    const isFirst = !this.everReady && failure === null;
    if (isFirst) this.everReady = true;
    this.state = { kind: "running", readySinceMs, failure };
    this.sinceMs = this.ports.nowMs();
    if (isFirst) this.rememberFacts();
    // The gateway must know it before anyone is sent there: first the file, then the report.
    this.ports.writeEndpoints(() => this.ports.changed());
  }

  private rememberFacts(): void {
    const { restarts, everReady, container } = this;
    if (container) this.ports.disk.facts.set(container.name, { restarts, everReady });
  }

  private set(state: LocalState): void {
    if (this.state.kind === "stopped") return;
    if (this.state.kind === "stopping" && state.kind !== "stopped") return;
    if (state.kind !== this.state.kind) this.sinceMs = this.ports.nowMs();
    this.state = state;
    this.ports.changed();
  }
}
