// What may go when a disk fills: unused images and bundles, and logs and folders of instances that are gone.
import { readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "pino";
import type { DesiredDocument } from "../../../contracts/desired.ts";
import type { AgentLimits } from "../../../core/converge/limits.ts";
import { removable } from "../../../core/converge/retention.ts";
import { LOGS_FOLDER } from "../../endpoint-file.ts";
import type { Notices } from "../report/notices.ts";
import type { Bundles } from "../runtime/bundles.ts";
import type { Runtime, StoredImage } from "../runtime/runtime.ts";

export interface CleanUpPorts {
  readonly dir: string;
  readonly limits: AgentLimits;
  readonly log: Logger;
  readonly runtime: Runtime;
  readonly bundles: Bundles;
  readonly notices: Notices;
  readonly desired: () => DesiredDocument | null;
  /** Instances that are here or coming. */
  readonly known: () => ReadonlySet<string>;
}

const MIB = 1024 * 1024;

export class CleanUp {
  readonly #ports: CleanUpPorts;

  constructor(ports: CleanUpPorts) {
    this.#ports = ports;
  }

  /** Cheapest loss first; ends as soon as isEnough. */
  async run(isEnough: () => Promise<boolean>): Promise<void> {
    await this.#removeLogs();
    if (await isEnough()) return;
    await this.#removeImages(isEnough);
  }

  /** Of instances that are neither here nor coming: an agent that died may have left them. */
  async #removeLogs(): Promise<void> {
    const { dir, known, notices, bundles } = this.#ports;
    await bundles.removeUnfinished();
    const kept = known();
    const gone: { folder: string; bytes: number }[] = [];
    for (const part of [LOGS_FOLDER, "instances"]) {
      for (const name of await readdir(join(dir, part)).catch(() => [])) {
        if (kept.has(name)) continue;
        const folder = join(dir, part, name);
        gone.push({ folder, bytes: await bytesUnder(folder) });
      }
    }
    for (const { folder } of gone) await rm(folder, { recursive: true, force: true });
    if (gone.length === 0) return;
    const bytes = gone.reduce((sum, one) => sum + one.bytes, 0);
    const told = `logs and files of ${gone.length} instances that are gone: ${mib(bytes)} freed`;
    await notices.add("logs_removed", null, told);
  }

  async #removeImages(isEnough: () => Promise<boolean>): Promise<void> {
    const { runtime, bundles, limits, notices, log } = this.#ports;
    const images = await runtime.images().catch(() => []);
    const items: Item[] = [
      ...images.map((image) => ({
        ...image,
        digests: [...image.digests, ...image.names],
        fetched: image.pulled,
        image,
      })),
      ...(await bundles.list()).map(({ hash, usedAtMs }) => ({
        ...{ digests: [hash], usedAtMs, inUse: false, fetched: true, bytes: 0, image: null },
      })),
    ];
    const { imageUnusedMinMs: unusedMinMs } = limits;
    const input = { items, protectedNames: this.#protected(), nowMs: Date.now(), unusedMinMs };
    const removed: Item[] = [];
    for (const item of removable(input)) {
      try {
        if (item.image === null) await bundles.remove(item.digests[0] ?? "");
        else await runtime.removeImage(item.image);
        removed.push(item);
      } catch (error) {
        // Some container was made of it just now, or the Engine is away.
        log.warn({ image: item.digests[0], error: String(error) }, "an image is kept");
      }
      if (await isEnough()) break;
    }
    if (removed.length === 0) return;
    const names = removed.slice(0, 4).map(({ digests }) => (digests[0] ?? "").slice(0, 19));
    const more = removed.length > names.length ? ` and ${removed.length - names.length} more` : "";
    const bytes = removed.reduce((sum, one) => sum + one.bytes, 0);
    const freed = bytes === 0 ? "" : `, ${mib(bytes)}`;
    await notices.add("images_removed", null, `unused, least recently used first: ${names.join(", ")}${more}${freed}`);
  }

  /** What the document names, by digest or by reference, and what a rollback may go to. */
  #protected(): ReadonlySet<string> {
    const names = new Set<string>();
    for (const { source, keepImages } of this.#ports.desired()?.instances ?? []) {
      if (source.kind === "bundle") names.add(source.hash);
      else names.add(source.digest ?? source.reference);
      for (const name of keepImages ?? []) names.add(name);
    }
    return names;
  }
}

interface Item {
  readonly digests: readonly string[];
  readonly usedAtMs: number;
  readonly inUse: boolean;
  readonly fetched: boolean;
  readonly bytes: number;
  readonly image: StoredImage | null;
}

async function bytesUnder(folder: string): Promise<number> {
  const names = await readdir(folder, { recursive: true }).catch(() => []);
  let bytes = 0;
  for (const name of names) bytes += (await stat(join(folder, name)).catch(() => null))?.size ?? 0;
  return bytes;
}

function mib(bytes: number): string {
  return `${Math.round(bytes / MIB)} MiB`;
}
