// Instances as containers of a Docker Engine. The labels say what runs; the Engine is asked, never assumed.
import Docker from "dockerode";
import type { DesiredInstance } from "../../../../contracts/desired.ts";
import type { PullCredential, Secrets } from "../../link/asks.ts";
import { TablesFailed } from "../../firewall/tables.ts";
import {
  EngineAway,
  type EngineChange,
  type Exit,
  type LogFollower,
  type OnLine,
  type OnProgress,
  type PlatformEnvironment,
  type Prepared,
  type Restarted,
  type Runtime,
  type RuntimeIsolation,
  type RuntimePlace,
  StartFailed,
  type StoredImage,
  type Unit,
  type Usage,
} from "../runtime.ts";
import { Addresses } from "./addresses.ts";
import { BundleImage } from "./bundle-image.ts";
import { Confiner } from "./confiner.ts";
import { bounded, followContainer, tailContainer } from "./container-logs.ts";
import { Containers, isAddressTaken } from "./containers.ts";
import { Ends } from "./ends.ts";
import { EngineEvents } from "./engine-events.ts";
import { isEngineAway, messageOf, startFailure, statusOf } from "./failures.ts";
import { ImageLedger } from "./image-ledger.ts";
import { RegistryDoor } from "../../outbound/registry-door.ts";
import { Images } from "./images.ts";
import { containerName } from "./labels.ts";
import { Networks } from "./networks.ts";
import { isTaken, startedWith, usageOf } from "./unit.ts";
import { Written } from "./written.ts";

/** One that is only being started may take connections long before it answers. */
const FIND_TIMEOUT_MS = 5_000;

/** The Engine's platform, or null when none answers. */
export async function findEngine(): Promise<{ docker: Docker; platform: string } | null> {
  try {
    const { Os, Arch } = await new Docker({ timeout: FIND_TIMEOUT_MS }).version();
    return { docker: new Docker(), platform: `${Os}/${Arch}` };
  } catch {
    return null;
  }
}

export class DockerRuntime implements Runtime {
  readonly kind = "docker" as const;
  readonly platform: string;
  readonly #docker: Docker;
  readonly #place: RuntimePlace;
  readonly #images: Images;
  readonly #networks: Networks;
  readonly #addresses: Addresses;
  readonly #bundleImage: BundleImage;
  readonly #containers: Containers;
  readonly #confiner: Confiner;
  readonly #written: Written;
  readonly #ends: Ends;
  readonly #events: EngineEvents;
  readonly #running: Promise<unknown>;

  #onEngine: (change: EngineChange) => void = () => undefined;

  constructor({ docker, platform }: { docker: Docker; platform: string }, place: RuntimePlace) {
    const { node, limits, dir, gate, firewall, nameServers, outboundAllowed } = place;
    this.#docker = docker;
    this.platform = platform;
    this.#place = place;
    const ledger = new ImageLedger(dir);
    this.#images = new Images(docker, {
      ...{ platform, stallMs: limits.pullStallMs, gate, ledger },
      door: new RegistryDoor({ exceptions: outboundAllowed }),
    });
    this.#networks = new Networks(docker, node, firewall);
    this.#addresses = new Addresses(limits.addressQuarantineMs);
    this.#bundleImage = new BundleImage(docker);
    this.#confiner = new Confiner(docker, limits, nameServers);
    const parts = { networks: this.#networks, addresses: this.#addresses, bundleImage: this.#bundleImage };
    this.#containers = new Containers({ docker, node, ...parts, confiner: this.#confiner });
    const over = (id: string, message: string) => this.#ends.condemn(id, { cause: "disk", why: message });
    this.#ends = new Ends(docker, this.#containers, limits, () => this.#events.answers());
    this.#written = new Written({ docker, node, lookMs: limits.writtenLookMs, over });
    this.#events = new EngineEvents(docker, node, {
      died: (id) => void this.#ends.look(id),
      outOfMemory: (id) => this.#ends.outOfMemory(id),
      engine: (change) => {
        this.#onEngine(change);
        if (change.kind === "away") return;
        this.#confiner.forget();
        void this.sweep(true).catch(() => undefined);
        // It may have written its own rules anew.
        void this.#networks.coverOlder().catch(() => undefined);
      },
    });
    this.#running = Promise.all([this.#events.run(), this.#written.run()]);
    void this.#networks.coverOlder().catch(() => undefined);
  }

  async list(): Promise<Unit[]> {
    return (await this.#containers.list()).units;
  }

  /** afterEngine: what ended since the last look ended with the Engine. */
  async sweep(afterEngine = false): Promise<{ units: Unit[]; unreadable: string[] }> {
    const before = this.#containers.seenIds;
    const { units, unreadable } = await this.#containers.list();
    for (const unit of units) this.#ends.tell(unit, afterEngine ? "engine" : undefined);
    const found = new Set(units.map(({ id }) => id));
    for (const id of before) if (!found.has(id)) await this.#ends.look(id);
    const removed: string[] = [];
    for (const id of unreadable) {
      await this.#containers.discard(id);
      removed.push(`container ${id.slice(0, 12)}`);
    }
    return { units, unreadable: removed };
  }

  onEngine(listener: (change: EngineChange) => void): void {
    this.#onEngine = listener;
    if (this.#events.isAway) listener({ kind: "away" });
  }

  whenUp(signal: AbortSignal): Promise<void> {
    return this.#events.whenUp(signal);
  }

  onExit(listener: (unit: Unit, exit: Exit) => void): void {
    this.#ends.onExit = listener;
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
      const image = this.#images.prepare({ ...source, team: desired.team, credential, onProgress, signal });
      return (await Promise.all([image, network]))[0];
    }
    const unpacked = this.#place.bundles.ensure(source.hash, desired.instance, signal);
    const [files] = await Promise.all([unpacked, network, this.#bundleImage.ensure()]);
    return { kind: "bundle", ...files, digest: source.hash };
  }

  async launch(
    desired: DesiredInstance,
    prepared: Prepared,
    secrets: Secrets,
    platform: PlatformEnvironment,
  ): Promise<Unit> {
    const environment = { ...secrets.environment, PORT: String(desired.port), ...platform };
    try {
      const existing = await this.#containers.unit(containerName(desired));
      const found =
        existing && (isTaken(existing, desired) ? existing : await this.#containers.startIfStaying(existing));
      if (found !== null) return found === existing ? found : this.#ends.noted(found);
      return this.#ends.noted(await this.#create(desired, prepared, environment));
    } catch (error) {
      throw await this.#asStartFailure(error);
    }
  }

  /** The network or the image may have been removed since it was last seen: then once more, with nothing taken for granted. */
  async #create(desired: DesiredInstance, prepared: Prepared, environment: Record<string, string>): Promise<Unit> {
    try {
      return await this.#containers.create(desired, prepared, environment);
    } catch (error) {
      if (statusOf(error) !== 404) throw error;
      this.#networks.forget(desired.team);
      this.#bundleImage.forget();
    }
    try {
      return await this.#containers.create(desired, prepared, environment);
    } catch (error) {
      if (statusOf(error) === 404) throw new StartFailed("image_pull_failed", messageOf(error));
      throw error;
    }
  }

  #network(team: string): Promise<unknown> {
    return this.#networks.ensure(team).catch((error: unknown) => {
      if (isEngineAway(error)) throw new EngineAway(messageOf(error));
      // The host's fault, and tried again: nothing is wrong with the release.
      if (error instanceof TablesFailed) throw error;
      throw new StartFailed("start_failed", `the team's network could not be made: ${messageOf(error)}`);
    });
  }

  async restart(unit: Unit): Promise<Restarted> {
    if (this.#ends.wasOverfull(unit.id)) {
      await this.#containers.discard(unit.id);
      return { kind: "launch" };
    }
    try {
      return { kind: "started", unit: await this.#started(unit.id) };
    } catch (error) {
      // 404: somebody removed it, or its network. 409: somebody is removing it.
      if (statusOf(error) === 404 || statusOf(error) === 409 || isAddressTaken(error)) {
        await this.#containers.discard(unit.id);
        return { kind: statusOf(error) === null ? "launch" : "missing" };
      }
      throw await this.#asStartFailure(error);
    }
  }

  async stop(unit: Unit, graceMs: number): Promise<number | null> {
    const container = this.#docker.getContainer(unit.id);
    this.#ends.expect(unit);
    try {
      await container.stop({ t: Math.ceil(graceMs / 1_000) });
    } catch (error) {
      // 304: it had ended already. 404: somebody removed it.
      if (statusOf(error) !== 304 && statusOf(error) !== 404) throw error;
    }
    const exitCode = (await this.#containers.unit(unit.id))?.exit?.exitCode ?? null;
    await this.#containers.discard(unit.id);
    this.#ends.forget(unit);
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

  environmentOf(unit: Unit): Promise<ReadonlyMap<string, string> | null> {
    return startedWith(this.#docker, unit.id);
  }

  logTail(unit: Unit, lines: number): Promise<string[]> {
    return tailContainer(this.#docker, unit.id, unit.startedAtMs, lines).catch(() => []);
  }

  follow(unit: Unit, since: { atMs: number; linesAtThatMs: number } | null, onLine: OnLine): LogFollower {
    const { limits } = this.#place;
    const flooded = (why: string) => void this.#ends.condemn(unit.id, { cause: "logs", why });
    return followContainer(this.#docker, unit.id, since, limits.logLineBytesMax, bounded(limits, onLine, flooded));
  }

  async tidy(teams: ReadonlySet<string>): Promise<void> {
    for (const network of await this.#networks.keepOnly(teams)) this.#addresses.forget(network);
  }

  images(): Promise<StoredImage[]> {
    return this.#images.list();
  }

  removeImage(image: StoredImage): Promise<void> {
    return this.#images.remove(image);
  }

  async isolation(): Promise<RuntimeIsolation> {
    const { runtimes, userNamespaces, seccomp, confined } = await this.#confiner.offers();
    const lacks = await this.#confiner.lacks();
    return { runtimeClasses: [...runtimes.keys()], userNamespaces, seccomp, confined, lacks };
  }

  async dataFolder(): Promise<string | null> {
    return ((await this.#docker.info()) as { DockerRootDir?: string }).DockerRootDir ?? null;
  }

  async close(): Promise<void> {
    this.#events.stop();
    this.#written.stop();
    await this.#running;
  }

  async #started(id: string): Promise<Unit> {
    return this.#ends.noted(await this.#containers.start(id));
  }

  async #asStartFailure(error: unknown): Promise<unknown> {
    if (error instanceof EngineAway) return error;
    // Also of an Engine that answers with an error while it goes down.
    if (isEngineAway(error) || !(await this.#events.answers())) return new EngineAway(messageOf(error));
    return error instanceof StartFailed ? error : startFailure(error);
  }
}
