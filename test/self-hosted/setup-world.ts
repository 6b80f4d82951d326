// What the tests of `berth setup --self-hosted` share: a Postgres, a store, four free ports and a folder to set a platform up in.
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runBerth, type Ran } from "../cli/run-berth.ts";
import { scratchPostgres, type ScratchPostgres } from "../dev/scratch-postgres.ts";
import { freePort } from "./plain-workerd.ts";
import { S3_KEYS, startS3Store, type S3Store } from "./s3-store.ts";

export interface SetupWorld {
  readonly home: string;
  /** Not there before the first set-up. */
  readonly folder: string;
  readonly postgres: ScratchPostgres;
  readonly store: S3Store;
  readonly port: number;
  /** The command's arguments: a whole set-up, and what is added. */
  argsOf(args?: readonly string[]): string[];
  readonly environment: Record<string, string>;
  setup(args?: readonly string[], env?: Record<string, string>, stdin?: string): Promise<Ran>;
  end(): Promise<void>;
}

export async function createSetupWorld(): Promise<SetupWorld> {
  const home = mkdtempSync(join(tmpdir(), "berth-self-hosted-"));
  chmodSync(home, 0o755);
  const folder = join(home, "platform");
  const [postgres, store, port] = await Promise.all([scratchPostgres(), startS3Store(home), fourFreePorts()]);
  const given = ["--domain", "apps.example.test", "--self-hosted", folder, "--yes"];
  const places = ["--s3-endpoint", store.endpoint, "--port", String(port)];
  const argsOf = (args: readonly string[] = []) => ["setup", ...given, ...places, ...args];
  const environment = { BERTH_ADMIN_URL: postgres.url, ...S3_KEYS };
  return {
    home,
    folder,
    postgres,
    store,
    port,
    argsOf,
    environment,
    setup: (args = [], env = {}, stdin = "") =>
      runBerth(argsOf(args), { cwd: home, env: { ...environment, ...env }, stdin }),
    async end() {
      await store.close();
      await postgres.remove();
      rmSync(home, { recursive: true, force: true });
    },
  };
}

/** The first of four that are free together. */
async function fourFreePorts(): Promise<number> {
  for (;;) {
    const first = await freePort();
    const free = await Promise.all([1, 2, 3].map((further) => isFree(first + further)));
    if (free.every(Boolean)) return first;
  }
}

function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
