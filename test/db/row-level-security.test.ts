// Row-level security and grants: what each role can see and do, asked of Postgres itself.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { AppId, TeamId } from "../../contracts/ids.ts";
import { mintId, toUuid } from "../../db/ids.ts";
import { findApp, listApps } from "../../db/queries/apps.ts";
import { createApp } from "../../db/queries/apps.ts";
import { deleteApiToken, insertApiToken, listApiTokens } from "../../db/queries/api-tokens.ts";
import { findRegistry, listRegistries, putRegistry } from "../../db/queries/registries.ts";
import { recordNode } from "../../db/queries/nodes.ts";
import { addApp, addTeam, testDatabase, type TestDatabase } from "./database.ts";

let db: TestDatabase;
let a: { team: TeamId; app: AppId };
let b: { team: TeamId; app: AppId };
const actor = "system";

beforeAll(async () => {
  db = await testDatabase();
  const one = await addTeam(db, "team-a");
  const other = await addTeam(db, "team-b");
  a = { team: one.team, app: (await addApp(db, one.team, "shop", "shop-a.test")).app };
  b = { team: other.team, app: (await addApp(db, other.team, "shop", "shop-b.test")).app };
  await putRegistry(db.app, { actor, team: b.team, host: "r.test", username: "bob", sealedPassword: "sealed" });
  await insertApiToken(db.app, {
    actor,
    id: mintId("tok"),
    team: b.team,
    user: other.user,
    name: "ci",
    prefix: "berth_x",
    hash: "bb".repeat(32),
    scopes: null,
    projectIds: null,
    expiresAtMs: null,
  });
  await recordNode(db.app, {
    id: mintId("node"),
    name: "n1",
    cell: "fra.0" as never,
    region: "fra" as never,
    failureDomain: "rack-1",
    jkt: "j",
    enrolledBy: actor,
  });
});
afterAll(() => db.close());

async function tables(): Promise<{ name: string; enabled: boolean; forced: boolean; owner: string }[]> {
  const { rows } = await db.admin.query(`select c.relname as name, c.relrowsecurity as enabled,
    c.relforcerowsecurity as forced, r.rolname as owner from pg_class c join pg_roles r on r.oid = c.relowner
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') order by 1`);
  return rows;
}

describe("row-level security", () => {
  it("is enabled and forced on every table, each of which berth_owner owns", async () => {
    const all = await tables();
    expect(all.length).toBeGreaterThan(15);
    expect(all.filter((table) => !table.enabled || !table.forced || table.owner !== "berth_owner")).toEqual([]);
  });

  it("shows berth_app not one row where no scope was set", async () => {
    const readable = await db.as("berth_app", async (client) => {
      const seen: Record<string, number> = {};
      for (const { name } of await tables()) {
        const allowed = await client.query("select has_table_privilege($1, 'select') as yes", [name]);
        if (!allowed.rows[0].yes) continue;
        seen[name] = (await client.query(`select 1 from ${name}`)).rows.length;
      }
      return seen;
    });
    expect(readable).toMatchObject({ apps: 0, api_tokens: 0, registries: 0, nodes: 0, teams: 0, audit: 0, events: 0 });
    expect(Object.values(readable).every((rows) => rows === 0)).toBe(true);
    const { rows } = await db.admin.query("select count(*)::int as n from apps");
    expect(rows[0].n, "there were rows to be seen").toBe(2);
  });

  it("shows berth_owner not one row either", async () => {
    const rows = await db.as("berth_owner", async (client) => (await client.query("select 1 from apps")).rows);
    expect(rows).toEqual([]);
  });

  it("ends a scope with its transaction, also on a connection that is used again", async () => {
    const counts = await db.as("berth_app", async (client) => {
      await client.query("begin");
      await client.query("select set_config('berth.team', $1, true)", [toUuid(a.team, "team")]);
      const within = (await client.query("select 1 from apps")).rows.length;
      await client.query("commit");
      return { within, after: (await client.query("select 1 from apps")).rows.length };
    });
    expect(counts).toEqual({ within: 1, after: 0 });
  });

  it("lets team A find, list and count nothing of team B, by id or by name", async () => {
    expect(await findApp(db.app, a.team, b.app)).toBeNull();
    expect((await findApp(db.app, a.team, "shop"))?.id).toBe(a.app);
    const listed = await listApps(db.app, a.team, { limit: 50 });
    expect(listed.ok && listed.value.items.map((app) => app.id)).toEqual([a.app]);
    expect(await listRegistries(db.app, a.team, { limit: 10 })).toMatchObject({ ok: true, value: { items: [] } });
    expect(await findRegistry(db.app, a.team, "r.test")).toBeNull();
    const tokens = await listApiTokens(db.app, a.team, { limit: 50 });
    expect(tokens.ok && tokens.value.items).toEqual([]);
  });

  it("lets team A neither change nor delete what is team B's, even without a condition in the statement", async () => {
    await db.as("berth_app", async (client) => {
      await client.query("begin");
      await client.query("select set_config('berth.team', $1, true)", [toUuid(a.team, "team")]);
      expect((await client.query("update registries set username = 'mallory'")).rowCount).toBe(0);
      expect((await client.query("delete from api_tokens")).rowCount).toBe(0);
      expect((await client.query("update apps set destroyed_at = now()")).rowCount, "its own app alone").toBe(1);
      await client.query("rollback");
    });
    const tokens = await listApiTokens(db.app, b.team, { limit: 50 });
    const [token] = tokens.ok ? tokens.value.items : [];
    expect(token && (await deleteApiToken(db.app, { actor, team: a.team, id: token.id }))).toBe(false);
  });

  it("refuses a row that team A would write into team B", async () => {
    const insert = db.as("berth_app", async (client) => {
      await client.query("begin");
      await client.query("select set_config('berth.team', $1, true)", [toUuid(a.team, "team")]);
      await client.query(
        "insert into audit (team_id, actor, action, subject, outcome) values ($1, 'x', 'x', 'x', 'ok')",
        [toUuid(b.team, "team")],
      );
    });
    await expect(insert).rejects.toThrow(/row-level security/);
  });

  it("refuses an app in another team's project", async () => {
    const { rows } = await db.admin.query("select id from projects where team_id = $1", [toUuid(b.team, "team")]);
    const insert = db.as("berth_app", async (client) => {
      await client.query("begin");
      await client.query("select set_config('berth.team', $1, true)", [toUuid(a.team, "team")]);
      await client.query(
        `insert into apps (id, team_id, project_id, name, regions, initial_replicas, created_by)
         values ($1, $2, $3, 'intruder', '{}', 1, 'x')`,
        [toUuid(mintId("app"), "app"), toUuid(a.team, "team"), rows[0].id],
      );
    });
    await expect(insert).rejects.toThrow(/foreign key/);
  });

  it("keeps hostnames unique over all teams although one cannot see the other's", async () => {
    const made = await createApp(db.app, {
      actor,
      id: mintId("app"),
      team: a.team,
      name: "second",
      regions: [],
      replicas: 1,
      hostnameCandidates: ["shop-b.test", "second-team-a.test"],
    });
    expect(made.ok && made.value.hostnames).toEqual(["second-team-a.test"]);
  });
});

describe("the roles", () => {
  it("berth_app and berth_auth own nothing, bypass nothing and are members of nothing", async () => {
    const { rows } = await db.admin.query(`
      select r.rolname, r.rolsuper, r.rolbypassrls, r.rolcreaterole, r.rolcreatedb,
        (select count(*)::int from pg_class c where c.relowner = r.oid) as owned,
        (select count(*)::int from pg_auth_members m where m.member = r.oid) as memberships
      from pg_roles r where r.rolname in ('berth_app', 'berth_auth') order by 1`);
    const nothing = {
      rolsuper: false,
      rolbypassrls: false,
      rolcreaterole: false,
      rolcreatedb: false,
      owned: 0,
      memberships: 0,
    };
    expect(rows).toEqual([
      { rolname: "berth_app", ...nothing },
      { rolname: "berth_auth", ...nothing },
    ]);
  });

  it.each([
    ["switch row-level security off", "alter table apps disable row level security", /must be owner/],
    ["drop a policy", "drop policy apps_team on apps", /must be owner/],
    ["ignore policies", "alter role berth_app bypassrls", /permission denied/],
    ["become the owner", "set role berth_owner", /permission denied/],
    ["read password hashes", "select password from accounts", /permission denied/],
    ["read sessions", "select token from sessions", /permission denied/],
    ["make a table", "create table mine (id int)", /permission denied/],
    ["make a temporary table", "create temporary table mine (id int)", /permission denied/],
    ["rewrite an event", "update events set data = '{}'", /permission denied/],
    ["delete an event", "delete from events", /permission denied/],
    ["rewrite the audit", "update audit set actor = 'nobody'", /permission denied/],
    ["delete from the audit", "delete from audit", /permission denied/],
    ["truncate the audit", "truncate audit", /permission denied/],
    ["rewrite metering", "update metering_counters set requests = 0", /permission denied/],
    ["delete metering", "delete from metering_rows", /permission denied/],
    ["change an old environment", "update environment_versions set sealed = null", /permission denied/],
  ])("berth_app cannot %s", async (_what, statement, refusal) => {
    await expect(db.as("berth_app", (client) => client.query(statement))).rejects.toThrow(refusal);
  });

  it.each([
    ["apps", "select 1 from apps"],
    ["pull credentials", "select 1 from registries"],
    ["events", "select 1 from events"],
    ["the audit", "select 1 from audit"],
  ])("berth_auth cannot read %s", async (_what, statement) => {
    await expect(db.as("berth_auth", (client) => client.query(statement))).rejects.toThrow(/permission denied/);
  });
});
