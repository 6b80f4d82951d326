// The local Postgres: what survives SIGKILL, and whose process is ended when a data directory is taken over.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { spawn } from "node:child_process";
import { join } from "node:path";
import pg from "pg";
import { afterEach, expect, test } from "vitest";
import { identify, isAlive } from "../../dev/process/identity.ts";
import { scratchPostgres, type ScratchPostgres } from "./scratch-postgres.ts";

let postgres: ScratchPostgres | null = null;

afterEach(async () => {
  await postgres?.remove();
  postgres = null;
});

async function query(url: string, text: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  client.on("error", () => {});
  await client.connect();
  try {
    return (await client.query(text)).rows as unknown[];
  } finally {
    await client.end();
  }
}

test("committed rows survive SIGKILL of the server", async () => {
  postgres = await scratchPostgres({ fsync: true });
  await query(postgres.url, "create table t as select generate_series(1, 1000) as n");
  await postgres.kill();
  await postgres.start();
  expect(await query(postgres.url, "select count(*)::int as count from t")).toEqual([{ count: 1000 }]);
});

test("an orphaned server of the same directory is ended before the next one starts", async () => {
  postgres = await scratchPostgres();
  const orphan = identify(postgres.pid());
  await postgres.start();
  expect(orphan !== null && isAlive(orphan)).toBe(false);
  expect(await query(postgres.url, "select 1 as one")).toEqual([{ one: 1 }]);
});

test("a stale lock that names another's process harms neither that process nor the start", async () => {
  postgres = await scratchPostgres();
  const lock = join(postgres.dataDir, "postmaster.pid");
  const [, ...rest] = readFileSync(lock, "utf8").split("\n");
  await postgres.kill();
  const bystander = spawn("sleep", ["60"]);
  writeFileSync(lock, [bystander.pid, ...rest].join("\n"));
  await postgres.start();
  expect(bystander.exitCode).toBeNull();
  expect(bystander.signalCode).toBeNull();
  bystander.kill("SIGKILL");
  expect(await query(postgres.url, "select 1 as one")).toEqual([{ one: 1 }]);
});

test("text sorts by code point and is UTF-8, passwords are asked for by SCRAM", async () => {
  postgres = await scratchPostgres();
  expect(await query(postgres.url, "select pg_encoding_to_char(encoding) as encoding, datcollate from pg_database where datname = 'postgres'")).toEqual([
    { encoding: "UTF8", datcollate: "C.UTF-8" },
  ]); // prettier-ignore
  expect(existsSync(join(postgres.dataDir, "pg_hba.conf"))).toBe(true);
  expect(readFileSync(join(postgres.dataDir, "pg_hba.conf"), "utf8")).not.toMatch(
    /^\s*(local|host)\s.*\b(trust|password|md5)\s*$/m,
  );
});
