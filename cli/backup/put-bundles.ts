// A backup's bundles back into an empty platform: all there and each by its hash, before anything else is written.
import { createHash } from "node:crypto";
import { buffer } from "node:stream/consumers";
import { z } from "zod";
import { BundleKey, type BundleLine, BUNDLES_PER_LOOK_MAX, sha256OfKey } from "../../contracts/backup.ts";
import type { Api } from "../client.ts";
import { CommandFailure, EXIT } from "../failure.ts";
import { nameOfBundle } from "./copy-bundles.ts";
import { type Opening, openStream } from "./envelope.ts";
import { identityOf } from "./ring.ts";
import type { Store } from "./store.ts";

export interface Bundles {
  readonly store: Store;
  readonly opening: Opening;
  readonly lines: readonly BundleLine[];
}

/** Looks at names alone. */
export async function requireBundles({ store, lines }: Bundles): Promise<void> {
  const there = new Set(lines.length === 0 ? [] : await store.list(""));
  const lacking = lines.filter((line) => !there.has(nameOfBundle(line)));
  if (lacking.length === 0) return;
  throw new CommandFailure(
    `${lacking.length} of the backup's ${lines.length} bundles are not beside it, such as ${store.where(nameOfBundle(lacking[0]!))}; nothing was written`,
    EXIT.failed,
    "--bundles <folder or s3://…> says where they are. --without-bundles goes on: apps from folders then start nowhere anew until they are deployed again.",
  );
}

/** Opens each and compares it with its hash. */
export async function checkBundles(bundles: Bundles): Promise<void> {
  await requireBundles(bundles);
  await eachOpened(bundles, bundles.lines, async () => {});
}

/** Those that the platform's store has already are left alone. Returns how many went in. */
export async function putBundles(api: Api, bundles: Bundles): Promise<number> {
  const lacking: BundleLine[] = [];
  for (let from = 0; from < bundles.lines.length; from += BUNDLES_PER_LOOK_MAX) {
    const some = bundles.lines.slice(from, from + BUNDLES_PER_LOOK_MAX);
    const body = { keys: some.map(({ key }) => key) };
    const { missing } = await api.call(Missing, "POST", "/restore/v1/missing-bundles", body);
    lacking.push(...some.filter(({ key }) => missing.includes(key)));
  }
  await eachOpened(bundles, lacking, (key, bytes) =>
    api.upload(`/restore/v1/bundle?key=${encodeURIComponent(key)}`, bytes, "application/octet-stream"),
  );
  return lacking.length;
}

const Missing = z.object({ missing: z.array(BundleKey) });

/** One after the other, whole in memory: at most 100 MB, and a request that is to be repeated needs all of it. */
async function eachOpened(
  { store, opening }: Bundles,
  lines: readonly BundleLine[],
  use: (key: BundleKey, bytes: Uint8Array) => Promise<void>,
): Promise<void> {
  const identities = new Map<string, string>();
  for (const line of lines) {
    const { key, ring } = line;
    const identity = identities.get(ring) ?? (await identityOf(store, ring, opening));
    identities.set(ring, identity);
    await use(key, await openedBundle(store, line, identity));
  }
}

async function openedBundle(store: Store, line: BundleLine, identity: string): Promise<Uint8Array> {
  const name = nameOfBundle(line);
  let bytes: Uint8Array;
  try {
    bytes = await buffer(await openStream(identity, await store.get(name)));
  } catch (error) {
    if (error instanceof CommandFailure) throw error;
    throw damaged(store.where(name), error instanceof Error ? error.message : String(error));
  }
  if (createHash("sha256").update(bytes).digest("hex") === sha256OfKey(line.key)) return bytes;
  throw damaged(store.where(name), "it is not what its name says");
}

const damaged = (where: string, why: string) =>
  new CommandFailure(
    `The bundle ${where} is damaged (${why})`,
    EXIT.failed,
    "Neither objects nor rows were written. An older backup may need other bundles; --without-bundles goes on without any.",
  );
