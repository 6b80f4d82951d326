// When Postgres cannot be reached, in time or at all: one typed error, whatever was asked and however it went wrong.
import { createServer, type Server } from "node:net";
import type { AddressInfo } from "node:net";
import { sql } from "drizzle-orm";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { startNeonAdapter, type NeonAdapter } from "../../self-hosted/database/server.ts";
import { connect, PATIENCE, type Database } from "../../db/connect.ts";
import { DatabaseUnavailable, violatedConstraint } from "../../db/errors.ts";
import { signIn, signUp } from "../../workers/control/auth/index.ts";
import { People } from "../workers/people.ts";
import { testDatabase, type TestDatabase } from "./database.ts";

let db: TestDatabase;
beforeAll(async () => void (db = await testDatabase({ asItIs: true })));
afterAll(() => db.close());

const STANDARD = { ...PATIENCE };
const MUCH = { connectMs: 60_000, statementMs: 60_000 };
afterEach(() => void Object.assign(PATIENCE, STANDARD));

const scope = { kind: "sweep" } as const;
const asks: [string, (database: Database) => Promise<unknown>][] = [
  ["a statement", (database) => database.run(scope, (statements) => statements.execute(sql`select 1`))],
  ["a batch", (database) => database.runAll(scope, (statements) => [statements.execute(sql`select 1`)])],
  ["a transaction", (database) => database.transaction(scope, (tx) => tx.execute(sql`select 1`))],
];
const reached = (adapter: string) => connect({ url: db.env.DATABASE_URL_APP, adapter });
const seconds = (sinceMs: number) => (performance.now() - sinceMs) / 1_000;

/** A port that takes connections and never says a word. */
async function blackHole(): Promise<Server> {
  const server = createServer((socket) => socket.on("error", () => socket.destroy()));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

describe.each(asks)("%s", (_name, ask) => {
  it("is DatabaseUnavailable at once where nothing listens", async () => {
    // At once is long before whoever waits would give up.
    Object.assign(PATIENCE, MUCH);
    const startedMs = performance.now();
    await expect(ask(reached("127.0.0.1:1"))).rejects.toBeInstanceOf(DatabaseUnavailable);
    expect(seconds(startedMs)).toBeLessThan(30);
  });

  it("is DatabaseUnavailable where the adapter answers and Postgres does not", async () => {
    const adapter: NeonAdapter = await startNeonAdapter({ port: 0, postgres: { host: "127.0.0.1", port: 1 } });
    await expect(ask(reached(`127.0.0.1:${adapter.port}`))).rejects.toBeInstanceOf(DatabaseUnavailable);
    await adapter.close();
  });

  it("is DatabaseUnavailable within seconds where a connection is taken and nothing ever said", async () => {
    const hole = await blackHole();
    const startedMs = performance.now();
    await expect(ask(reached(`127.0.0.1:${(hole.address() as AddressInfo).port}`))).rejects.toBeInstanceOf(
      DatabaseUnavailable,
    );
    // Given up on at all, after what is said to be seconds: more than those is what a busy machine adds.
    expect(Math.max(...Object.values(PATIENCE))).toBeLessThan(8_000);
    expect(seconds(startedMs)).toBeLessThan(60);
    hole.close();
  });

  it("works on the next try, once Postgres is back", async () => {
    await expect(ask(reached("127.0.0.1:1"))).rejects.toBeInstanceOf(DatabaseUnavailable);
    await expect(ask(reached(db.env.NEON_ADAPTER ?? ""))).resolves.toBeDefined();
  });
});

describe("a statement that takes too long", () => {
  it("is ended by Postgres after five seconds, and is DatabaseUnavailable", async () => {
    Object.assign(PATIENCE, MUCH);
    const database = reached(db.env.NEON_ADAPTER ?? "");
    const startedMs = performance.now();
    const slow = database.run(scope, (statements) => statements.execute(sql`select pg_sleep(20)`));
    await expect(slow).rejects.toBeInstanceOf(DatabaseUnavailable);
    expect(seconds(startedMs)).toBeGreaterThan(4);
    expect(seconds(startedMs), "long before it would have ended by itself").toBeLessThan(19);
    const { rows } = await db.admin.query(
      "select 1 from pg_stat_activity where query like '%pg_sleep(20)%' and state = 'active' and usename = 'berth_app'",
    );
    expect(rows).toEqual([]);
  });
});

describe("what Postgres judged", () => {
  it("stays the error it is: a constraint, a fault in a statement, a fault of the caller's own", async () => {
    const database = reached(db.env.NEON_ADAPTER ?? "");
    const fault = await database
      .run(scope, (statements) => statements.execute(sql`select nothing_such`))
      .catch((e) => e);
    expect(fault).not.toBeInstanceOf(DatabaseUnavailable);
    const own = database.transaction(scope, async () => Promise.reject(new TypeError("mine")));
    await expect(own).rejects.toThrow(new TypeError("mine"));
    const twice = await database
      .transaction({ kind: "sink" }, async (tx) => {
        await tx.execute(sql`insert into outbox_sources (source, last_seq) values ('x', 0)`);
        await tx.execute(sql`insert into outbox_sources (source, last_seq) values ('x', 0)`);
      })
      .catch((error: unknown) => error);
    expect(violatedConstraint(twice)).toBe("outbox_sources_pkey");
    const { rows } = await db.admin.query("select 1 from outbox_sources where source = 'x'");
    expect(rows, "the transaction was undone").toEqual([]);
  });
});

describe("accounts", () => {
  it("say DatabaseUnavailable too, not that a password is wrong", async () => {
    const asked = new People({ ...db.env, NEON_ADAPTER: "127.0.0.1:1" }).asked();
    const input = { email: "pat@example.com", password: "correct horse battery" };
    await expect(signIn(input, asked)).rejects.toBeInstanceOf(DatabaseUnavailable);
    await expect(signUp({ ...input, name: "Pat" }, asked)).rejects.toBeInstanceOf(DatabaseUnavailable);
  });
});
