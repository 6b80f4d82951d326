// Where backups lie: a file, or a folder or bucket of them, named by their time, of which old ones go; and their bundles beside them.
import { mkdtempSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { CommandFailure, EXIT } from "../failure.ts";
import { forgetBundles, indexOf } from "./bundle-index.ts";
import { atMsOf, nameOf } from "./names.ts";
import { type Keep, outdated } from "./retention.ts";
import { below, folderStore, type Store } from "./store.ts";

/** In a folder or a bucket; beside a backup that is one file they are in `<file>.bundles/`. */
const BUNDLES = "bundles/";

export interface Place {
  /** Else it is one file. */
  readonly holdsMany: boolean;
  /** Where it is to be written before it is whole. */
  readonly scratch: string;
  /** For whatever else is made before it is put somewhere. */
  readonly scratchDir: string;
  readonly bundles: Store;
  /** Says, before they are there, which of the bundles this backup needs: no other one's end removes them then. */
  needs(bundles: readonly string[], startedAtMs: number, id: string): Promise<void>;
  /** Puts it there, whole, and says where that is. */
  finish(startedAtMs: number, id: string): Promise<string>;
  /** Removes what is not to be kept, and bundles that only those needed; the backups' names. */
  prune(keep: Keep, nowMs: number): Promise<string[]>;
  close(): void;
}

/** to: a folder that is there, or a file that is not. */
export function openFolderOrFile(to: string): Place {
  const isFolder = statSync(to, { throwIfNoEntry: false })?.isDirectory() === true;
  if (!isFolder && statSync(to, { throwIfNoEntry: false })) {
    throw new CommandFailure(`${to} is there already`, EXIT.usage, "Name a folder, or a file that is not there yet.");
  }
  // Beside its end, so that it gets there in one step.
  const scratchDir = madeIn(isFolder ? to : dirname(to));
  return isFolder ? placeOfMany(folderStore(to), scratchDir) : placeOfOne(to, scratchDir);
}

export const placeInStore = (store: Store): Place => placeOfMany(store, madeIn(tmpdir()));

/** Where the bundles of a backup lie, if they were not moved. path: of the backup's file. */
export function bundlesBeside(path: string): Store {
  return folderStore(atMsOf(basename(path)) === null ? `${path}.bundles` : join(dirname(path), BUNDLES));
}
export const bundlesIn = (store: Store): Store => below(store, BUNDLES);

function madeIn(folder: string): string {
  try {
    return mkdtempSync(join(folder, ".berth-backup-"));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CommandFailure(`Nothing can be written in ${folder} (${reason})`, EXIT.usage);
  }
}

function placeOfMany(store: Store, scratchDir: string): Place {
  const scratch = join(scratchDir, "backup.age");
  return {
    ...{ holdsMany: true, scratch, scratchDir, bundles: bundlesIn(store) },
    needs: async (bundles, startedAtMs, id) => {
      const file = join(scratchDir, "index");
      writeFileSync(file, bundles.map((name) => `${name}\n`).join(""), { mode: 0o600 });
      await store.put(indexOf(nameOf(startedAtMs, id)), file);
    },
    finish: async (startedAtMs, id) => {
      const name = nameOf(startedAtMs, id);
      await store.put(name, scratch);
      return store.where(name);
    },
    prune: async (keep, nowMs) => {
      const dated = (await store.top()).flatMap((name) => {
        const atMs = atMsOf(name);
        return atMs === null ? [] : [{ name, atMs }];
      });
      const gone = outdated(dated, keep).map(({ name }) => name);
      for (const name of gone) {
        await store.remove(name);
        await store.remove(indexOf(name));
      }
      await forgetBundles(store, nowMs);
      return gone;
    },
    close: () => rmSync(scratchDir, { recursive: true, force: true }),
  };
}

function placeOfOne(to: string, scratchDir: string): Place {
  const scratch = join(scratchDir, "backup.age");
  return {
    ...{ holdsMany: false, scratch, scratchDir, bundles: folderStore(`${to}.bundles`) },
    // Nobody else's backup has its bundles there.
    needs: async () => {},
    finish: async () => {
      renameSync(scratch, to);
      return to;
    },
    prune: async () => {
      throw new CommandFailure(`--keep needs a folder, and ${basename(to)} is a file`, EXIT.usage);
    },
    close: () => rmSync(scratchDir, { recursive: true, force: true }),
  };
}
