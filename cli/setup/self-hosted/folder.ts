// The platform's folder: what differs from what should be in it, and writing that.
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { CommandFailure, EXIT } from "../../failure.ts";
import type { Unit, WantedFile } from "./contents.ts";

export interface FileStep {
  readonly kind: "write";
  readonly file: WantedFile;
  readonly isNew: boolean;
}

/** A unit's line is read with white space, quotes, % and $ as signs of their own. */
export function platformFolder(given: string): string {
  const folder = resolve(given);
  if (!/^\/[\w./@+:~-]+$/.test(folder))
    throw new CommandFailure(`${folder} cannot stand in a systemd unit`, EXIT.usage, "Use letters, digits, . _ and -.");
  if (existsSync(folder) && !statSync(folder).isDirectory())
    throw new CommandFailure(`${folder} is not a folder`, EXIT.usage);
  return folder;
}

export function filesToWrite(folder: string, files: readonly WantedFile[]): FileStep[] {
  return files.flatMap((file): FileStep[] => {
    const path = join(folder, file.path);
    if (!existsSync(path)) return [{ kind: "write", file, isNew: true }];
    const isRight = readFileSync(path).equals(file.content) && (statSync(path).mode & 0o777) === file.mode;
    return isRight ? [] : [{ kind: "write", file, isNew: false }];
  });
}

/** Written whole and renamed: a running workerd keeps the file that it opened. */
export function writeFile(folder: string, { path, content, mode }: WantedFile): void {
  const target = join(folder, path);
  makeFolder(dirname(target));
  const temporary = `${target}.new`;
  writeFileSync(temporary, content, { mode });
  chmodSync(temporary, mode);
  renameSync(temporary, target);
}

/** Open to others whatever the umask says: the units' own users must come by. */
function makeFolder(path: string): void {
  if (existsSync(path)) return;
  makeFolder(dirname(path));
  mkdirSync(path);
  chmodSync(path, 0o755);
}

/** The units that run something older than what now lies in the folder. */
export function unitsToRestart(steps: readonly FileStep[]): Unit[] {
  return [...new Set(steps.flatMap(({ file }) => file.restarts))].sort();
}
