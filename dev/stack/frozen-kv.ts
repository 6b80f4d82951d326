// KV at its worst, for tests: from a moment on, the edge reads what was written until then, whatever is written after.
import { cpSync, existsSync, lstatSync, realpathSync, rmSync } from "node:fs";
import { join } from "node:path";

/** While the edge's Worker is down: gives it a copy of KV's files instead of the folder that it shares with the control Worker. */
export function freezeKv(stateDir: string): void {
  const path = join(stateDir, "storage", "edge", "kv");
  // Self-hosted, there is a table of routes, which is never stale.
  if (!existsSync(path) || !lstatSync(path).isSymbolicLink()) return;
  const shared = realpathSync(path);
  rmSync(path);
  // Of SQLite's files, the index of its journal belongs to the processes that share it.
  cpSync(shared, path, { recursive: true, filter: (source) => !source.endsWith("-shm") });
}
