// One supervisor per state folder: who it is, and where its stack answers, for whoever comes second.
import { readFileSync, rmSync, linkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { identify, isAlive, type ProcessIdentity } from "../process/identity.ts";

export class StackRunning extends Error {
  readonly pid: number;

  constructor(stateDir: string, pid: number) {
    super(`a stack already runs from ${stateDir} (process ${pid}); stop that one with Ctrl-C, or \`kill ${pid}\``);
    this.name = "StackRunning";
    this.pid = pid;
  }
}

/** Takes the lock or throws StackRunning. Returns its release. A lock whose process is gone is taken over. */
export function takeLock(stateDir: string): () => void {
  const path = join(stateDir, "supervisor.json");
  const self = identify(process.pid);
  if (self === null) throw new Error("this process cannot find itself in the process table");
  const own = `${path}.${process.pid}`;
  writeFileSync(own, JSON.stringify(self), { mode: 0o600 });
  try {
    for (let attempt = 0; attempt < 3; attempt++) {
      try {
        // A link either is made whole or fails: two starts at once cannot both have it.
        linkSync(own, path);
        return () => rmSync(path, { force: true });
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      }
      const holder = readHolder(path);
      if (holder !== null && isAlive(holder)) throw new StackRunning(stateDir, holder.pid);
      rmSync(path, { force: true });
    }
    throw new Error(`${path} cannot be taken`);
  } finally {
    rmSync(own, { force: true });
  }
}

function readHolder(path: string): ProcessIdentity | null {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as ProcessIdentity;
  } catch {
    return null;
  }
}
