// Instances as containers of a Docker Engine. The labels say what runs; the Engine is asked, never assumed.
import { createReadStream } from "node:fs";
import Docker from "dockerode";
import type { DesiredInstance } from "../../../../contracts/desired.ts";
import type { NodeId } from "../../../../contracts/ids.ts";
import type { AgentLimits } from "../../../../core/converge/limits.ts";
import type { PullCredential, Secrets } from "../../link/asks.ts";
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
import { BundleImage } from "./bundle-image.ts";
import { followContainer, tailContainer } from "./container-logs.ts";
import { containerSpec } from "./container-spec.ts";
import { EngineEvents } from "./engine-events.ts";
import { isEngineAway, messageOf, startFailure, statusOf } from "./failures.ts";
import { Images } from "./images.ts";
import { containerName, LABEL } from "./labels.ts";
import { Networks } from "./networks.ts";
import { unitOf, usageOf } from "./unit.ts";

export interface DockerPorts {
  readonly node: NodeId;
  readonly limits: AgentLimits;
  readonly bundles: Bundles;
}

/** The Engine's platform, or null when none answers. */
export async function findEngine(): Promise<{ docker: Docker; platform: string } | null> {
  const docker = new Docker();
  try {
    const { Os, Arch } = await docker.version();
    return { docker, platform: `${Os}/${Arch}` };
  } catch {
    return null;
  }
}

export class DockerRuntime implements Runtime {
  readonly kind = "docker" as const;
  readonly platform: string;
  readonly #docker: Docker;
  readonly #ports: DockerPorts;
  readonly #images: Images;
  readonly #networks: Networks;
  readonly #bundleImage: BundleImage;
  readonly #events: EngineEvents;
  readonly #running: Promise<void>;
  /** Lives whose end was told, so that the event stream and a listing tell it once. */
  readonly #told = new Set<string>();
  /** As last seen, by container: for the end of one that somebody removed. */
  readonly #seen = new Map<string, Unit>();
  #onExit: (unit: Unit, exit: Exit) => void = () => undefined;

  constructor({ docker, platform }: { docker: Docker; platform: string }, ports: DockerPorts) {
    this.#docker = docker;
    this.platform = platform;
    this.#ports = ports;
    this.#images = new Images(docker, platform, ports.limits.pullStallMs);
    this.#networks = new Networks(docker, ports.node);
    this.#bundleImage = new BundleImage(docker);
    this.#events = new EngineEvents(docker, ports.node, {
      died: (id) => void this.#look(id),
      lookAgain: () => void this.#lookAtAll(),
    });
    this.#running = this.#events.run();
  }

  async list(): Promise<Unit[]> {
    const found = await this.#docker.listContainers({
      all: true,
      filters: { label: [`${LABEL.node}=${this.#ports.node}`] },
    });
    const units = await Promise.all(found.map(({ Id }) => this.#inspect(Id)));
    return units.filter((unit) => unit !== null);
  }

  onExit(listener: (unit: Unit, exit: Exit) => void): void {
    this.#onExit = listener;
  }

  async prepare(
    desired: DesiredInstance,
    credential: PullCredential | null,
    onProgress: OnProgress,
    signal: AbortSignal,
  ): Promise<Prepared> {
    const { source } = desired;
    const network = this.#network(desired.team);
    if (source.kind === "image") {
      const image = this.#images.prepare({ ...source, credential, onProgress, signal });
      return (await Promise.all([image, network]))[0];
    }
    const unpacked = this.#ports.bundles.ensure(source.hash, desired.instance, signal);
    const [files] = await Promise.all([unpacked, network, this.#bundleImage.ensure()]);
    return { kind: "bundle", ...files, digest: source.hash };
  }

  async launch(
    desired: DesiredInstance,
    prepared: Prepared,
    secrets: Secrets,
    platform: PlatformEnvironment,
  ): Promise<Unit> {
    const existing = await this.#inspect(containerName(desired));
    if (existing !== null) return existing.exit === null ? existing : this.#start(existing.id);
    const environment = { ...secrets.environment, PORT: String(desired.port), ...platform };
    try {
      return await this.#create(desired, prepared, environment);
    } catch (error) {
      await this.#discard(containerName(desired));
      if (statusOf(error) !== 404) throw asStartFailure(error);
      // The network or the image was removed since it was last seen: once more, with nothing taken for granted.
      this.#networks.forget(desired.team);
      this.#bundleImage.forget();
    }
    try {
      return await this.#create(desired, prepared, environment);
    } catch (error) {
      await this.#discard(containerName(desired));
      if (statusOf(error) === 404) throw new StartFailed("image_pull_failed", messageOf(error));
      throw asStartFailure(error);
    }
  }

  async #create(desired: DesiredInstance, prepared: Prepared, environment: Record<string, string>): Promise<Unit> {
    const bundleImage = prepared.kind === "bundle" ? await this.#bundleImage.ensure() : "";
    const network = await this.#network(desired.team);
    const spec = containerSpec({ node: this.#ports.node, desired, prepared, network, bundleImage, environment });
    const container = await this.#docker.createContainer(spec);
    if (prepared.kind === "bundle") {
      await container.putArchive(createReadStream(prepared.archive), { path: "/app" });
    }
    return this.#start(container.id);
  }

  #network(team: string): Promise<string> {
    return this.#networks.ensure(team).catch((error: unknown) => {
      throw new StartFailed("start_failed", `the team's network could not be made: ${messageOf(error)}`);
    });
  }

  async restart(unit: Unit): Promise<Unit | null> {
    try {
      return await this.#start(unit.id);
    } catch (error) {
      if (statusOf(error) === 404) {
        await this.#discard(unit.id);
        this.#seen.delete(unit.id);
        return null;
      }
      throw asStartFailure(error);
    }
  }

  async stop(unit: Unit, graceMs: number): Promise<number | null> {
    const container = this.#docker.getContainer(unit.id);
    this.#told.add(unit.life);
    try {
      await container.stop({ t: Math.ceil(graceMs / 1_000) });
    } catch (error) {
      // 304: it had ended already. 404: somebody removed it.
      if (statusOf(error) !== 304 && statusOf(error) !== 404) throw error;
    }
    const exitCode = (await this.#inspect(unit.id))?.exit?.exitCode ?? null;
    await this.#discard(unit.id);
    this.#told.delete(unit.life);
    this.#seen.delete(unit.id);
    return exitCode;
  }

  async kill(unit: Unit): Promise<void> {
    try {
      await this.#docker.getContainer(unit.id).kill();
    } catch (error) {
      // 409: it is not running. 404: it is gone. Either way it has ended.
      if (statusOf(error) !== 409 && statusOf(error) !== 404) throw error;
    }
  }

  async usage(unit: Unit): Promise<Usage | null> {
    try {
      return usageOf(await this.#docker.getContainer(unit.id).stats({ stream: false, "one-shot": true }));
    } catch {
      return null;
    }
  }

  logTail(unit: Unit, lines: number): Promise<string[]> {
    return tailContainer(this.#docker, unit.id, unit.startedAtMs, lines).catch(() => []);
  }

  follow(unit: Unit, since: { atMs: number; linesAtThatMs: number } | null, onLine: OnLine): LogFollower {
    return followContainer(this.#docker, unit.id, since, this.#ports.limits.logLineBytesMax, onLine);
  }

  tidy(teams: ReadonlySet<string>): Promise<void> {
    return this.#networks.keepOnly(teams);
  }

  async close(): Promise<void> {
    this.#events.stop();
    await this.#running;
  }

  async #start(id: string): Promise<Unit> {
    await this.#docker.getContainer(id).start();
    const unit = await this.#inspect(id);
    if (unit === null) throw new StartFailed("start_failed", "the container vanished while it started");
    // One that ended before it was looked at is told like any other end; the caller goes by that.
    if (unit.exit !== null) setImmediate(() => this.#tell(unit));
    return unit;
  }

  async #look(id: string): Promise<void> {
    const seen = this.#seen.get(id);
    const unit = await this.#inspect(id).catch(() => undefined);
    if (unit) this.#tell(unit);
    else if (unit === null && seen !== undefined) this.#tell({ ...seen, exit: REMOVED });
  }

  async #lookAtAll(): Promise<void> {
    const before = [...this.#seen.keys()];
    const units = await this.list().catch(() => null);
    if (units === null) return;
    for (const unit of units) this.#tell(unit);
    const found = new Set(units.map(({ id }) => id));
    for (const id of before) if (!found.has(id)) await this.#look(id);
  }

  #tell(unit: Unit): void {
    if (unit.exit === null || this.#told.has(unit.life)) return;
    this.#told.add(unit.life);
    if (this.#told.size > 10_000) this.#told.delete(this.#told.values().next().value as string);
    this.#onExit(unit, unit.exit);
  }

  async #inspect(name: string): Promise<Unit | null> {
    try {
      const unit = unitOf(this.#ports.node, await this.#docker.getContainer(name).inspect());
      if (unit !== null) this.#seen.set(unit.id, unit);
      return unit;
    } catch (error) {
      if (statusOf(error) === 404) return null;
      throw error;
    }
  }

  async #discard(name: string): Promise<void> {
    try {
      await this.#docker.getContainer(name).remove({ force: true, v: true });
    } catch (error) {
      if (statusOf(error) !== 404 && statusOf(error) !== 409) throw error;
    }
  }
}

/** Somebody took the container away: how it ended is not to be known any more. */
const REMOVED: Exit = { exitCode: null, signal: null, outOfMemory: false };

function asStartFailure(error: unknown): unknown {
  return error instanceof StartFailed || isEngineAway(error) ? error : startFailure(error);
}
