// Lists: pages that do not shift while rows are added, cursors that cannot be made up, and an index under every one.
import { fillPlaceholders, type Query } from "drizzle-orm";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { AppId, CellName, NodeId, TeamId, UserId } from "../../contracts/ids.ts";
import type { Database } from "../../db/connect.ts";
import { mintId, toUuid } from "../../db/ids.ts";
import { listApiTokens } from "../../db/queries/api-tokens.ts";
import { findApp, listApps } from "../../db/queries/apps.ts";
import { listAudit, readAudit } from "../../db/queries/audit.ts";
import { findCallerByApiToken, findCallerBySession } from "../../db/queries/callers.ts";
import { listEnvironmentVersions } from "../../db/queries/environments.ts";
import { listAppEvents, listEvents, listNodeEvents, listRolloutHistory } from "../../db/queries/history.ts";
import { appsInFlight } from "../../db/queries/in-flight.ts";
import { listInvitations } from "../../db/queries/invitations.ts";
import { findMembership, listMembers } from "../../db/queries/members.ts";
import { findRole } from "../../db/queries/roles.ts";
import { listJoinTokens } from "../../db/queries/join-tokens.ts";
import { findNode, listNodes } from "../../db/queries/nodes.ts";
import { findProjects, listProjects } from "../../db/queries/projects.ts";
import { findRegistry, listRegistries } from "../../db/queries/registries.ts";
import { listTeamsOf } from "../../db/queries/teams.ts";
import type { Scope } from "../../db/scope.ts";
import { addApp, addTeam, testDatabase, type TestDatabase } from "./database.ts";

let db: TestDatabase;
let team: TeamId;
let user: UserId;
let app: AppId;

beforeAll(async () => {
  db = await testDatabase();
  ({ team, user } = await addTeam(db, "lists"));
  ({ app } = await addApp(db, team, "first"));
  await fill();
});
afterAll(() => db.close());

const ROWS = 3_000;
const cell = "fra.0" as CellName;
const node = mintId<NodeId>("node");

/** Rows enough, half of them another team's, that the planner has a reason to use an index. */
async function fill(): Promise<void> {
  const other = await addTeam(db, "others");
  const { project } = await addApp(db, other.team, "other");
  const mine = (await findApp(db.app, team, app))?.project ?? "";
  const owners = [
    { team, project: mine, app },
    { team: other.team, project, app: mintId<AppId>("app") },
  ];
  for (const owner of owners) {
    const [teamId, projectId, appId] = [
      toUuid(owner.team, "team"),
      toUuid(owner.project, "proj"),
      toUuid(owner.app, "app"),
    ];
    const n = `from generate_series(1, ${ROWS}) n`;
    const statements = [
      `insert into projects (id, team_id, name) select uuidv7(), '${teamId}', 'p' || n ${n}`,
      `insert into apps (id, team_id, project_id, name, regions, initial_replicas, created_by)
       select uuidv7(), '${teamId}', '${projectId}', 'app-' || n, '{}', 1, 'x' ${n}`,
      `insert into hostnames (hostname, team_id, app_id) select id || '.test', team_id, id from apps where team_id = '${teamId}'`,
      `insert into api_tokens (id, team_id, user_id, name, prefix, hash)
       select uuidv7(), '${teamId}', '${toUuid(user, "user")}', 't', 'p', sha256(convert_to('${teamId}' || n, 'UTF8')) ${n}`,
      `insert into registries (team_id, host, username, sealed_password) select '${teamId}', 'r' || n, 'u', 's' ${n}`,
      `insert into audit (team_id, actor, action, subject, outcome) select '${teamId}', 'a', 'b', 'c', 'ok' ${n}`,
      `insert into roles (team_id, name, policies) select '${teamId}', 'r' || n, '[]' ${n}`,
      `insert into invitations (id, team_id, email, role, hash, invited_by, expires_at)
       select uuidv7(), '${teamId}', n || '@example.com', 'viewer', sha256(convert_to('i${teamId}' || n, 'UTF8')), 'x', now() ${n}`,
      `insert into events (source, seq, team_id, type, version, subject, actor, at, data)
       select 'app:${owner.app}', n, '${teamId}', 'app.scaled', 1, 's', 'a', now(), '{}' ${n}`,
      `insert into release_history (id, team_id, app_id, version, release, created_by, created_at, seq)
       select uuidv7(), '${teamId}', '${appId}', n, '{}', 'x', now(), n ${n}`,
      `insert into rollout_history (id, team_id, app_id, phase, rollout, started_by, started_at, seq)
       select uuidv7(), '${teamId}', '${appId}', 'completed', '{}', 'x', now(), n ${n}`,
    ];
    for (const statement of statements) await db.admin.query(statement);
  }
  const n = `from generate_series(1, ${ROWS}) n`;
  const appId = toUuid(app, "app");
  for (const statement of [
    `insert into environment_versions (team_id, app_id, name, sealed, actor) select '${toUuid(team, "team")}', '${appId}', 'A', 's', 'x' ${n}`,
    `insert into join_tokens (id, hash, created_by, expires_at) select uuidv7(), sha256(n::text::bytea), 'x', now() ${n}`,
    `insert into events (source, seq, type, version, subject, actor, at, data)
     select 'cell:${cell}', n, case when n % 10 = 0 then 'node.suspect' else 'node.metered' end, 1,
       case when n % 3 = 0 then '${node}' else 'node-' || n end, 'a', now(), '{}' ${n}`,
    `insert into nodes (id, name, cell, region, failure_domain, jkt, enrolled_by) select uuidv7(), 'n' || n, 'fra.0', 'fra', 'r', 'j', 'x' ${n}`,
    `insert into users (id, email, name) select uuidv7(), n || '@example.com', 'x' ${n}`,
    `insert into sessions (id, user_id, token, expires_at) select uuidv7(), id, id::text, now() + interval '1 day' from users`,
    `insert into memberships (team_id, user_id, role) select '${toUuid(team, "team")}', id, 'member' from users on conflict do nothing`,
    `insert into accounts (id, user_id, provider_id, account_id) select uuidv7(), id, 'credential', id::text from users`,
    "analyze",
  ])
    await db.admin.query(statement);
}

describe("a page", () => {
  it("follows the one before without a gap or a repetition while rows are added and removed", async () => {
    const before = await db.admin.query("select id from apps where team_id = $1 order by id desc limit 7", [
      toUuid(team, "team"),
    ]);
    const first = await listApps(db.app, team, { limit: 3 });
    if (!first.ok || first.value.nextCursor === null) throw new Error("no first page");
    await addApp(db, team, "newer");
    const second = await listApps(db.app, team, { limit: 4, cursor: first.value.nextCursor });
    const ids = [...first.value.items, ...(second.ok ? second.value.items : [])].map((item) => toUuid(item.id, "app"));
    expect(ids).toEqual(before.rows.map((row: { id: string }) => row.id));
  });

  it("ends with no cursor, exactly at the last row", async () => {
    const { team: small } = await addTeam(db, "small");
    await addApp(db, small, "one-small");
    await addApp(db, small, "two-small");
    const exact = await listApps(db.app, small, { limit: 2 });
    expect(exact.ok && [exact.value.items.length, exact.value.nextCursor]).toEqual([2, null]);
    const short = await listApps(db.app, small, { limit: 1 });
    const cursor = short.ok ? short.value.nextCursor : null;
    const last = await listApps(db.app, small, { limit: 1, cursor: cursor ?? "" });
    expect(last.ok && [last.value.items.length, last.value.nextCursor]).toEqual([1, null]);
  });

  it("of a node's history tells the newest first, without its metering, and without another node's events", async () => {
    const first = await listNodeEvents(db.app, { node, cell, limit: 40 });
    if (!first.ok || first.value.nextCursor === null) throw new Error("no first page");
    const second = await listNodeEvents(db.app, { node, cell, limit: 100, cursor: first.value.nextCursor });
    if (!second.ok) throw new Error(second.failure.message);
    const all = [...first.value.items, ...second.value.items];
    expect(all.map((event) => event.seq)).toEqual(Array.from({ length: 100 }, (_, index) => ROWS - 30 * index));
    expect(new Set(all.map((event) => `${event.type} ${event.subject}`))).toEqual(new Set([`node.suspect ${node}`]));
  });

  it.each(["%%%", "", "bm9uc2Vuc2U", btoa(mintId("node"))])(
    "refuses the cursor %j, which no list gave out",
    async (cursor) => {
      const page = await listApps(db.app, team, { limit: 3, cursor });
      expect(!page.ok && page.failure.errors?.[0]?.pointer).toBe("query:cursor");
    },
  );
});

/** The names of members are another look-up, as another role. */
const nobody = { run: () => Promise.resolve([]) } as unknown as Database;
type Ask = (database: Database, cursor: string | undefined) => Promise<unknown>;
const cursorOf = (key: string) => btoa(key).replace(/=+$/, "").replaceAll("+", "-").replaceAll("/", "_");
const uuid = "01900000-0000-7000-8000-000000000000";
const cases: [name: string, database: "app" | "auth", cursor: string | null, ask: Ask][] = [
  ["apps", "app", mintId("app"), (d, cursor) => listApps(d, team, { limit: 10, cursor })],
  ["projects", "app", mintId("proj"), (d, cursor) => listProjects(d, team, { limit: 10, cursor })],
  ["API tokens", "app", mintId("tok"), (d, cursor) => listApiTokens(d, team, { limit: 10, cursor })],
  ["the audit", "app", uuid, (d, cursor) => listAudit(d, team, { limit: 10, cursor })],
  [
    "one actor's audit in a time",
    "app",
    uuid,
    (d, cursor) => listAudit(d, team, { limit: 10, cursor, actor: "a", fromMs: 1, toMs: 2 }),
  ],
  ["the installation's audit", "app", uuid, (d, cursor) => listAudit(d, null, { limit: 10, cursor })],
  ["the audit's export", "app", null, (d) => readAudit(d, team, { after: uuid, limit: 10 })],
  ["members", "app", mintId("user"), (d, cursor) => listMembers({ app: d, auth: nobody }, team, { limit: 10, cursor })],
  ["one membership", "app", null, (d) => findMembership(d, team, user)],
  ["invitations", "app", mintId("inv"), (d, cursor) => listInvitations(d, team, { limit: 10, cursor })],
  ["one role", "app", null, (d) => findRole(d, team, "r7")],
  ["projects by name", "app", null, (d) => findProjects(d, team, ["p7", "p8"])],
  ["environment versions", "app", uuid, (d, cursor) => listEnvironmentVersions(d, team, app, { limit: 10, cursor })],
  ["join tokens", "app", mintId("join"), (d, cursor) => listJoinTokens(d, { limit: 10, cursor })],
  ["nodes", "app", mintId("node"), (d, cursor) => listNodes(d, { limit: 10, cursor })],
  [
    "rollouts of the past",
    "app",
    mintId("roll"),
    (d, cursor) => listRolloutHistory(d, team, app, { limit: 10, cursor }),
  ],
  ["events", "app", null, (d) => listEvents(d, team, { source: `app:${app}`, afterSeq: 5, limit: 10 })],
  ["apps in flight", "app", null, (d) => appsInFlight(d, 10)],
  ["registries", "app", "r7", (d, cursor) => listRegistries(d, team, { limit: 10, cursor })],
  ["an app's history", "app", "7", (d, cursor) => listAppEvents(d, { team, app, limit: 10, cursor })],
  ["a node's history", "app", "7", (d, cursor) => listNodeEvents(d, { node, cell, limit: 10, cursor })],
  ["one registry", "app", null, (d) => findRegistry(d, team, "r7")],
  ["an app by name", "app", null, (d) => findApp(d, team, "app-7")],
  ["an app by id", "app", null, (d) => findApp(d, team, app)],
  ["a node by name", "app", null, (d) => findNode(d, "n7")],
  ["a caller by session", "auth", null, (d) => findCallerBySession(d, "token", undefined)],
  ["a caller by API token", "auth", null, (d) => findCallerByApiToken(d, "ab".repeat(32))],
  ["a user's teams", "auth", null, (d) => listTeamsOf(d, user)],
];

interface Plan {
  readonly "Node Type": string;
  readonly "Relation Name"?: string;
  readonly Plans?: readonly Plan[];
}
const nodesOf = (plan: Plan): Plan[] => [plan, ...(plan.Plans ?? []).flatMap(nodesOf)];

describe("every list and look-up", () => {
  it.each(cases)(
    "of %s reads through an index, on its first page and on a later one",
    async (_name, which, key, ask) => {
      for (const cursor of key === null ? [undefined] : [undefined, cursorOf(key)]) {
        const asked: { scope: Scope; sql: string; params: unknown[] }[] = [];
        const recording: Database = {
          ...db[which],
          run(scope, build) {
            return db[which].run(scope, (statements) => {
              const query = build(statements);
              asked.push({ scope, ...(query as unknown as { toSQL(): { sql: string; params: unknown[] } }).toSQL() });
              return query;
            });
          },
          ask(prepare, values) {
            return db[which].ask((statements) => {
              const made = prepare(statements);
              const { sql, params } = (made as unknown as { getQuery(): Query }).getQuery();
              asked.push({ scope: { kind: "auth" }, sql, params: fillPlaceholders(params, values) });
              return made;
            }, values);
          },
        };
        await ask(recording, cursor);
        expect(asked).toHaveLength(1);
        for (const query of asked) {
          const plan = await planOf(which, query);
          const scans = nodesOf(plan).filter((node) => node["Node Type"] === "Seq Scan");
          // A team or two of it, and what each has one row of: too small for an index to be worth its while.
          expect(
            scans.filter((node) => !["teams", "single_sign_ons"].includes(String(node["Relation Name"]))),
            JSON.stringify(plan),
          ).toEqual([]);
        }
      }
    },
  );

  it("of a table without an index for it would be noticed", async () => {
    const plan = await planOf("app", {
      scope: { kind: "team", team },
      sql: "select 1 from audit where actor = 'a'",
      params: [],
    });
    await db.admin.query("drop index audit_team");
    const without = await planOf("app", {
      scope: { kind: "team", team },
      sql: "select id from audit where team_id = nullif(current_setting('berth.team', true), '')::uuid order by id desc limit 10",
      params: [],
    });
    await db.admin.query("create index audit_team on audit (team_id, id)");
    expect(nodesOf(plan).some((node) => node["Node Type"] === "Seq Scan")).toBe(true);
    expect(nodesOf(without).some((node) => node["Node Type"] === "Index Only Scan")).toBe(false);
  });
});

async function planOf(which: "app" | "auth", query: { scope: Scope; sql: string; params: unknown[] }): Promise<Plan> {
  return db.as(`berth_${which}`, async (client) => {
    await client.query("begin");
    const { scope } = query;
    const settings = [scope.kind === "team" ? toUuid(scope.team, "team") : "", scope.kind];
    await client.query("select set_config('berth.team', $1, true), set_config('berth.scope', $2, true)", settings);
    const { rows } = await client.query(`explain (format json) ${query.sql}`, query.params);
    await client.query("rollback");
    return rows[0]["QUERY PLAN"][0].Plan;
  });
}
