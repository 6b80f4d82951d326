// The bundles that a backup needs, beside it: each once per store, however many backups need it, and sealed like them.
import { createHash } from "node:crypto";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type BundleKey, type BundleLine, sha256OfKey } from "../../contracts/backup.ts";
import type { Api } from "../client.ts";
import { CommandFailure, EXIT } from "../failure.ts";
import { TOLD_MS } from "./bundle-index.ts";
import { type Sealing, sealStream } from "./envelope.ts";
import type { Place } from "./places.ts";
import { ringFor } from "./ring.ts";

/** Bundles on their way at the same time. */
const AT_ONCE = 4;
const ATTEMPTS_MAX = 3;
const AGAIN_MS = 100;

export interface CopyOptions {
  readonly api: Api;
  readonly place: Pick<Place, "bundles" | "holdsMany" | "needs" | "scratchDir">;
  readonly sealing: Sealing;
  readonly startedAtMs: number;
  readonly id: string;
  /** Between what this backup needs being told and the last look whether it is there; TOLD_MS where it is not said. */
  readonly toldMs?: number;
}

export interface CopiedBundles {
  readonly lines: readonly BundleLine[];
  /** Of those, new in the store. */
  readonly copied: number;
  /** The platform names them and does not have them any more. */
  readonly missing: readonly BundleKey[];
}

/** Where a bundle lies below the store of bundles. */
export const nameOfBundle = ({ key, ring }: BundleLine): string => `${ring}/${sha256OfKey(key)}.age`;

export async function copyBundles(options: CopyOptions, keys: Iterable<BundleKey>): Promise<CopiedBundles> {
  const { place, sealing, startedAtMs, id } = options;
  const wanted = [...new Set(keys)];
  if (wanted.length === 0) return { lines: [], copied: 0, missing: [] };
  const { name: ring, recipient } = await ringFor(place.bundles, sealing, place.scratchDir);
  const named = new Map(wanted.map((key) => [nameOfBundle({ key, ring }), key]));
  await place.needs([...named.keys()], startedAtMs, id);
  const toldAtMs = performance.now();
  const lost = new Set<string>();
  const copyLacking = async (): Promise<number> => {
    const there = new Set(await place.bundles.list(`${ring}/`));
    const lacking = [...named].filter(([name, key]) => !there.has(name) && !lost.has(sha256OfKey(key)));
    const next = lacking.values();
    const worker = async () => {
      for (const [name, key] of next) if (!(await copy(options, recipient, name, key))) lost.add(sha256OfKey(key));
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    return lacking.length;
  };
  const lacking = await copyLacking();
  // Somebody may have been removing old ones who did not yet know of this backup.
  if (place.holdsMany) {
    await sleep(Math.max(0, (options.toldMs ?? TOLD_MS) - (performance.now() - toldAtMs)));
    await copyLacking();
  }
  const missing = wanted.filter((key) => lost.has(sha256OfKey(key)));
  const lines = wanted.filter((key) => !lost.has(sha256OfKey(key))).map((key) => ({ key, ring }));
  return { lines, copied: lacking - lost.size, missing };
}

/** False where the platform does not have it. */
async function copy({ api, place }: CopyOptions, recipient: string, name: string, key: BundleKey): Promise<boolean> {
  const file = join(place.scratchDir, `${sha256OfKey(key)}.age`);
  for (let tried = 1; ; tried += 1) {
    try {
      const bytes = await api.stream(`/v1/backup/bundle?key=${encodeURIComponent(key)}`);
      await sealStream(file, recipient, bytes.pipeThrough(heldTo(key)));
      await place.bundles.put(name, file);
      return true;
    } catch (error) {
      rmSync(file, { force: true });
      if (error instanceof CommandFailure && error.exitCode === EXIT.notFound) return false;
      if (tried === ATTEMPTS_MAX || error instanceof CommandFailure) throw error;
      await sleep(AGAIN_MS * 2 ** tried);
    }
  }
}

/** Ends in an error where the bytes are not those that the key names: a copy that was cut short would be found out years later. */
function heldTo(key: BundleKey): TransformStream<Uint8Array, Uint8Array> {
  const hash = createHash("sha256");
  return new TransformStream({
    transform(chunk, controller) {
      hash.update(chunk);
      controller.enqueue(chunk);
    },
    flush() {
      if (hash.digest("hex") === sha256OfKey(key)) return;
      throw new Error(`${key} came with other bytes than its hash says`);
    },
  });
}
