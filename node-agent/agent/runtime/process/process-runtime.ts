// Instances as detached processes, for machines without an Engine. For trusted code only: nothing here isolates tenants.
import { rm } from "node:fs/promises";
import { arch, platform as osPlatform } from "node:os";
import { join } from "node:path";
import type { DesiredInstance } from "../../../../contracts/desired.ts";
import { pause } from "../../link/pause.ts";
import type { PullCredential, Secrets } from "../../link/asks.ts";
import { identifyProcess, isAlive } from "../../state/process-id.ts";
import {
  type Exit,
  type LogFollower,
  type OnLine,
  type OnProgress,
  type PlatformEnvironment,
  type Prepared,
  type Restarted,
  type Runtime,
  type RuntimePlace,
  StartFailed,
  type StoredImage,
  type Unit,
  type Usage,
} from "../runtime.ts";
import { followOutput, tailOutput } from "./output-file.ts";
import { DISK_FULL } from "../disk-full.ts";
import { Ports } from "./ports.ts";
import { instanceFolder, readRecords, RecordStore, type RunRecord, unitOfRecord } from "./run-record.ts";
import { layOut, spawnDetached } from "./spawn.ts";
import { findLeaders, readProcesses, sessionEnds, signalSession, startedWith, usageOfSession } from "./sessions.ts";

/** Marks every process with its node, instance and generation. */
const GENERATION_MARK = "BERTH_GENERATION";
const DEFAULT_COMMAND = ["node", "."];

export class ProcessRuntime implements Runtime {
  readonly kind = "process" as const;
  readonly platform = processPlatform();
  /** Bundles are all that it runs, and the agent itself keeps them. There is no Engine that could go away. */
  readonly images = (): Promise<StoredImage[]> => Promise.resolve([]);
  readonly removeImage = (): Promise<void> => Promise.resolve();
  readonly isolation = (): Promise<null> => Promise.resolve(null);
  readonly dataFolder = (): Promise<string | null> => Promise.resolve(null);
  readonly onEngine = (): void => undefined;
  readonly whenUp = (): Promise<void> => Promise.resolve();
  readonly #ports: RuntimePlace;
  readonly #freePorts = new Ports();
  readonly #records = new Map<string, RunRecord>();
  readonly #stored: RecordStore;
  /** In memory only; a restart after a restart of the agent asks for it again. */
  readonly #environments = new Map<string, Readonly<Record<string, string>>>();
  readonly #stop = new AbortController();
  readonly #overLimit = new Set<string>();
  /** Their processes may run already and have no record yet. */
  readonly #spawning = new Set<string>();
  readonly #watching: Promise<void>;
  #onExit: (unit: Unit, exit: Exit) => void = () => undefined;

  constructor(ports: RuntimePlace) {
    this.#ports = ports;
    this.#stored = new RecordStore(ports.dir);
    this.#watching = this.#watch();
  }

  async list(): Promise<Unit[]> {
    for (const record of await readRecords(this.#ports.dir)) {
      if (!this.#records.has(record.instance)) this.#records.set(record.instance, record);
    }
    await this.#endUnrecorded();
    return this.#units();
  }

  async #units(): Promise<Unit[]> {
    const units: Unit[] = [];
    for (const record of this.#records.values()) {
      this.#freePorts.hold(record.port);
      const alive = record.process !== null && (await isAlive(record.process));
      units.push(unitOfRecord(record, alive ? null : (record.exit ?? UNSEEN)));
    }
    return units;
  }

  /** Ends are watched for all the time; what is in our folder can always be read. */
  async sweep(): Promise<{ units: Unit[]; unreadable: string[] }> {
    const unreadable = await this.#endUnrecorded();
    return { units: await this.#units(), unreadable };
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
    if (desired.job && known?.process) return unitOfRecord(known, known.exit ?? UNSEEN);
    if (prepared.kind !== "bundle") throw new StartFailed("start_failed", "this node runs bundles only");
    if (known !== undefined) this.#freePorts.release(known.port);
    const folder = instanceFolder(this.#ports.dir, desired.instance);
    await layOut(folder, prepared.folder);
    const { instance, generation, release, team, resources } = desired;
    // The process is on the node's own network: it gets that port as it is, and any other asked-for one it opens itself.
    const isHostPort = desired.hostPorts.includes(desired.port);
    const record: RunRecord = {
      instance,
      generation,
      app: desired.app,
      team,
      release,
      digest: prepared.digest,
      port: isHostPort ? desired.port : await this.#freePorts.take(),
      isHostPort,
      command: desired.command ?? DEFAULT_COMMAND,
      memoryBytes: resources.memoryBytes,
      ...{ process: null, startedAtMs: 0, exit: null },
      hasSecrets: Object.keys(secrets.environment).length > 0,
    };
    this.#environments.set(instance, { ...secrets.environment, ...platform });
    return this.#spawn(record);
  }

  async restart(unit: Unit): Promise<Restarted> {
    const record = this.#records.get(unit.instance);
    if (record === undefined || !this.#environments.has(unit.instance)) return { kind: "launch" };
    if (record.isHostPort === true) return { kind: "started", unit: await this.#spawn(record) };
    this.#freePorts.release(record.port);
    const port = await this.#freePorts.take();
    return { kind: "started", unit: await this.#spawn({ ...record, port }) };
  }

  async stop(unit: Unit, graceMs: number): Promise<number | null> {
    const record = this.#records.get(unit.instance);
    const id = record?.process;
    if (id && (await isAlive(id))) {
      await signalSession(id.pid, "SIGTERM");
      await sessionEnds(id.pid, graceMs);
    }
    // Also when the leader had ended: its children are in its session still.
    if (id) {
      for (let tries = 0; tries < 20; tries += 1) {
        await signalSession(id.pid, "SIGKILL");
        if (await sessionEnds(id.pid, 250)) break;
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

  environmentOf({ instance }: Unit): Promise<ReadonlyMap<string, string> | null> {
    return startedWith(this.#records.get(instance), this.#environments.get(instance));
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
    const { instance, command, port, generation } = record;
    const folder = instanceFolder(this.#ports.dir, instance);
    const environment = {
      PATH: process.env.PATH ?? "/usr/local/bin:/usr/bin:/bin",
      HOME: join(folder, "app"),
      NODE_ENV: "production",
      ...this.#environments.get(instance),
      PORT: String(port),
      [GENERATION_MARK]: String(generation),
    };
    this.#spawning.add(instance);
    try {
      const child = await spawnDetached(folder, command, environment);
      const pid = child.pid as number;
      const running = { ...record, process: await identifyProcess(pid), startedAtMs: Date.now(), exit: null };
      child.once("exit", (exitCode, signal) => this.#ended(instance, pid, { exitCode, signal }));
      child.unref();
      this.#records.set(instance, running);
      await this.#stored.write(running);
      const ended = child.exitCode !== null || child.signalCode !== null;
      if (ended) this.#ended(instance, pid, { exitCode: child.exitCode, signal: child.signalCode });
      return unitOfRecord(running, null);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new StartFailed(DISK_FULL.test(why) ? "disk_pressure" : "start_failed", `${command[0]}: ${why}`);
    } finally {
      this.#spawning.delete(instance);
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

  /** Processes that carry our mark but are in no record: an agent died between the two. They are ended; a word for each. */
  async #endUnrecorded(): Promise<string[]> {
    const ended: string[] = [];
    for (const { stat, environment } of await findLeaders({ BERTH_NODE: this.#ports.node })) {
      const instance = environment.get("BERTH_INSTANCE") ?? "";
      if (this.#spawning.has(instance) || this.#records.get(instance)?.process?.pid === stat.pid) continue;
      await signalSession(stat.pid, "SIGKILL");
      ended.push(`process ${stat.pid} of instance ${instance}`);
    }
    return ended;
  }
}

/** Of a process that ended while no agent ran. */
const UNSEEN: Exit = { exitCode: null, signal: null, outOfMemory: false };

/** In the Engine's words: linux/amd64. */
export function processPlatform(): string {
  return `${osPlatform()}/${arch() === "x64" ? "amd64" : arch()}`;
}
