// One instance on this node, from its start to its final stop: what it is now, and the work under way for it.
import type { DesiredInstance } from "../../../contracts/desired.ts";
import type { AppId, InstanceId } from "../../../contracts/ids.ts";
import { endpointState } from "../../../core/converge/local.ts";
import type { EndpointInstance, LeaveWindow } from "../../endpoint-file.ts";
import { pause } from "../link/pause.ts";
import { EngineAway, type Exit, type Unit } from "../runtime/runtime.ts";
import { fencedKey } from "../watchdog/roll.ts";
import { Attendance } from "./attendance.ts";
import { leaveOf, leaveWithin } from "./leave.ts";
import { endpointRow } from "./endpoint-row.ts";
import { endUnit, requestsEnd, storeStop } from "./ending.ts";
import { exitFailure, FENCED, startFailureOf, unreadyFailure } from "./failure.ts";
import { launch } from "./launch.ts";
import type { SupervisePorts } from "./ports.ts";
import { InstanceRecord } from "./record.ts";

/** An Engine that is there but refuses because it is going: asked again this much later. */
const ENGINE_AGAIN_MS = 100;

export class Instance {
  readonly instance: InstanceId;
  readonly generation: number;
  readonly #ports: SupervisePorts;
  readonly #record: InstanceRecord;
  #desired: DesiredInstance | null;
  #unit: Unit | null = null;
  /** The run that served under the agent before us, and has been serving since. */
  #servedLife: string | null = null;
  /** Of the present start: aborted when the instance is stopped, or the agent is. */
  #attempt = new AbortController();
  #start: Promise<void> = Promise.resolve();
  #attendance: Attendance | null = null;
  #endedLife: string | null = null;
  #leave: LeaveWindow | undefined;
  #earlyExit: { unit: Unit; exit: Exit } | null = null;

  constructor(
    ports: SupervisePorts,
    about: { instance: InstanceId; generation: number; app: AppId },
    desired: DesiredInstance | null,
  ) {
    this.#ports = ports;
    this.instance = about.instance;
    this.generation = about.generation;
    this.#desired = desired;
    this.#record = new InstanceRecord(ports, about);
  }

  get record(): InstanceRecord {
    return this.#record;
  }

  get team(): string | null {
    return (this.#unit ?? this.#desired)?.team ?? null;
  }

  get isStrict(): boolean {
    return this.#desired?.singleton === "strict";
  }

  get #isJob(): boolean {
    return Boolean(this.#desired?.job);
  }

  /** What runs now and can be measured. */
  get running(): Unit | null {
    const { kind } = this.#record.state;
    return kind === "starting" || kind === "running" ? this.#unit : null;
  }

  /** newServe: whether what has not been serving since before this agent may have traffic (see Arrival). */
  endpoint(intent: "run" | "drain" | "absent", newServe: boolean): EndpointInstance | null {
    const state = endpointState(this.#record.state, intent);
    const about = this.#unit ?? this.#desired;
    if (state === null || about === null) return null;
    const serves = newServe || state === "gone" || this.#unit?.life === this.#servedLife;
    const path = this.#ports.logs.pathOf(this.instance);
    const held = this.#desired?.hostPorts ?? [];
    const hostPorts = held.length > 0 ? held : undefined;
    const told = { http: this.#desired?.http, hostPorts, leave: this.#leave ?? leaveOf(this.#desired) };
    return endpointRow(about, this.#unit?.host ?? "", serves ? state : "starting", path, told);
  }

  /** The document may change what does not need a new run (its intent). */
  setDesired(desired: DesiredInstance): void {
    this.#desired = desired;
  }

  /** Takes over what an earlier agent left. wasReady: the endpoint file said that it serves. */
  adopt(unit: Unit, wasReady: boolean): void {
    const { clock, strict, log } = this.#ports;
    const record = this.#record;
    record.digest = unit.digest;
    this.#unit = unit;
    if (this.isStrict) void strict.runs(unit).catch(() => undefined);
    if (unit.exit !== null) {
      const counted = this.#isJob
        ? record.beginOver(true)
        : record.facts.ended?.life === unit.life && record.beginEnded();
      if (!counted) void this.#end(unit, unit.exit);
      else if (this.#isJob) void this.#readingOf(unit).finish();
      return;
    }
    const readySinceMs = record.facts.readySinceMs ?? clock.nowMs();
    if (wasReady) {
      void record.remember({ everReady: true, readySinceMs });
      this.#servedLife = unit.life;
    }
    record.begin(wasReady ? { kind: "running", readySinceMs, failure: null } : { kind: "starting" });
    log.info({ instance: this.instance, unit: unit.id.slice(0, 12), wasReady }, "adopted");
    this.#attend(unit, wasReady);
  }

  /** Of one that the document names and that left no unit. False: nothing is known of it, it is to be started. */
  resume(wasStopped: boolean): boolean {
    const record = this.#record;
    if (record.facts.fenced) record.begin({ kind: "failed", failure: FENCED });
    else if (wasStopped) record.begin({ kind: "stopped", exitCode: null, atMs: this.#ports.clock.nowMs() });
    else return (this.#isJob && record.beginOver(false)) || record.beginEnded();
    return true;
  }

  /** The first start, or another one after an end. */
  start(again: boolean): void {
    if (again) void this.#record.remember({ restarts: this.#record.facts.restarts + 1, ended: null });
    this.#attempt = new AbortController();
    this.#earlyExit = null;
    this.#record.set({ kind: "preparing", pull: null });
    this.#start = this.#bringUp(again, this.#attempt.signal);
  }

  giveUp(): void {
    const { state } = this.#record;
    if (state.kind === "ended") this.#record.set({ kind: "failed", failure: state.failure });
  }

  /** Told by the runtime: a run is over. */
  exited(unit: Unit, exit: Exit): void {
    if (this.#record.state.kind === "preparing") this.#earlyExit = { unit, exit };
    else if (this.#unit?.life === unit.life && this.running !== null) void this.#end(unit, exit);
  }

  /** For good. Resolves when nothing of it is left. */
  async stop(): Promise<void> {
    const { endpoints, log } = this.#ports;
    this.#attempt.abort();
    this.#record.set({ kind: "stopping" });
    const graceMs = this.#desired?.stopGraceMs ?? 10_000;
    this.#leave = leaveWithin(this.#ports.clock.nowMs(), graceMs);
    await endpoints.write().catch((error: unknown) => log.error({ error: String(error) }, "endpoint file"));
    await requestsEnd(this.#ports, this, graceMs);
    const exitCode = await this.#endForGood(graceMs);
    this.#ports.logs.note(this.instance, this.#ports.clock.nowMs(), "stopped");
    this.#record.settle({ kind: "stopped", exitCode, atMs: this.#ports.clock.nowMs() });
  }

  /** A strict singleton whose lease ran out: it ends within strictGraceMs, and is told as failed, which is final too. */
  async fence(): Promise<void> {
    const { kind } = this.#record.state;
    if (kind === "stopping" || kind === "stopped" || kind === "failed") return;
    const { endpoints, limits, notices, log } = this.#ports;
    log.warn({ instance: this.instance }, "a strict singleton is fenced");
    this.#attempt.abort();
    this.#record.set({ kind: "stopping" });
    void endpoints.write().catch((error: unknown) => log.error({ error: String(error) }, "endpoint file"));
    // No stop waits for a disk; its report does.
    const stored = this.#record.remember({ fenced: true });
    await this.#endForGood(Math.min(limits.strictGraceMs, this.#desired?.stopGraceMs ?? 0));
    await stored;
    const told = `no committed lease covered it for ${limits.strictStopMs} ms: the agent stopped it`;
    void notices.add("singleton_fenced", this.instance, told, fencedKey(this));
    this.#record.settle({ kind: "failed", failure: FENCED });
  }

  /** Lets go of it without touching what runs: the agent itself stops. */
  async leave(): Promise<void> {
    this.#attempt.abort();
    await this.#attendance?.leave();
  }

  /** Ends the unit and stores that this is final. */
  async #endForGood(graceMs: number): Promise<number | null> {
    const { meter, strict } = this.#ports;
    await this.#start;
    const exitCode = this.#unit === null ? null : await endUnit(this.#ports, this.#unit, graceMs);
    await this.#attendance?.finish();
    this.#unit = null;
    meter.close(this);
    await storeStop(this.#ports, this);
    await strict.ended(this.instance).catch(() => undefined);
    return exitCode;
  }

  async #bringUp(again: boolean, signal: AbortSignal): Promise<void> {
    const { runtime, strict } = this.#ports;
    for (;;) {
      try {
        await runtime.whenUp(signal);
        signal.throwIfAborted();
        if (this.isStrict) await strict.admit(this, signal);
        const unit = (again ? await this.#restart() : null) ?? (await this.#launch(signal));
        if (this.isStrict) await strict.runs(unit);
        return this.#started(unit, signal);
      } catch (error) {
        if (signal.aborted) return;
        // Nothing failed, and nobody is to be blamed: the Engine will be back.
        if (!(error instanceof EngineAway)) return await this.#record.failed(startFailureOf(error), null);
        await pause(ENGINE_AGAIN_MS, signal);
      }
    }
  }

  async #restart(): Promise<Unit | null> {
    if (this.#unit === null) return null;
    const restarted = await this.#ports.runtime.restart(this.#unit);
    if (restarted.kind === "started") return restarted.unit;
    if (restarted.kind === "missing") this.#noteMissing(this.#unit);
    return null;
  }

  #launch(signal: AbortSignal): Promise<Unit> {
    if (this.#desired === null) throw new Error("it is not in the document");
    const onProgress = (doneBytes: number, totalBytes: number) => {
      if (!signal.aborted) this.#record.set({ kind: "preparing", pull: { doneBytes, totalBytes } });
    };
    const begins = () => (this.#isJob ? this.#record.remember({ begun: true }) : Promise.resolve());
    return launch(this.#ports, this.#desired, onProgress, signal, begins);
  }

  #started(unit: Unit, signal: AbortSignal): void {
    this.#unit = unit;
    this.#record.digest = unit.digest ?? this.#record.digest;
    // Stopped while the start was under way: stop() waits for this and ends the unit.
    if (signal.aborted) return;
    void this.#record.remember({ readySinceMs: null });
    this.#record.set({ kind: "starting" });
    const early = this.#earlyExit as { unit: Unit; exit: Exit } | null;
    if (early?.unit.life === unit.life) void this.#end(unit, early.exit);
    else if (unit.exit !== null) void this.#end(unit, unit.exit);
    else this.#attend(unit, false);
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
    const { state } = this.#record;
    const readySinceMs = state.kind === "running" ? state.readySinceMs : clock.nowMs();
    const failure = fault === null ? null : unreadyFailure(fault);
    if (state.kind !== "running") void this.#record.remember({ everReady: true, readySinceMs });
    // The gateway must know it before anyone is sent there: first the file, then the report.
    await this.#record.becomes({ kind: "running", readySinceMs, failure }, () =>
      endpoints.write().catch((error: unknown) => log.error({ error: String(error) }, "endpoint file")),
    );
  }

  async #end(unit: Unit, exit: Exit): Promise<void> {
    // A run that ended while it was being started is found by the start, and told by the runtime as well.
    if (this.#endedLife === unit.life) return;
    this.#endedLife = unit.life;
    const { limits, meter } = this.#ports;
    const attendance = this.#attendance;
    this.#attendance = null;
    this.#unit = { ...unit, pid: null, exit };
    if (exit.cause === "missing") this.#noteMissing(unit);
    meter.run(unit, (exit.endedAtMs ?? Date.now()) - unit.startedAtMs, null);
    // A run that ended before anyone read along has its output read now.
    const reading = attendance ?? this.#readingOf(unit);
    const [logTail] = await Promise.all([reading.tail(limits.logTailLines), reading.finish()]);
    const { kind } = this.#record.state;
    if (kind === "stopping" || kind === "stopped") return;
    const memoryBytes = this.#desired?.resources.memoryBytes ?? null;
    const failure = exitFailure(exit, attendance?.doom ?? null, memoryBytes, logTail);
    await (this.#isJob ? this.#record.over({ unit, exit }, failure) : this.#record.failed(failure, { unit, exit }));
  }

  #readingOf(unit: Unit): Attendance {
    return new Attendance(this.#ports, unit, null, true, () => undefined);
  }

  #noteMissing({ life }: Unit): void {
    const { notices, log } = this.#ports;
    log.warn({ instance: this.instance }, "its container was removed by somebody");
    const told = `its container was removed by somebody${this.#isJob ? "" : ", and is made anew"}`;
    void notices.add("container_missing", this.instance, told, `missing/${life}`);
  }
}
