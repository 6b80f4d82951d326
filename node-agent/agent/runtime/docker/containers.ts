// Containers of this node, one by one: looked at, created on an address of their own, started, removed.
import { createReadStream } from "node:fs";
import type Docker from "dockerode";
import type { DesiredInstance } from "../../../../contracts/desired.ts";
import type { NodeId } from "../../../../contracts/ids.ts";
import { type Prepared, StartFailed, type Unit } from "../runtime.ts";
import type { Addresses } from "./addresses.ts";
import type { BundleImage } from "./bundle-image.ts";
import type { Confiner } from "./confiner.ts";
import { BUNDLE_FOLDER, containerSpec } from "./container-spec.ts";
import { messageOf, statusOf } from "./failures.ts";
import { type HeldFiles, holdFiles } from "./held-files.ts";
import { containerName, LABEL } from "./labels.ts";
import type { Networks, TeamNetwork } from "./networks.ts";
import { assignedAddress, unitOf } from "./unit.ts";

export interface ContainerPorts {
  readonly docker: Docker;
  readonly node: NodeId;
  readonly networks: Networks;
  readonly addresses: Addresses;
  readonly bundleImage: BundleImage;
  readonly confiner: Confiner;
}

/** An address that somebody else took in our network, or that the Engine kept after it was killed: then another one. */
const TRIES_MAX = 5;
/** The Engine removes a container in milliseconds, and in seconds where the disk is slow. */
const REMOVAL_WAIT_MS = 5_000;

export class Containers {
  readonly #ports: ContainerPorts;
  /** As last seen, by container: for the end of one that somebody removed. */
  readonly #seen = new Map<string, Unit>();
  readonly #assigned = new Map<string, { network: string; address: string }>();
  /** The names of containers of no instance that are wanted for a moment; others like them are left over. */
  readonly #holders = new Set<string>();

  constructor(ports: ContainerPorts) {
    this.#ports = ports;
  }

  seen(id: string): Unit | undefined {
    return this.#seen.get(id);
  }

  get seenIds(): string[] {
    return [...this.#seen.keys()];
  }

  /** Those with this node's label: as units, and the ids of those whose other labels cannot be read. */
  async list(): Promise<{ units: Unit[]; unreadable: string[] }> {
    const { docker, node } = this.#ports;
    const found = await docker.listContainers({ all: true, filters: { label: [`${LABEL.node}=${node}`] } });
    const ours = found.filter(({ Names }) => !Names.some((name) => this.#holders.has(name.slice(1))));
    const looked = await Promise.all(ours.map(async ({ Id }) => ({ Id, unit: await this.inspect(Id) })));
    const units = looked.flatMap(({ unit }) => (unit === null || unit === "unreadable" ? [] : [unit]));
    const unreadable = looked.flatMap(({ Id, unit }) => (unit === "unreadable" ? [Id] : []));
    return { units, unreadable };
  }

  /** Null when there is no such container. */
  async inspect(name: string): Promise<Unit | "unreadable" | null> {
    try {
      const info = await this.#ports.docker.getContainer(name).inspect();
      const unit = unitOf(this.#ports.node, info);
      if (unit === null) return "unreadable";
      this.#seen.set(unit.id, unit);
      const assigned = assignedAddress(info);
      if (assigned !== null) {
        this.#assigned.set(unit.id, assigned);
        this.#ports.addresses.hold(assigned.network, assigned.address);
      }
      return unit;
    } catch (error) {
      if (statusOf(error) === 404) return null;
      throw error;
    }
  }

  async unit(name: string): Promise<Unit | null> {
    const found = await this.inspect(name);
    return found === "unreadable" ? null : found;
  }

  /** Creates and starts. Throws the Engine's own error; nothing of the container is left then. */
  async create(desired: DesiredInstance, prepared: Prepared, environment: Record<string, string>): Promise<Unit> {
    for (let tries = 1; ; tries += 1) {
      try {
        return await this.#createOn(await this.#ports.networks.ensure(desired.team), desired, prepared, environment);
      } catch (error) {
        // What was started in spite of it and is to run once is not made anew.
        const begun = desired.job ? await this.unit(containerName(desired)) : null;
        if (begun !== null && begun.startedAtMs > 0) return begun;
        await this.discard(containerName(desired));
        const again = isAddressTaken(error) || this.#ports.confiner.isRefused(error);
        if (tries === TRIES_MAX || !again) throw error;
      }
    }
  }

  async start(id: string): Promise<Unit> {
    try {
      await this.#ports.docker.getContainer(id).start();
    } catch (error) {
      // 304: it runs already.
      if (statusOf(error) !== 304) throw error;
    }
    const unit = await this.unit(id);
    if (unit === null) throw new StartFailed("start_failed", "the container vanished while it started");
    return unit;
  }

  /** null: somebody was removing it, and it is gone now. */
  async startIfStaying({ id }: Unit): Promise<Unit | null> {
    try {
      return await this.start(id);
    } catch (error) {
      if (statusOf(error) !== 404 && statusOf(error) !== 409) throw error;
      await this.discard(id);
      return null;
    }
  }

  /** Removes it, running or not; its address rests from then on. Its name is free afterwards, whoever began to remove it. */
  async discard(name: string): Promise<void> {
    const id = (await this.unit(name).catch(() => null))?.id ?? name;
    try {
      await this.#ports.docker.getContainer(name).remove({ force: true, v: true });
    } catch (error) {
      // 404: somebody removed it. 409: somebody is at it.
      if (statusOf(error) === 409) await this.#removed(id);
      else if (statusOf(error) !== 404) throw error;
    }
    this.forget(id);
  }

  async #removed(id: string): Promise<void> {
    const abortSignal = AbortSignal.timeout(REMOVAL_WAIT_MS);
    // 404: it is gone by now. Still there after all that: whoever makes the next one hears that its name is taken.
    await this.#ports.docker
      .getContainer(id)
      .wait({ condition: "removed", abortSignal })
      .catch(() => undefined);
  }

  /** It is gone, whoever removed it. */
  forget(id: string): void {
    this.#seen.delete(id);
    const assigned = this.#assigned.get(id);
    this.#assigned.delete(id);
    if (assigned !== undefined) this.#ports.addresses.release(assigned.network, assigned.address);
  }

  async #createOn(
    network: TeamNetwork,
    desired: DesiredInstance,
    prepared: Prepared,
    environment: Record<string, string>,
  ): Promise<Unit> {
    const { docker, node, addresses, bundleImage: base, confiner } = this.#ports;
    const confining = await confiner.confining(desired);
    const bundleImage = prepared.kind === "bundle" ? await base.ensure() : "";
    const address = network.subnet === null ? null : addresses.take(network.subnet);
    if (network.subnet !== null && address === null) {
      throw new StartFailed("start_failed", "the team's network on this node has no address left");
    }
    let id: string | null = null;
    let held: HeldFiles | null = null;
    try {
      held = await this.#filesFor(desired, prepared, bundleImage);
      const about = { node, desired, prepared, network: network.id, address, bundleImage, environment, confining };
      const container = await docker.createContainer(containerSpec({ ...about, volumesFrom: held?.volumesFrom ?? [] }));
      id = container.id;
      if (address !== null) this.#assigned.set(id, { network: network.id, address });
      if (prepared.kind === "bundle" && held === null) {
        await container.putArchive(createReadStream(prepared.archive), { path: BUNDLE_FOLDER });
      }
      return await this.start(id);
    } catch (error) {
      if (id === null && address !== null) addresses.release(network.id, address);
      throw error;
    } finally {
      await held?.release();
    }
  }

  /** Null: the container takes its files itself. */
  async #filesFor(desired: DesiredInstance, prepared: Prepared, image: string): Promise<HeldFiles | null> {
    if (prepared.kind !== "bundle" || !desired.readOnlyRoot) return null;
    const { docker, node } = this.#ports;
    const name = `${containerName(desired)}-files`;
    this.#holders.add(name);
    const wanted = { node, name, image, archive: prepared.archive, folder: BUNDLE_FOLDER };
    const held = await holdFiles(docker, wanted).catch((error: unknown) => {
      this.#holders.delete(name);
      throw error;
    });
    return {
      ...held,
      release: () => held.release().finally(() => this.#holders.delete(name)),
    };
  }
}

export function isAddressTaken(error: unknown): boolean {
  return (
    /address already in use|no available ipv4|requested address is not available/i.test(messageOf(error)) &&
    !/listen|bind|port/i.test(messageOf(error))
  );
}
