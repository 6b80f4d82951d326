// Files by name, in a folder or in a bucket: where backups lie, and the bundles that they share.
import { createReadStream, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import type { Readable } from "node:stream";

export interface Store {
  /** Where a name of it is, for people. */
  where(name: string): string;
  /** All below a folder of it (`bundles/`; "" is all there is), by their whole names. */
  list(folder: string): Promise<readonly string[]>;
  /** Those that are in no folder of it. */
  top(): Promise<readonly string[]>;
  /** Takes the file: it is there whole, or not at all. */
  put(name: string, file: string): Promise<void>;
  get(name: string): Promise<Readable>;
  remove(name: string): Promise<void>;
}

/** Files that are put there must lie on the same file system, so that they get there in one step. */
export function folderStore(dir: string): Store {
  return {
    where: (name) => join(dir, name),
    list: async (folder) => filesIn(join(dir, folder), true).map((path) => relative(dir, path)),
    top: async () => filesIn(dir, false).map((path) => relative(dir, path)),
    put: async (name, file) => {
      mkdirSync(dirname(join(dir, name)), { recursive: true, mode: 0o700 });
      renameSync(file, join(dir, name));
    },
    get: (name) => opened(join(dir, name)),
    remove: async (name) => rmSync(join(dir, name), { force: true }),
  };
}

function filesIn(dir: string, recursive: boolean): string[] {
  try {
    const entries = readdirSync(dir, { recursive, withFileTypes: true });
    return entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

/** Fails now rather than at the first byte. */
async function opened(path: string): Promise<Readable> {
  const stream = createReadStream(path);
  await new Promise<void>((resolve, reject) => stream.once("open", () => resolve()).once("error", reject));
  return stream;
}

/** One of its folders as a store of its own. */
export function below(store: Store, folder: string): Store {
  return {
    where: (name) => store.where(`${folder}${name}`),
    list: async (inner) => (await store.list(`${folder}${inner}`)).map((name) => name.slice(folder.length)),
    top: async () =>
      (await store.list(folder)).flatMap((name) => {
        const own = name.slice(folder.length);
        return own.includes("/") ? [] : [own];
      }),
    put: (name, file) => store.put(`${folder}${name}`, file),
    get: (name) => store.get(`${folder}${name}`),
    remove: (name) => store.remove(`${folder}${name}`),
  };
}
