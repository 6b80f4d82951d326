// The companion in front of a Postgres with TLS: both of the driver's wires are encrypted, and only a trusted certificate will do.
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chownSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { neon, neonConfig, Pool } from "@neondatabase/serverless";
import pg from "pg";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { makeAuthority } from "../node-agent/pki.ts";
import { scratchPostgres, type ScratchPostgres } from "../dev/scratch-postgres.ts";

const COMPANION = join(import.meta.dirname, "../../self-hosted/companion/main.ts");
const IS_ENCRYPTED = "select ssl from pg_stat_ssl where pid = pg_backend_pid()";

let folder: string;
let postgres: ScratchPostgres;
let companion: ChildProcess | null = null;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "berth-tls-"));
  postgres = await scratchPostgres();
});
afterEach(async () => {
  if (companion === null) return;
  const ended = once(companion, "exit");
  companion.kill("SIGTERM");
  await ended;
  companion = null;
});
afterAll(async () => {
  await postgres?.remove();
  if (folder) rmSync(folder, { recursive: true, force: true });
});

async function startCompanion(env: Record<string, string> = {}): Promise<void> {
  const told = {
    BERTH_ADAPTER_PORT: "0",
    BERTH_POSTGRES_PORT: String(postgres.port),
    BERTH_POSTGRES_TLS: "verify",
    ...env,
  };
  const stdio = ["ignore", "inherit", "inherit", "ipc"] as const;
  companion = spawn(process.execPath, [COMPANION], { stdio: [...stdio], env: { PATH: process.env.PATH, ...told } });
  const [{ port }] = (await once(companion, "message")) as [{ port: number }];
  neonConfig.fetchEndpoint = () => `http://127.0.0.1:${port}/sql`;
  neonConfig.wsProxy = () => `127.0.0.1:${port}/v1`;
  neonConfig.useSecureWebSocket = false;
  neonConfig.pipelineTLS = false;
  neonConfig.pipelineConnect = false;
}

/** A certificate of its own authority for 127.0.0.1, and Postgres told to use it. */
async function giveCertificate(): Promise<string> {
  const authority = await makeAuthority();
  const { cert, key } = await authority.issue({ names: ["127.0.0.1"] });
  const { uid, gid } = statSync(postgres.dataDir);
  for (const [name, text] of [
    ["server.key", key],
    ["server.crt", cert],
  ] as const) {
    const path = join(postgres.dataDir, name);
    writeFileSync(path, text, { mode: 0o600 });
    chownSync(path, uid, gid);
  }
  const path = join(folder, "authority.pem");
  writeFileSync(path, authority.ca);
  const client = new pg.Client({ connectionString: postgres.url });
  await client.connect();
  await client.query("alter system set ssl = on");
  await client.query("select pg_reload_conf()");
  await client.end();
  await untilEncrypting();
  return path;
}

/** Postgres reads its settings anew some time after it was told to. */
async function untilEncrypting(): Promise<void> {
  for (;;) {
    const client = new pg.Client({ connectionString: postgres.url, ssl: { rejectUnauthorized: false } });
    const isEncrypted = await client.connect().then(
      () => true,
      () => false,
    );
    if (isEncrypted) return client.end();
    await sleep(20);
  }
}

const overHttp = async (): Promise<unknown> => (await neon(postgres.url).query(IS_ENCRYPTED))[0];
async function overWebSocket(): Promise<unknown> {
  const pool = new Pool({ connectionString: postgres.url, max: 1 });
  pool.on("error", () => {});
  return pool
    .query(IS_ENCRYPTED)
    .then(({ rows }) => rows[0] as unknown)
    .finally(() => pool.end());
}

test("a Postgres without TLS gets nothing in clear where TLS was asked for", async () => {
  await startCompanion();
  await expect(overHttp()).rejects.toThrow(/does not support SSL/);
  await expect(overWebSocket()).rejects.toThrow();
});

test("with its certificate trusted, both wires are encrypted; without, neither is made", async () => {
  const authority = await giveCertificate();
  await startCompanion();
  await expect(overHttp()).rejects.toThrow(/unable to verify the first certificate/);
  await expect(overWebSocket()).rejects.toThrow();
  companion?.kill("SIGTERM");
  await startCompanion({ NODE_EXTRA_CA_CERTS: authority });
  expect(await overHttp()).toEqual({ ssl: true });
  expect(await overWebSocket()).toEqual({ ssl: true });
});
