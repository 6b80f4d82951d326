// A real Postgres of a test's own, that may be killed and started again, with an adapter in front of it.
import { mkdtempSync, rmSync, chmodSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ChildProcess } from "node:child_process";
import { choosePort } from "../../dev/ports.ts";
import { adminUrl, preparePostgres, spawnPostgres, untilPostgresReady } from "../../dev/postgres.ts";
import { untilGone } from "../../dev/process/end.ts";
import { identify } from "../../dev/process/identity.ts";

export interface ScratchPostgres {
  readonly url: string;
  readonly port: number;
  readonly dataDir: string;
  pid(): number;
  start(): Promise<void>;
  /** SIGKILL to the postmaster; resolves when it is gone. */
  kill(): Promise<void>;
  remove(): Promise<void>;
}

export async function scratchPostgres({ fsync = false } = {}): Promise<ScratchPostgres> {
  const dir = mkdtempSync(join(tmpdir(), "berth-postgres-"));
  chmodSync(dir, 0o755);
  const options = { dir: join(dir, "postgres"), port: await choosePort([]), password: "it's a:secret/@", fsync };
  const log = join(dir, "postgres.log");
  let child: ChildProcess | null = null;
  const signalAndWait = async (name: NodeJS.Signals) => {
    const identity = child?.pid === undefined ? null : identify(child.pid);
    if (identity === null) return;
    process.kill(identity.pid, name);
    if (!(await untilGone(identity, 60_000))) throw new Error(`Postgres outlived ${name}`);
  };
  const start = async () => {
    await preparePostgres(options);
    child = spawnPostgres(options, log);
    await untilPostgresReady(options, child, log);
  };
  await start();
  return {
    url: adminUrl(options),
    port: options.port,
    dataDir: join(options.dir, "data"),
    pid: () => child?.pid ?? 0,
    start,
    kill: () => signalAndWait("SIGKILL"),
    async remove() {
      await signalAndWait("SIGQUIT");
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
