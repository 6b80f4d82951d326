// A process of its own session, writing to files of its own, so that it needs no agent.
import { type ChildProcess, spawn } from "node:child_process";
import { cp, mkdir, open, rm } from "node:fs/promises";
import { join } from "node:path";
import { OUTPUT_FILES } from "./output-file.ts";

/** A copy of a bundle's files for one instance: what it writes is its own. */
export async function layOut(folder: string, files: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const app = join(folder, "app");
  await rm(app, { recursive: true, force: true });
  await cp(files, app, { recursive: true, verbatimSymlinks: true });
}

/** Resolves once it runs. argv as it is; `node` means the agent's own. */
export async function spawnDetached(
  folder: string,
  [name = "node", ...args]: readonly string[],
  environment: Readonly<Record<string, string>>,
): Promise<ChildProcess> {
  const stdout = await open(join(folder, OUTPUT_FILES.stdout), "a", 0o600);
  const stderr = await open(join(folder, OUTPUT_FILES.stderr), "a", 0o600);
  try {
    const child = spawn(name === "node" ? process.execPath : name, args, {
      cwd: join(folder, "app"),
      env: environment,
      detached: true,
      stdio: ["ignore", stdout.fd, stderr.fd],
    });
    await new Promise<void>((resolve, reject) => {
      child.once("spawn", resolve);
      child.once("error", reject);
    });
    return child;
  } finally {
    await stdout.close();
    await stderr.close();
  }
}
