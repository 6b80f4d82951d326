// The local Neon adapter, through the real driver, in front of a real Postgres.
import { neon, neonConfig, NeonDbError, Pool } from "@neondatabase/serverless";
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startNeonAdapter, type NeonAdapter } from "../../self-hosted/database/server.ts";
import { scratchPostgres, type ScratchPostgres } from "./scratch-postgres.ts";

let postgres: ScratchPostgres;
let adapter: NeonAdapter;

beforeAll(async () => {
  postgres = await scratchPostgres();
  adapter = await startNeonAdapter({ port: 0, postgres: { host: "127.0.0.1", port: postgres.port } });
  neonConfig.fetchEndpoint = () => `http://127.0.0.1:${adapter.port}/sql`;
  neonConfig.wsProxy = () => `127.0.0.1:${adapter.port}/v1`;
  neonConfig.useSecureWebSocket = false;
  neonConfig.pipelineTLS = false;
  neonConfig.pipelineConnect = false;
  await neon(postgres.url)`create table ship (id int primary key, name text unique, cargo jsonb, holds int[])`;
});

afterAll(async () => {
  await adapter.close();
  await postgres.remove();
});

describe("one query over HTTP", () => {
  test("gives every kind of value back as the driver types it", async () => {
    const sql = neon(postgres.url);
    const [row] = await sql`select ${1}::int as i, ${"it's"}::text as t, ${null}::text as n, ${true}::bool as b,
      ${{ a: [1, "x"] }}::jsonb as j, ${[1, 2, 3]}::int[] as ints, ${["a,b", 'c"d', null]}::text[] as texts,
      9007199254740993::int8 as big, 1.5::float8 as f, '2026-01-02T03:04:05Z'::timestamptz as at`;
    expect(row).toEqual({
      i: 1, t: "it's", n: null, b: true, j: { a: [1, "x"] }, ints: [1, 2, 3], texts: ["a,b", 'c"d', null],
      big: "9007199254740993", f: 1.5, at: new Date("2026-01-02T03:04:05Z"),
    }); // prettier-ignore
  });

  test("tells command, row count and fields when full results are asked for", async () => {
    const sql = neon(postgres.url, { fullResults: true, arrayMode: true });
    const result = await sql`insert into ship (id, name) values (1, 'Argo'), (2, 'Beagle') returning id, name`;
    expect(result).toMatchObject({ command: "INSERT", rowCount: 2, rows: [[1, "Argo"], [2, "Beagle"]] }); // prettier-ignore
    expect(result.fields.map((field) => [field.name, field.dataTypeID])).toEqual([["id", 23], ["name", 25]]); // prettier-ignore
  });

  test("carries a Postgres error's code, constraint, table and detail", async () => {
    const sql = neon(postgres.url);
    await sql`insert into ship (id, name) values (10, 'Calypso')`;
    const error = await sql`insert into ship (id, name) values (11, 'Calypso')`.catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(NeonDbError);
    expect(error).toMatchObject({
      code: "23505",
      constraint: "ship_name_key",
      table: "ship",
      schema: "public",
      severity: "ERROR",
      detail: "Key (name)=(Calypso) already exists.",
    });
  });

  test("places a syntax error", async () => {
    const error = await neon(postgres.url)
      .query("select from from")
      .catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: "42601", position: "13" });
  });

  test("refuses two statements in one text", async () => {
    await expect(neon(postgres.url).query("select 1; select 2")).rejects.toMatchObject({ code: "42601" });
  });

  test("refuses a wrong password with Postgres' own code", async () => {
    const url = new URL(postgres.url);
    url.password = "wrong";
    await expect(neon(url.href)`select 1`).rejects.toMatchObject({ code: "28P01" });
  });

  test("does not carry one request's setting into the next", async () => {
    const sql = neon(postgres.url);
    await sql`set application_name = 'stained'`;
    const names = await Promise.all(
      Array.from({ length: 8 }, () => sql`select current_setting('application_name') as name`),
    );
    expect(names.flat().map((row) => row.name)).not.toContain("stained");
  });

  test("returns a row of 8 MB whole", async () => {
    const [row] = await neon(postgres.url)`select repeat('x', ${8_000_000}) as text`;
    expect(row?.text).toHaveLength(8_000_000);
  });

  test("takes a parameter of 4 MB whole", async () => {
    const [row] = await neon(postgres.url)`select length(${"y".repeat(4_000_000)}::text) as length`;
    expect(row).toEqual({ length: 4_000_000 });
  });
});

describe("statements that are asked again and again", () => {
  const prepared = async (text: string): Promise<number> => {
    const [row] = await neon(
      postgres.url,
    )`select count(*)::int as n from pg_prepared_statements where statement = ${text}`;
    return Number(row?.n);
  };

  test("are planned once, and answer for whatever values they are asked with", async () => {
    const sql = neon(postgres.url);
    const text = "select $1::int * 2 as doubled, $2::text as said";
    for (let n = 0; n < 12; n += 1)
      expect(await sql.query(text, [n, `${n}`])).toEqual([{ doubled: 2 * n, said: `${n}` }]);
    expect(await prepared(text)).toBe(1);
    await sql.query("select 'asked once'");
    expect(await prepared("select 'asked once'")).toBe(0);
  });

  test("answer anew once a column has another type, alone and in a transaction", async () => {
    const sql = neon(postgres.url);
    await sql`create table buoy (at int)`;
    await sql`insert into buoy values (7)`;
    const [text, other] = ["select at from buoy", "select at, at as again from buoy"];
    for (let n = 0; n < 8; n += 1) {
      expect(await sql.query(text)).toEqual([{ at: 7 }]);
      expect(await sql.transaction([sql.query(other)])).toEqual([[{ at: 7, again: 7 }]]);
    }
    await sql`alter table buoy alter column at type text`;
    expect(await sql.query(text)).toEqual([{ at: "7" }]);
    expect(await sql.transaction([sql`insert into buoy values ('8')`, sql.query(other)])).toEqual([
      [],
      [{ at: "7", again: "7" }, { at: "8", again: "8" }],
    ]); // prettier-ignore
    expect(await sql.query(text)).toEqual([{ at: "7" }, { at: "8" }]);
  });

  test("answer where the connection forgot them, as one behind a pooler does, and are planned each time from there on", async () => {
    const own = await startNeonAdapter({ port: 0, postgres: { host: "127.0.0.1", port: postgres.port } });
    const shared = neonConfig.fetchEndpoint;
    neonConfig.fetchEndpoint = `http://127.0.0.1:${own.port}/sql`;
    try {
      const sql = neon(postgres.url);
      const text = "select $1::int + 100 as sum";
      for (let n = 0; n < 8; n += 1) await sql.query(text, [n]);
      expect(await prepared(text)).toBe(1);
      await sql.query("deallocate all");
      expect(await sql.query(text, [1])).toEqual([{ sum: 101 }]);
      for (let n = 0; n < 8; n += 1)
        expect(await sql.transaction([sql.query(text, [n])])).toEqual([[{ sum: 100 + n }]]);
      expect(await prepared(text)).toBe(0);
    } finally {
      neonConfig.fetchEndpoint = shared;
      await own.close();
    }
  });

  test("that fail leave the ones after them as they were", async () => {
    const sql = neon(postgres.url);
    const [fails, works] = ["select 1 / $1::int as part", "select $1::int + 1 as more"];
    for (let n = 0; n < 8; n += 1) {
      await expect(sql.transaction([sql.query(fails, [0]), sql.query(works, [n])])).rejects.toMatchObject({
        code: "22012",
      });
      expect(await sql.transaction([sql.query(fails, [1]), sql.query(works, [n])])).toEqual([
        [{ part: 1 }],
        [{ more: n + 1 }],
      ]);
    }
    await sql.query("select no_such_column from ship").catch(() => undefined);
    expect(await sql.query(works, [1])).toEqual([{ more: 2 }]);
  });
});

describe("a transaction over HTTP", () => {
  test("commits all of its queries, with the isolation asked for", async () => {
    const sql = neon(postgres.url);
    const [inserted, level] = await sql.transaction(
      [
        sql`insert into ship (id) values (20), (21) returning id`,
        sql`select current_setting('transaction_isolation') as level`,
      ],
      { isolationLevel: "Serializable" },
    );
    expect(inserted).toEqual([{ id: 20 }, { id: 21 }]);
    expect(level).toEqual([{ level: "serializable" }]);
  });

  test("leaves nothing behind when its last query fails", async () => {
    const sql = neon(postgres.url);
    const batch = sql.transaction([sql`insert into ship (id) values (30)`, sql`insert into ship (id) values (30)`]);
    await expect(batch).rejects.toMatchObject({ code: "23505", constraint: "ship_pkey" });
    expect(await sql`select id from ship where id = 30`).toEqual([]);
  });

  test("refuses to write when it is read only", async () => {
    const sql = neon(postgres.url);
    await expect(sql.transaction([sql`insert into ship (id) values (40)`], { readOnly: true })).rejects.toMatchObject({
      code: "25006",
    });
  });
});

describe("a pool over WebSockets", () => {
  test("runs an interactive transaction and rolls it back", async () => {
    const pool = new Pool({ connectionString: postgres.url });
    const client = await pool.connect();
    await client.query("begin");
    await client.query("insert into ship (id, cargo) values ($1, $2)", [50, JSON.stringify({ tea: 3 })]);
    expect((await client.query("select cargo from ship where id = 50")).rows).toEqual([{ cargo: { tea: 3 } }]);
    await client.query("rollback");
    expect((await client.query("select 1 from ship where id = 50")).rowCount).toBe(0);
    client.release();
    await pool.end();
  });

  test("carries 200,000 rows without loss", async () => {
    const pool = new Pool({ connectionString: postgres.url });
    const { rows } = await pool.query("select g, repeat('z', 50) as pad from generate_series(1, 200000) g");
    expect(rows).toHaveLength(200_000);
    expect(rows.at(-1)).toEqual({ g: 200_000, pad: "z".repeat(50) });
    await pool.end();
  });

  test("carries an error's code and constraint", async () => {
    const pool = new Pool({ connectionString: postgres.url });
    await pool.query("insert into ship (id) values (60)");
    await expect(pool.query("insert into ship (id) values (60)")).rejects.toMatchObject({
      code: "23505",
      constraint: "ship_pkey",
    });
    await pool.end();
  });

  test("reaches only the fixed Postgres, whatever address is asked for", async () => {
    const url = new URL(postgres.url);
    url.hostname = "192.0.2.1";
    url.port = "1";
    const pool = new Pool({ connectionString: url.href });
    expect((await pool.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
    await pool.end();
  });
});

describe("what is no query", () => {
  const post = (body: string, headers: Record<string, string> = {}) =>
    fetch(`http://127.0.0.1:${adapter.port}/sql`, { method: "POST", body, headers });

  test.each([
    ["a body that is not JSON", "{", 400],
    ["a body without a query", "{}", 400],
  ])("refuses %s", async (_name, body, status) => {
    const response = await post(body, { "neon-connection-string": postgres.url });
    expect(response.status).toBe(status);
    expect(await response.json()).toHaveProperty("message");
  });

  test("refuses a request without a connection string", async () => {
    expect((await post(JSON.stringify({ query: "select 1", params: [] }))).status).toBe(400);
  });

  test("refuses an upgrade on another path", async () => {
    const socket = connect(adapter.port, "127.0.0.1");
    socket.write("GET /other HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n");
    const received = await new Promise<string>((resolve) => {
      let text = "";
      socket.on("data", (chunk) => (text += String(chunk)));
      socket.on("close", () => resolve(text));
      socket.on("error", () => resolve(text));
    });
    expect(received).toBe("");
  });

  test("types values itself when raw text is not asked for", async () => {
    const query = "select 7 as i, true as b, '{\"a\":1}'::jsonb as j, null as n, 'NaN'::float8 as f";
    const response = await post(JSON.stringify({ query, params: [] }), { "neon-connection-string": postgres.url });
    expect(await response.json()).toMatchObject({ rows: [{ i: 7, b: true, j: { a: 1 }, n: null, f: "NaN" }] });
  });
});

describe("when Postgres is killed", () => {
  test("what is in flight fails at once, new requests fail cleanly, and both wires work again after its restart", async () => {
    const sql = neon(postgres.url);
    const pool = new Pool({ connectionString: postgres.url });
    pool.on("error", () => {});
    const inFlight = [
      pool.query("select pg_sleep(60)").catch((error: unknown) => error),
      sql`select pg_sleep(60)`.catch((error: unknown) => error),
    ];
    // Both must be running in Postgres before it is killed.
    await expect.poll(async () => (await sql`select 1 from pg_stat_activity where query like '%pg_sleep(60)%' and state = 'active' and pid <> pg_backend_pid()`).length).toBe(2); // prettier-ignore
    await postgres.kill();
    for (const error of await Promise.all(inFlight)) expect(error).toBeInstanceOf(Error);
    const startedMs = performance.now();
    await expect(sql`select 1`).rejects.toThrow(/503/);
    await expect(pool.query("select 1")).rejects.toBeDefined();
    expect(performance.now() - startedMs).toBeLessThan(20_000);
    await postgres.start();
    expect(await sql`select 1 as one`).toEqual([{ one: 1 }]);
    expect((await pool.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
    await pool.end();
  });
});
