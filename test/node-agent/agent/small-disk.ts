// A disk of a test's own: a small ext4 file system in a file, mounted.
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, statfsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { usedPercent } from "../../../core/converge/retention.ts";

const run = promisify(execFile);

export interface SmallDisk {
  readonly folder: string;
  percent(): number;
  /** A file of so many bytes, that really takes them. */
  fill(name: string, bytes: number): Promise<void>;
  close(): Promise<void>;
}

export async function mountSmallDisk(mebibytes: number): Promise<SmallDisk> {
  const home = mkdtempSync(join(tmpdir(), "berth-disk-"));
  const image = join(home, "disk.img");
  const folder = join(home, "disk");
  mkdirSync(folder);
  await run("truncate", ["-s", `${mebibytes}M`, image]);
  await run("mkfs.ext4", ["-q", "-m", "0", image]);
  await run("mount", ["-o", "loop", image, folder]);
  return {
    folder,
    percent: () => usedPercent(statfsSync(folder)),
    fill: async (name, bytes) => void (await run("fallocate", ["-l", String(Math.round(bytes)), join(folder, name)])),
    async close() {
      await run("umount", ["-l", folder]);
      await rm(home, { recursive: true, force: true });
    },
  };
}
