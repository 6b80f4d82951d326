// One instance on this node, from its start to its final stop: what it is now, and the work under way for it.
import type { ObservedInstance } from "../../../contracts/agent-protocol.ts";
import type { DesiredInstance } from "../../../contracts/desired.ts";
import type { InstanceFailure } from "../../../contracts/failures.ts";
import type { AppId, InstanceId } from "../../../contracts/ids.ts";
import { endpointState, type LocalInstance, type LocalState, observedStatus } from "../../../core/converge/local.ts";
import { crashesAfter, restartDelayMs } from "../../../core/converge/restart.ts";
import type { EndpointInstance } from "../../endpoint-file.ts";
import { NO_SECRETS } from "../link/asks.ts";
import { pause } from "../link/pause.ts";
import type { Exit, Unit } from "../runtime/runtime.ts";
import { Attendance } from "./attendance.ts";
import { endpointRow } from "./endpoint-row.ts";
import { exitFailure, startFailureOf, unreadyFailure } from "./failure.ts";
import type { SupervisePorts } from "./ports.ts";

export class Instance {
  readonly instance: InstanceId;
  readonly generation: number;
  readonly app: AppId;
  readonly #ports: SupervisePorts;
  #desired: DesiredInstance | null;
  #unit: Unit | null = null;
  #state: LocalState = { kind: "preparing", pull: null };
  #sinceMs: number;
  #crashes = 0;
  #restarts = 0;
  #everReady = false;
  #digest: string | null = null;
  /** Of the present start: aborted when the instance is stopped, or the agent is. */
  #attempt = new AbortController();
  #start: Promise<void> = Promise.resolve();
  #attendance: Attendance | null = null;
  #earlyExit: { unit: Unit; exit: Exit } | null = null;
  /** An end that no heartbeat has carried yet: a restart at once must not hide it from the control plane. */
  #unreportedEnd: ObservedInstance | null = null;

  constructor(
    ports: SupervisePorts,
    about: { instance: InstanceId; generation: number; app: AppId },
    desired: DesiredInstance | null,
  ) {
    this.#ports = ports;
    this.instance = about.instance;
    this.generation = about.generation;
    this.app = about.app;
    this.#desired = desired;
    this.#sinceMs = ports.clock.nowMs();
  }

  get team(): string | null {
    return (this.#unit ?? this.#desired)?.team ?? null;
  }

  /** What runs now and can be measured. */
  get running(): Unit | null {
    return this.#state.kind === "starting" || this.#state.kind === "running" ? this.#unit : null;
  }

  local(): LocalInstance {
    return {
      instance: this.instance,
      generation: this.generation,
      state: this.#state,
      crashes: this.#crashes,
      restarts: this.#restarts,
      everReady: this.#everReady,
    };
  }

  observed(): ObservedInstance {
    return this.#unreportedEnd ?? this.#observedNow();
  }

  /** The heartbeat that carried this was acknowledged. Whether there is more to say at once. */
  reported(carried: ObservedInstance): boolean {
    if (this.#unreportedEnd === null || carried !== this.#unreportedEnd) return false;
    this.#unreportedEnd = null;
    return true;
  }

  endpoint(intent: "run" | "drain" | "absent"): EndpointInstance | null {
    const state = endpointState(this.#state, intent);
    const about = this.#unit ?? this.#desired;
    if (state === null || about === null) return null;
    return endpointRow(about, this.#unit?.host ?? "", state, this.#ports.logs.pathOf(this.instance));
  }

  /** The document may change what does not need a new run (its intent). */
  setDesired(desired: DesiredInstance): void {
    this.#desired = desired;
  }

  /** Takes over what an earlier agent left. wasReady: the endpoint file said that it serves. */
  adopt(unit: Unit, wasReady: boolean): void {
    const { restarts, everReady } = this.#ports.meter.remembered(unit);
    this.#restarts = restarts;
    this.#everReady = everReady || wasReady;
    this.#digest = unit.digest;
    this.#unit = unit;
    if (unit.exit !== null) {
      void this.#end(unit, unit.exit);
      return;
    }
    const nowMs = this.#ports.clock.nowMs();
    this.#state = wasReady ? { kind: "running", readySinceMs: nowMs, failure: null } : { kind: "starting" };
    this.#ports.log.info({ instance: this.instance, unit: unit.id.slice(0, 12), wasReady }, "adopted");
    this.#attend(unit, wasReady);
  }

  /** The first start, or another one after an end. */
  start(again: boolean): void {
    if (again) {
      this.#restarts += 1;
      this.#rememberFacts();
    }
    this.#attempt = new AbortController();
    this.#earlyExit = null;
    this.#set({ kind: "preparing", pull: null });
    this.#start = this.#bringUp(again, this.#attempt.signal);
  }

  giveUp(): void {
    if (this.#state.kind === "ended") this.#set({ kind: "failed", failure: this.#state.failure });
  }

  /** Told by the runtime: a run is over. */
  exited(unit: Unit, exit: Exit): void {
    if (this.#state.kind === "preparing") this.#earlyExit = { unit, exit };
    else if (this.#unit?.life === unit.life && this.running !== null) void this.#end(unit, exit);
  }

  /** For good. Requests in flight get the grace first, then the process gets it too. Resolves when nothing of it is left. */
  async stop(): Promise<void> {
    const { endpoints, logs, clock, meter, store, log } = this.#ports;
    this.#attempt.abort();
    this.#set({ kind: "stopping" });
    const graceMs = this.#desired?.stopGraceMs ?? 10_000;
    await endpoints.write().catch((error: unknown) => log.error({ error: String(error) }, "endpoint file"));
    const untilMs = performance.now() + graceMs;
    while (performance.now() < untilMs && (await this.#openRequests()) > 0) await pause(50);
    await this.#start;
    let exitCode: number | null = null;
    for (let failures = 0; ; failures += 1) {
      try {
        if (this.#unit !== null) exitCode = await this.#stopUnit(this.#unit, graceMs);
        break;
      } catch (error) {
        // The Engine is away. Stopping is the one thing that is never given up.
        log.warn({ instance: this.instance, error: String(error) }, "a stop is tried again");
        await pause(Math.min(5_000, 200 * 2 ** Math.min(failures, 10)));
      }
    }
    await this.#attendance?.finish();
    meter.close(this);
    await store.markStopped(this.instance, this.generation);
    logs.note(this.instance, clock.nowMs(), "stopped");
    this.#set({ kind: "stopped", exitCode, atMs: clock.nowMs() });
    this.#ports.changed();
  }

  /** Lets go of it without touching what runs: the agent itself stops. */
  async leave(): Promise<void> {
    this.#attempt.abort();
    await this.#attendance?.leave();
  }

  async #stopUnit(unit: Unit, graceMs: number): Promise<number | null> {
    const { runtime, meter } = this.#ports;
    if (unit.exit === null) meter.run(unit, Date.now() - unit.startedAtMs, await runtime.usage(unit));
    return runtime.stop(unit, graceMs);
  }

  async #openRequests(): Promise<number> {
    const counters = await this.#ports.gateway.counters();
    const mine = counters?.instances.find(
      (row) => row.instance === this.instance && row.generation === this.generation,
    );
    return mine?.open ?? 0;
  }

  async #bringUp(again: boolean, signal: AbortSignal): Promise<void> {
    try {
      const restarted = again && this.#unit !== null ? await this.#ports.runtime.restart(this.#unit) : null;
      const unit = restarted ?? (await this.#launch(signal));
      this.#unit = unit;
      this.#digest = unit.digest ?? this.#digest;
      // Stopped while the start was under way: stop() waits for this and ends the unit.
      if (signal.aborted) return;
      this.#set({ kind: "starting" });
      const early = this.#earlyExit as { unit: Unit; exit: Exit } | null;
      if (early?.unit.life === unit.life) void this.#end(unit, early.exit);
      else if (unit.exit !== null) void this.#end(unit, unit.exit);
      else this.#attend(unit, false);
    } catch (error) {
      if (signal.aborted) return;
      this.#failed(startFailureOf(error), 0);
    }
  }

  async #launch(signal: AbortSignal): Promise<Unit> {
    const desired = this.#desired;
    if (desired === null) throw new Error("it is not in the document");
    const { asks, runtime, starts, platformEnvironment } = this.#ports;
    const asking = desired.hasEnvironment || desired.privateImage ? asks.secrets(desired, signal) : NO_SECRETS;
    const onProgress = (doneBytes: number, totalBytes: number) => {
      if (!signal.aborted) this.#set({ kind: "preparing", pull: { doneBytes, totalBytes } });
    };
    // A public image is looked for while the environment is on its way; a private one needs the credential first.
    const credential = desired.privateImage ? (await asking).pullCredential : null;
    const [prepared, secrets] = await Promise.all([runtime.prepare(desired, credential, onProgress, signal), asking]);
    return starts.run(() => {
      signal.throwIfAborted();
      return runtime.launch(desired, prepared, secrets, platformEnvironment(desired));
    });
  }

  /** Reads its output and asks how it is, until its run ends. */
  #attend(unit: Unit, wasReady: boolean): void {
    const attendance: Attendance = new Attendance(this.#ports, unit, this.#desired, wasReady, (fault) => {
      if (this.#attendance === attendance) void this.#becomes(fault);
    });
    this.#attendance = attendance;
    if (!wasReady) void this.#ports.endpoints.write().catch(() => undefined);
  }

  async #becomes(fault: string | null): Promise<void> {
    if (this.running === null) return;
    const { clock, endpoints, log } = this.#ports;
    const readySinceMs = this.#state.kind === "running" ? this.#state.readySinceMs : clock.nowMs();
    const failure = fault === null ? null : unreadyFailure(fault);
    const first = !this.#everReady;
    this.#everReady ||= fault === null;
    this.#state = { kind: "running", readySinceMs, failure };
    this.#sinceMs = clock.nowMs();
    // The gateway must know it before anyone is sent there: first the file, then the report.
    await endpoints.write().catch((error: unknown) => log.error({ error: String(error) }, "endpoint file"));
    if (first) this.#rememberFacts();
    this.#ports.changed();
  }

  async #end(unit: Unit, exit: Exit): Promise<void> {
    const { runtime, clock, limits, meter } = this.#ports;
    const attendance = this.#attendance;
    this.#attendance = null;
    const readyForMs = this.#state.kind === "running" ? clock.nowMs() - this.#state.readySinceMs : 0;
    this.#unit = { ...unit, exit };
    meter.run(unit, (exit.endedAtMs ?? Date.now()) - unit.startedAtMs, null);
    // A run that ended before anyone read along has its output read now.
    const reading = attendance ?? new Attendance(this.#ports, unit, null, true, () => undefined);
    const [logTail] = await Promise.all([runtime.logTail(unit, limits.logTailLines), reading.finish()]);
    if (this.#state.kind === "stopping" || this.#state.kind === "stopped") return;
    const memoryBytes = this.#desired?.resources.memoryBytes ?? null;
    this.#failed(exitFailure(exit, attendance?.doom ?? null, memoryBytes, logTail), readyForMs);
  }

  #failed(failure: InstanceFailure, readyForMs: number): void {
    const { clock, limits, logs, log } = this.#ports;
    this.#crashes = crashesAfter(this.#crashes, readyForMs, limits);
    const nowMs = clock.nowMs();
    const retryAtMs = nowMs + restartDelayMs(this.#crashes, limits);
    const { code, message, exitCode } = failure;
    log.warn(
      { instance: this.instance, code, failure: message, exitCode, crashes: this.#crashes },
      "an instance ended",
    );
    logs.note(this.instance, nowMs, `${code}: ${message}`);
    this.#set({ kind: "ended", failure, endedAtMs: nowMs, retryAtMs });
    this.#unreportedEnd = this.#observedNow();
    void this.#ports.endpoints.write().catch(() => undefined);
  }

  #rememberFacts(): void {
    const { meter, log } = this.#ports;
    if (this.#unit === null) return;
    meter.remember(this.#unit, { restarts: this.#restarts, everReady: this.#everReady });
    void meter.save().catch((error: unknown) => log.error({ error: String(error) }, "metering file"));
  }

  #set(state: LocalState): void {
    if (this.#state.kind === "stopped") return;
    if (this.#state.kind === "stopping" && state.kind !== "stopped") return;
    if (state.kind !== this.#state.kind) this.#sinceMs = this.#ports.clock.nowMs();
    this.#state = state;
    this.#ports.changed();
  }

  #observedNow(): ObservedInstance {
    return {
      instance: this.instance,
      generation: this.generation,
      app: this.app,
      status: observedStatus(this.#state),
      restarts: this.#restarts,
      digest: this.#digest,
      sinceMs: Math.max(0, Math.round(this.#sinceMs)),
    };
  }
}
