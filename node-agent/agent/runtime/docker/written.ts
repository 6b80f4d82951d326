// Ends containers that wrote more than their disk: where the Engine's storage has no limits, what they wrote is looked at.
import { execFile } from "node:child_process";
import { access } from "node:fs/promises";
import { promisify } from "node:util";
import type Docker from "dockerode";
import type { ContainerInspectInfo } from "dockerode";
import type { NodeId } from "../../../../contracts/ids.ts";
import { pause } from "../../link/pause.ts";
import { LABEL } from "./labels.ts";

const run = promisify(execFile);
const MIB = 1024 * 1024;
/** Looking takes at most this share of the time, however many files there are. */
const SHARE_OF_TIME = 0.1;
/** Empty files cost an inode each, of which disks have one for 16 KiB: so many may be where every one is small. */
const BYTES_PER_FILE = 4_096;
const FILES_MIN = 4_096;
const DU_TIMEOUT_MS = 120_000;
/** A command line holds so many paths. */
const PATHS_MAX = 500;

interface Layer {
  readonly id: string;
  /** Where it writes, on this host. */
  readonly folder: string;
  readonly bytesMax: number;
}

interface Size {
  readonly bytes: number;
  readonly files: number;
}

export interface WrittenPorts {
  readonly docker: Docker;
  readonly node: NodeId;
  readonly lookMs: number;
  /** It is over its limit: why, in words. */
  readonly over: (id: string, message: string) => Promise<void>;
}

export class Written {
  readonly #ports: WrittenPorts;
  readonly #stop = new AbortController();
  readonly #layers = new Map<string, Layer | null>();

  constructor(ports: WrittenPorts) {
    this.#ports = ports;
  }

  async run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const beganMs = performance.now();
      await this.#look().catch(() => undefined);
      const tookMs = performance.now() - beganMs;
      await pause(Math.max(this.#ports.lookMs, tookMs / SHARE_OF_TIME), this.#stop.signal);
    }
  }

  stop(): void {
    this.#stop.abort();
  }

  async #look(): Promise<void> {
    const { docker, node, over } = this.#ports;
    const filters = { label: [`${LABEL.node}=${node}`], status: ["running"] };
    const running = await docker.listContainers({ filters });
    const here = new Set(running.map(({ Id }) => Id));
    for (const id of this.#layers.keys()) if (!here.has(id)) this.#layers.delete(id);
    for (const id of here) {
      if (!this.#layers.has(id)) this.#layers.set(id, await layerOf(await docker.getContainer(id).inspect()));
    }
    const layers = [...this.#layers.values()].filter((layer) => layer !== null);
    for (let at = 0; at < layers.length; at += PATHS_MAX) {
      const some = layers.slice(at, at + PATHS_MAX);
      const sizes = await sizesOf(some.map(({ folder }) => folder));
      for (const layer of some) {
        const message = excess(layer, sizes.get(layer.folder));
        if (message !== null) await over(layer.id, message);
      }
    }
  }
}

/** Null: it has no limit of ours, or where it writes is not to be seen from here. */
async function layerOf(info: ContainerInspectInfo): Promise<Layer | null> {
  const { HostConfig, GraphDriver, Id } = info;
  // The Engine's storage sees to it.
  if ((HostConfig as { StorageOpt?: object | null }).StorageOpt) return null;
  const limit = (HostConfig.Ulimits as { Name: string; Hard: number }[] | null)?.find(({ Name }) => Name === "fsize");
  const folder = (GraphDriver?.Data as Record<string, string> | null)?.UpperDir;
  if (limit === undefined || folder === undefined) return null;
  return access(folder).then(
    () => ({ id: Id, folder, bytesMax: limit.Hard }),
    () => null,
  );
}

function excess({ bytesMax }: Layer, size: Size | undefined): string | null {
  if (size === undefined) return null;
  const filesMax = Math.max(FILES_MIN, Math.floor(bytesMax / BYTES_PER_FILE));
  if (size.bytes > bytesMax) {
    return `it was ended for writing ${mib(size.bytes)} to its disk of ${mib(bytesMax)}; what it wrote is gone`;
  }
  if (size.files <= filesMax) return null;
  return `it was ended for writing ${size.files} files to its disk, which takes ${filesMax}; what it wrote is gone`;
}

const mib = (bytes: number): string => `${Math.ceil(bytes / MIB)} MiB`;

/** As du counts: blocks, not what files seem to be; holes are free. */
async function sizesOf(folders: readonly string[]): Promise<Map<string, Size>> {
  const [bytes, files] = [await du("--block-size=1", folders), await du("--inodes", folders)];
  return new Map(folders.map((folder) => [folder, { bytes: bytes.get(folder) ?? 0, files: files.get(folder) ?? 0 }]));
}

async function du(unit: string, folders: readonly string[]): Promise<Map<string, number>> {
  const args = ["-n", "19", "du", "-sx", unit, ...folders];
  // Files come and go while it looks, which it complains of: what it found counts all the same.
  const found = await run("nice", args, { timeout: DU_TIMEOUT_MS }).catch((error: { stdout?: string }) => error);
  const lines = (found.stdout ?? "").split("\n").map((line) => line.split("\t"));
  return new Map(lines.map(([size = "", folder = ""]) => [folder, Number(size)]));
}
