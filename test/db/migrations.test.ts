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

  it("marks who was a member by single sign-on alone, and neither founders nor whom an invitation brought", async () => {
    const adminUrl = await emptyDatabase();
    await migrate({ adminUrl, passwords });
    const [team, founder, invited, named] = Array.from({ length: 4 }, () => crypto.randomUUID());
    const admin = new pg.Client({ connectionString: adminUrl });
    const owner = new pg.Client({ connectionString: urlFor(adminUrl, "berth_owner", passwords.owner) });
    await Promise.all([admin.connect(), owner.connect()]);
    await admin.query(`insert into teams (id, slug, name, created_at) values ('${team}', 't', 'T', '2026-01-01')`);
    for (const user of [founder, invited, named]) {
      await admin.query(`insert into users (id, email, name) values ('${user}', '${user}@example.com', 'P')`);
      const joined = user === founder ? "2026-01-01" : "2026-01-02";
      await admin.query(`insert into memberships (team_id, user_id, role, created_at) values ('${team}', '${user}', 'viewer', '${joined}')`); // prettier-ignore
      await admin.query(`insert into accounts (id, user_id, provider_id, account_id) values (gen_random_uuid(), '${user}', 'sso-${team}', '${user}')`); // prettier-ignore
    }
    await admin.query(`insert into invitations (id, team_id, email, role, hash, invited_by, expires_at, accepted_by)
      values (gen_random_uuid(), '${team}', 'i', 'viewer', '', 'i', now(), '${invited}')`);
    const statements = readFileSync("db/migrations/0017_members_by_sign_on.sql", "utf8").split(
      "--> statement-breakpoint",
    );
    // What comes after the column, which is there already.
    for (const statement of statements.slice(1)) await owner.query(statement);
    const { rows } = await admin.query("select user_id from memberships where by_sign_on");
    await Promise.all([admin.end(), owner.end()]);
    expect(rows).toEqual([{ user_id: named }]);
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
