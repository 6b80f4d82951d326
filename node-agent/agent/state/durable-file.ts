// Files that must be as they were after a power cut: written beside, synced, renamed, and the folder synced.
import { open, readFile, rename, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import type { z } from "zod";

/** Resolves once the content would survive the loss of power. mode: permissions of the file. */
export async function writeDurably(path: string, content: string, mode = 0o600): Promise<void> {
  const beside = `${path}.tmp`;
  const file = await open(beside, "w", mode);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(beside, path);
  const folder = await open(dirname(path), "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** Whole or not at all for every reader, but maybe the older one after a power cut. */
export async function writeAtomically(path: string, content: string, mode = 0o600): Promise<void> {
  const beside = `${path}.tmp`;
  await writeFile(beside, content, { mode });
  await rename(beside, path);
}

/** Null when there is no such file; throws when it is there and not of the schema, because guessing would break fencing. */
export async function readJsonFile<Schema extends z.ZodType>(
  path: string,
  schema: Schema,
): Promise<z.output<Schema> | null> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
  try {
    return schema.parse(JSON.parse(text));
  } catch (error) {
    throw new Error(`${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
}
