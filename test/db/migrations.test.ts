// Migrations: run twice, run at once, run quickly, and what is committed is what the schema says.
import { execFile } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { promisify } from "node:util";
import pg from "pg";
import { describe, expect, it } from "vitest";
import { migrate, urlFor } from "../../db/migrate.ts";
import { emptyDatabase, passwords } from "./database.ts";

async function applied(adminUrl: string): Promise<number> {
  const client = new pg.Client({ connectionString: adminUrl });
  await client.connect();
  const { rows } = await client.query("select count(*)::int as n from drizzle.__drizzle_migrations");
  await client.end();
  return rows[0].n;
}

const journal = JSON.parse(readFileSync("db/migrations/meta/_journal.json", "utf8")) as { entries: unknown[] };

describe("migrate", () => {
  it("applies every migration once, however often it runs, and is quick when there is nothing to do", async () => {
    const adminUrl = await emptyDatabase();
    await migrate({ adminUrl, passwords });
    // What it takes is the least of a few: a busy machine adds to the others.
    const tookMs: number[] = [];
    for (let time = 0; time < 5; time += 1) {
      const startedMs = performance.now();
      await migrate({ adminUrl, passwords });
      tookMs.push(performance.now() - startedMs);
    }
    expect(Math.min(...tookMs)).toBeLessThan(2_000);
    expect(await applied(adminUrl)).toBe(journal.entries.length);
  });

  it("may run many times at once, on one database and on several of one server", async () => {
    const [one, other] = [await emptyDatabase(), await emptyDatabase()];
    const urls = [one, one, one, other, other, other];
    const results = await Promise.allSettled(urls.map((adminUrl) => migrate({ adminUrl, passwords })));
    expect(results.filter((result) => result.status === "rejected")).toEqual([]);
    expect([await applied(one), await applied(other)]).toEqual([journal.entries.length, journal.entries.length]);
  });

  it("leaves three roles that can sign in with the passwords it was given", async () => {
    const adminUrl = await emptyDatabase();
    await migrate({ adminUrl, passwords });
    for (const [role, password] of Object.entries({
      berth_owner: passwords.owner,
      berth_auth: passwords.auth,
      berth_app: passwords.app,
    })) {
      const client = new pg.Client({ connectionString: urlFor(adminUrl, role, password) });
      await client.connect();
      expect((await client.query("select current_user as role")).rows).toEqual([{ role }]);
      await client.end();
      const wrong = new pg.Client({ connectionString: urlFor(adminUrl, role, "wrong") });
      await expect(wrong.connect()).rejects.toThrow(/authentication failed/);
    }
  });

  it("says what the schema says: generating again finds nothing to add", async () => {
    const out = mkdtempSync(join(tmpdir(), "berth-migrations-"));
    try {
      cpSync("db/migrations", out, { recursive: true });
      const before = readdirSync(out);
      const args = ["generate", "--dialect", "postgresql", "--schema", "./db/schema/*.ts", "--out", relative(".", out)];
      await promisify(execFile)("node_modules/.bin/drizzle-kit", args);
      expect(readdirSync(out)).toEqual(before);
    } finally {
      rmSync(out, { recursive: true, force: true });
    }
  });
});
