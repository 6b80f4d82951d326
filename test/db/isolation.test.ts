// Isolation in data, generated from the schema itself: each table that has a team is asked without any filter, as a query that forgot it.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type pg from "pg";
import { randomUUID } from "node:crypto";
import { testDatabase, type TestDatabase } from "./database.ts";

let db: TestDatabase;
const a = randomUUID();
const b = randomUUID();

interface TeamTable {
  readonly name: string;
  /** `team_id`; of teams, `id`. */
  readonly team: string;
}
interface Column {
  readonly name: string;
  readonly type: string;
  /** Must be given a value. */
  readonly needed: boolean;
}

async function teamTables(client: pg.Pool | pg.Client): Promise<TeamTable[]> {
  const { rows } = await client.query<{ name: string; has: boolean }>(
    `select c.relname as name, exists (select 1 from pg_attribute t
       where t.attrelid = c.oid and t.attname = 'team_id' and not t.attisdropped) as has
     from pg_class c where c.relkind in ('r', 'p') and c.relnamespace = 'public'::regnamespace order by 1`,
  );
  return rows.filter(({ name, has }) => has || name === "teams").map(({ name, has }) => ({ name, team: has ? "team_id" : "id" })); // prettier-ignore
}

async function columnsOf(client: pg.Pool | pg.Client, table: string): Promise<Column[]> {
  const { rows } = await client.query<Column>(
    `select a.attname as name, format_type(a.atttypid, null) as type, a.attnotnull and not a.atthasdef as needed
     from pg_attribute a where a.attrelid = $1::regclass and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''`,
    [table],
  );
  return rows;
}

let counter = 0;
/** Some value of that type, another one each time. */
function someValue(type: string): unknown {
  counter += 1;
  if (type === "uuid") return randomUUID();
  if (type.endsWith("[]")) return "{}";
  if (type.startsWith("json")) return "{}";
  if (type === "bytea") return Buffer.from(`bytes ${counter}`);
  if (type === "boolean") return false;
  if (type.startsWith("timestamp") || type === "date") return "2026-01-01T00:00:00Z";
  if (/int|numeric|double|real/.test(type)) return counter;
  return `text-${counter}`;
}

/** The statement that puts a row of that team in. */
async function rowOf(client: pg.Pool | pg.Client, { name, team }: TeamTable, id: string): Promise<[string, unknown[]]> {
  const columns = (await columnsOf(client, name)).filter((column) => column.needed || column.name === team);
  const names = columns.map((column) => `"${column.name}"`).join(", ");
  const places = columns.map((_, at) => `$${at + 1}`).join(", ");
  const values = columns.map((column) => (column.name === team ? id : someValue(column.type)));
  return [`insert into "${name}" (${names}) values (${places})`, values];
}

/** One row of each team in every such table; foreign keys are no matter here. */
async function fill(tables: readonly TeamTable[]): Promise<void> {
  const client = await db.admin.connect();
  await client.query("set session_replication_role = replica");
  for (const table of tables) for (const id of [a, b]) await client.query(...(await rowOf(db.admin, table, id)));
  await client.query("set session_replication_role = origin");
  client.release();
}

const may = async (client: pg.Client, table: string, privilege: string): Promise<boolean> => {
  const ask = privilege === "update" ? "has_any_column_privilege" : "has_table_privilege";
  const { rows } = await client.query<{ yes: boolean }>(`select ${ask}($1, $2) as yes`, [`"${table}"`, privilege]);
  return rows[0]?.yes === true;
};
const within = async (client: pg.Client, team: string, scope: string): Promise<void> => {
  await client.query("begin");
  await client.query("select set_config('berth.team', $1, true), set_config('berth.scope', $2, true)", [team, scope]);
};
/** Which teams' rows a statement got at; what is done is undone. */
async function reached(client: pg.Client, { team }: TeamTable, statement: string): Promise<Set<string>> {
  await client.query("savepoint one");
  const { rows } = await client.query<Record<string, string>>(statement);
  await client.query("rollback to savepoint one");
  return new Set(rows.map((row) => row[team] ?? ""));
}

/** What team A gets at without a filter, though it is not its own; and what of its own it does not see. */
async function faults(client: pg.Client, table: TeamTable): Promise<string[]> {
  const { name, team } = table;
  const found: string[] = [];
  const tell = (what: string, teams: Set<string>) => {
    if ([...teams].some((id) => id !== a)) found.push(`${name}: ${what} reaches other teams`);
  };
  await within(client, a, "");
  if (await may(client, name, "select")) {
    const seen = await reached(client, table, `select "${team}" from "${name}"`);
    tell("select", seen);
    if (!seen.has(a)) found.push(`${name}: its own rows are hidden, so that no policy is seen to work`);
  }
  const [column] = await updatable(client, name);
  if (column !== undefined)
    tell("update", await reached(client, table, `update "${name}" set "${column}" = "${column}" returning "${team}"`));
  if (await may(client, name, "delete"))
    tell("delete", await reached(client, table, `delete from "${name}" returning "${team}"`));
  if (await may(client, name, "insert")) {
    const refusal = await client.query(...(await rowOf(db.admin, table, b))).then(
      () => "none",
      (error: Error) => error.message,
    );
    if (!/row-level security/.test(refusal)) found.push(`${name}: a row for another team is refused by ${refusal}`);
  }
  await client.query("rollback");
  return found;
}

async function updatable(client: pg.Client, table: string): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `select a.attname as name from pg_attribute a where a.attrelid = $1::regclass and a.attnum > 0 and not a.attisdropped
     and has_column_privilege($1, a.attname, 'update')`,
    [table],
  );
  return rows.map(({ name }) => name);
}

beforeAll(async () => {
  db = await testDatabase();
  await fill(await teamTables(db.admin));
});
afterAll(() => db.close());

describe("a query that forgot its filter", () => {
  it("gets at its own team's rows alone, in every table that has a team, by whatever statement it may send", async () => {
    const tables = await teamTables(db.admin);
    expect(tables.length).toBeGreaterThan(14);
    const found = await db.as("berth_app", async (client) => {
      const all: string[] = [];
      for (const table of tables) all.push(...(await faults(client, table)));
      return all;
    });
    expect(found).toEqual([]);
  });

  it("is found out in a table that was made without a policy, and in one whose policy lets all through", async () => {
    await db.as("berth_owner", async (client) => {
      await client.query("create table forgotten (team_id uuid not null, note text)");
      await client.query("create table wide_open (team_id uuid not null, note text)");
      await client.query("alter table wide_open enable row level security");
      await client.query("create policy everything on wide_open for all to berth_app using (true)");
      await client.query("grant select, insert, update, delete on forgotten, wide_open to berth_app");
    });
    const both = (await teamTables(db.admin)).filter(({ name }) => ["forgotten", "wide_open"].includes(name));
    await fill(both);
    const found = await db.as("berth_app", async (client) => {
      const all: string[] = [];
      for (const table of both) all.push(...(await faults(client, table)));
      return all;
    });
    await db.as("berth_owner", (client) => client.query("drop table forgotten, wide_open"));
    expect(found.map((fault) => fault.split(" reach")[0] ?? "").toSorted()).toEqual([
      ...["forgotten: a row for another team is refused by none", "forgotten: delete", "forgotten: select"],
      ...["forgotten: update", "wide_open: a row for another team is refused by none", "wide_open: delete"],
      ...["wide_open: select", "wide_open: update"],
    ]);
  });

  it("sees rows of all teams in these scopes and tables alone, each for a reason of its own", async () => {
    const seen: Record<string, string[]> = {};
    await db.as("berth_app", async (client) => {
      for (const scope of ["operator", "enrol", "sink", "sweep", "domain"]) {
        await within(client, scope === "domain" ? a : "", scope);
        const tables: string[] = [];
        for (const table of await teamTables(db.admin)) {
          if (!(await may(client, table.name, "select"))) continue;
          if ((await reached(client, table, `select "${table.team}" from "${table.name}"`)).has(b))
            tables.push(table.name);
        }
        await client.query("rollback");
        seen[scope] = tables;
      }
    });
    expect(seen).toEqual({
      // What nodes did, with which instances; and which plan the operator gave whom.
      operator: ["events", "metering_counters", "team_plans"],
      enrol: [],
      // The outbox writes history; nothing of it is shown in that scope.
      sink: ["events", "metering_counters", "release_history", "rollout_history"],
      // What is too old, or due; what apps hold of their teams' quotas, set right; and what lies sealed, to be wrapped anew.
      sweep: [
        ...["app_holdings", "apps", "domain_holds", "domains", "environment_versions", "hostnames"],
        ...["idempotency_keys", "registries"],
      ],
      // Which hostnames all teams hold: so that none is held twice.
      domain: ["domain_holds"],
    });
  });

  it("as berth_auth sees what it takes to know who is asking, and nothing that a team has", async () => {
    const readable = await db.as("berth_auth", async (client) => {
      const names: string[] = [];
      for (const { name } of await teamTables(db.admin)) if (await may(client, name, "select")) names.push(name);
      return names;
    });
    expect(readable).toEqual([
      "api_tokens",
      "invitations",
      "memberships",
      "operator_entries",
      "roles",
      "single_sign_ons",
      "team_plans",
      "teams",
    ]);
  });
});

describe("the audit", () => {
  it.each(["berth_app", "berth_auth"] as const)("is append-only for %s", async (role) => {
    for (const statement of ["update audit set outcome = 'ok'", "delete from audit", "truncate audit"]) {
      await expect(
        db.as(role, (client) => client.query(statement)),
        statement,
      ).rejects.toThrow(/permission denied/);
    }
  });

  it("shows an operator nothing of a team, and lets them write nothing into one", async () => {
    await db.admin.query(
      "insert into audit (team_id, actor, action, subject, outcome) values (null, 'system', 'x.y', 'z', 'ok')",
    );
    const teams = await db.as("berth_app", async (client) => {
      await within(client, "", "operator");
      return (await client.query<{ team_id: string | null }>("select team_id from audit")).rows;
    });
    expect(teams).toEqual([{ team_id: null }]);
    const forged = db.as("berth_app", async (client) => {
      await within(client, "", "operator");
      await client.query(
        "insert into audit (team_id, actor, action, subject, outcome) values ($1, 'x', 'x', 'x', 'ok')",
        [a],
      );
    });
    await expect(forged).rejects.toThrow(/row-level security/);
  });
});
