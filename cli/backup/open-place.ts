// Where `--to` points, and where a backup that is to be read lies.
import { createWriteStream, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { CommandFailure, EXIT } from "../failure.ts";
import { bucketStore } from "./bucket.ts";
import { bundlesBeside, bundlesIn, openFolderOrFile, type Place, placeInStore } from "./places.ts";
import { folderStore, type Store } from "./store.ts";

export function openPlace(to: string): Place {
  if (to.startsWith("s3://")) return placeInStore(bucketStore(to));
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(to))
    throw new CommandFailure(`${to} is no place for a backup`, EXIT.usage, "A folder, a file, or s3://bucket/prefix.");
  return openFolderOrFile(to);
}

/** path: of the backup's file, on this machine. */
export interface Found {
  readonly path: string;
  readonly bundles: Store;
}

/**
 * at: a file, or `s3://bucket/prefix/name`, as a backup said that it lies there; what was fetched is gone once `use` is done.
 * bundles: where its bundles were moved to, if they were.
 */
export async function withBackup<Value>(
  at: string,
  bundles: string | undefined,
  use: (found: Found) => Promise<Value>,
): Promise<Value> {
  const moved =
    bundles === undefined ? null : bundles.startsWith("s3://") ? bucketStore(bundles) : folderStore(bundles);
  if (!at.startsWith("s3://")) return use({ path: at, bundles: moved ?? bundlesBeside(at) });
  const slash = at.lastIndexOf("/");
  const store = bucketStore(at.slice(0, slash));
  const dir = mkdtempSync(join(tmpdir(), "berth-restore-"));
  try {
    const path = join(dir, "backup.age");
    await pipeline(await store.get(at.slice(slash + 1)), createWriteStream(path, { mode: 0o600 }));
    return await use({ path, bundles: moved ?? bundlesIn(store) });
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
