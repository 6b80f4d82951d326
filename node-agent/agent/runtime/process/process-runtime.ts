// Instances as detached processes, for machines without an Engine. For trusted code only: nothing here isolates tenants.
import { spawn } from "node:child_process";
import { cp, mkdir, open, rm } from "node:fs/promises";
import { arch, platform as osPlatform } from "node:os";
import { join } from "node:path";
import type { DesiredInstance } from "../../../../contracts/desired.ts";
import type { NodeId } from "../../../../contracts/ids.ts";
import type { AgentLimits } from "../../../../core/converge/limits.ts";
import { pause } from "../../link/pause.ts";
import type { PullCredential, Secrets } from "../../link/asks.ts";
import { identifyProcess, isAlive } from "../../state/process-id.ts";
import type { Bundles } from "../bundles.ts";
import {
  type Exit,
  type LogFollower,
  type OnLine,
  type OnProgress,
  type PlatformEnvironment,
  type Prepared,
  type Runtime,
  StartFailed,
  type Unit,
  type Usage,
} from "../runtime.ts";
import { followOutput, OUTPUT_FILES, tailOutput } from "./output-file.ts";
import { Ports } from "./ports.ts";
import { instanceFolder, readRecords, RecordStore, type RunRecord, unitOfRecord } from "./run-record.ts";
import { findLeaders, readProcesses, signalSession, usageOfSession } from "./sessions.ts";

export interface ProcessPorts {
  readonly dir: string;
  readonly node: NodeId;
  readonly limits: AgentLimits;
  readonly bundles: Bundles;
}

/** Marks every process with its node, instance and generation. */
const GENERATION_MARK = "BERTH_GENERATION";
const DEFAULT_COMMAND = ["node", "."];

export class ProcessRuntime implements Runtime {
  readonly kind = "process" as const;
  readonly platform = processPlatform();
  readonly #ports: ProcessPorts;
  readonly #freePorts = new Ports();
  readonly #records = new Map<string, RunRecord>();
  readonly #stored: RecordStore;
  /** In memory only; a restart after a restart of the agent asks for it again. */
  readonly #environments = new Map<string, Readonly<Record<string, string>>>();
  readonly #stop = new AbortController();
  readonly #overLimit = new Set<string>();
  readonly #watching: Promise<void>;
  #onExit: (unit: Unit, exit: Exit) => void = () => undefined;

  constructor(ports: ProcessPorts) {
    this.#ports = ports;
    this.#stored = new RecordStore(ports.dir);
    this.#watching = this.#watch();
  }

  async list(): Promise<Unit[]> {
    for (const record of await readRecords(this.#ports.dir)) {
      if (!this.#records.has(record.instance)) this.#records.set(record.instance, record);
    }
    await this.#adoptMarked();
    const units: Unit[] = [];
    for (const record of this.#records.values()) {
      this.#freePorts.hold(record.port);
      const alive = record.process !== null && (await isAlive(record.process));
      units.push(unitOfRecord(record, alive ? null : (record.exit ?? UNSEEN)));
    }
    return units;
  }

  onExit(listener: (unit: Unit, exit: Exit) => void): void {
    this.#onExit = listener;
  }

  async prepare(
    desired: DesiredInstance,
    _credential: PullCredential | null,
    _onProgress: OnProgress,
    signal: AbortSignal,
  ): Promise<Prepared> {
    const { source, instance } = desired;
    if (source.kind !== "bundle") {
      throw new StartFailed("start_failed", "this node runs bundles only: it has no Docker Engine");
    }
    return {
      kind: "bundle",
      ...(await this.#ports.bundles.ensure(source.hash, instance, signal)),
      digest: source.hash,
    };
  }

  async launch(
    desired: DesiredInstance,
    prepared: Prepared,
    secrets: Secrets,
    platform: PlatformEnvironment,
  ): Promise<Unit> {
    const known = this.#records.get(desired.instance);
    if (known?.process && (await isAlive(known.process))) return unitOfRecord(known, null);
    if (prepared.kind !== "bundle") throw new StartFailed("start_failed", "this node runs bundles only");
    if (known !== undefined) this.#freePorts.release(known.port);
    const folder = instanceFolder(this.#ports.dir, desired.instance);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const app = join(folder, "app");
    await rm(app, { recursive: true, force: true });
    await cp(prepared.folder, app, { recursive: true, verbatimSymlinks: true });
    const { instance, generation, release, team, resources } = desired;
    const record: RunRecord = {
      instance,
      generation,
      app: desired.app,
      team,
      release,
      digest: prepared.digest,
      port: await this.#freePorts.take(),
      command: desired.command ?? DEFAULT_COMMAND,
      memoryBytes: resources.memoryBytes,
      process: null,
      startedAtMs: 0,
      exit: null,
    };
    this.#environments.set(instance, { ...secrets.environment, ...platform });
    return this.#spawn(record);
  }

  async restart(unit: Unit): Promise<Unit | null> {
    const record = this.#records.get(unit.instance);
    if (record === undefined || !this.#environments.has(unit.instance)) return null;
    this.#freePorts.release(record.port);
    return this.#spawn({ ...record, port: await this.#freePorts.take() });
  }

  async stop(unit: Unit, graceMs: number): Promise<number | null> {
    const record = this.#records.get(unit.instance);
    const id = record?.process;
    if (id && (await isAlive(id))) {
      await signalSession(id.pid, "SIGTERM");
      await this.#gone(id.pid, graceMs);
    }
    // Also when the leader had ended: its children are in its session still.
    if (id) {
      for (let tries = 0; tries < 20; tries += 1) {
        await signalSession(id.pid, "SIGKILL");
        if (await this.#gone(id.pid, 250)) break;
      }
    }
    const exitCode = this.#records.get(unit.instance)?.exit?.exitCode ?? null;
    this.#records.delete(unit.instance);
    await this.#stored.settle(unit.instance);
    this.#environments.delete(unit.instance);
    if (record !== undefined) this.#freePorts.release(record.port);
    await rm(instanceFolder(this.#ports.dir, unit.instance), { recursive: true, force: true });
    return exitCode;
  }

  async kill(unit: Unit): Promise<void> {
    const id = this.#records.get(unit.instance)?.process;
    if (id && (await isAlive(id))) await signalSession(id.pid, "SIGKILL");
  }

  async usage(unit: Unit): Promise<Usage | null> {
    const id = this.#records.get(unit.instance)?.process;
    return id && (await isAlive(id)) ? usageOfSession(id.pid, await readProcesses()) : null;
  }

  logTail(unit: Unit, lines: number): Promise<string[]> {
    return tailOutput(instanceFolder(this.#ports.dir, unit.instance), lines, this.#ports.limits.logLineBytesMax);
  }

  /** Lines written while no agent ran are read from the raw file if none of it was read yet, and passed over otherwise. */
  follow(unit: Unit, since: { atMs: number; linesAtThatMs: number } | null, onLine: OnLine): LogFollower {
    const { logFileBytesMax: fileBytesMax, logLineBytesMax: lineBytesMax } = this.#ports.limits;
    return followOutput(
      instanceFolder(this.#ports.dir, unit.instance),
      since === null,
      { fileBytesMax, lineBytesMax },
      onLine,
    );
  }

  tidy(): Promise<void> {
    return Promise.resolve();
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#watching;
  }

  async #spawn(record: RunRecord): Promise<Unit> {
    const folder = instanceFolder(this.#ports.dir, record.instance);
    const [name = "node", ...args] = record.command;
    const environment = {
      PATH: process.env.PATH ?? "/usr/local/bin:/usr/bin:/bin",
      HOME: join(folder, "app"),
      NODE_ENV: "production",
      ...this.#environments.get(record.instance),
      PORT: String(record.port),
      [GENERATION_MARK]: String(record.generation),
    };
    const stdout = await open(join(folder, OUTPUT_FILES.stdout), "a", 0o600);
    const stderr = await open(join(folder, OUTPUT_FILES.stderr), "a", 0o600);
    try {
      const child = spawn(name === "node" ? process.execPath : name, args, {
        cwd: join(folder, "app"),
        env: environment,
        detached: true,
        stdio: ["ignore", stdout.fd, stderr.fd],
      });
      await new Promise<void>((resolve, reject) => {
        child.once("spawn", resolve);
        child.once("error", reject);
      });
      const pid = child.pid as number;
      const running = { ...record, process: await identifyProcess(pid), startedAtMs: Date.now(), exit: null };
      child.once("exit", (exitCode, signal) => this.#ended(record.instance, pid, { exitCode, signal }));
      child.unref();
      this.#records.set(record.instance, running);
      await this.#stored.write(running);
      const ended = child.exitCode !== null || child.signalCode !== null;
      if (ended) this.#ended(record.instance, pid, { exitCode: child.exitCode, signal: child.signalCode });
      return unitOfRecord(running, null);
    } catch (error) {
      throw new StartFailed("start_failed", `${name}: ${error instanceof Error ? error.message : String(error)}`);
    } finally {
      await stdout.close();
      await stderr.close();
    }
  }

  /** Told once per process; what it left running in its session ends with it. */
  #ended(
    instance: string,
    pid: number,
    { exitCode, signal }: { exitCode: number | null; signal: string | null },
  ): void {
    const record = this.#records.get(instance);
    if (record === undefined || record.exit !== null || (record.process !== null && record.process.pid !== pid)) return;
    const exit = { exitCode, signal, outOfMemory: this.#overLimit.delete(instance) };
    const ended = { ...record, exit };
    this.#records.set(instance, ended);
    void signalSession(pid, "SIGKILL");
    void this.#stored.write(ended).catch(() => undefined);
    this.#onExit(unitOfRecord(ended, exit), exit);
  }

  /** Memory of all trees, and the ends of those that are not our children. */
  async #watch(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      await pause(this.#ports.limits.memoryWatchMs, this.#stop.signal);
      const running = [...this.#records.values()].filter(({ exit, process: id }) => exit === null && id !== null);
      if (running.length === 0) continue;
      const processes = await readProcesses();
      for (const { instance, process: id, memoryBytes } of running) {
        if (id === null) continue;
        const leader = processes.find(({ pid, startTicks }) => pid === id.pid && startTicks === id.startTicks);
        if (leader === undefined) {
          if (!(await isAlive(id))) this.#ended(instance, id.pid, { exitCode: null, signal: null });
        } else if (usageOfSession(id.pid, processes).memoryBytes > memoryBytes) {
          this.#overLimit.add(instance);
          await signalSession(id.pid, "SIGKILL");
        }
      }
    }
  }

  /** Processes that carry our mark but whose record was never written: the agent died between the two. They are ended. */
  async #adoptMarked(): Promise<void> {
    for (const { stat, environment } of await findLeaders({ BERTH_NODE: this.#ports.node })) {
      const record = this.#records.get(environment.get("BERTH_INSTANCE") ?? "");
      if (record?.process?.pid !== stat.pid) await signalSession(stat.pid, "SIGKILL");
    }
  }

  async #gone(leader: number, timeoutMs: number): Promise<boolean> {
    const untilMs = performance.now() + timeoutMs;
    while ((await readProcesses()).some(({ session }) => session === leader)) {
      if (performance.now() >= untilMs) return false;
      await pause(20);
    }
    return true;
  }
}

/** Of a process that ended while no agent ran. */
const UNSEEN: Exit = { exitCode: null, signal: null, outOfMemory: false };

/** In the Engine's words: linux/amd64. */
export function processPlatform(): string {
  return `${osPlatform()}/${arch() === "x64" ? "amd64" : arch()}`;
}
