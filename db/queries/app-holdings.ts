// What apps may hold of their team's quota: granted before an App object takes more, taken back when it says that it holds less.
import { and, asc, eq, inArray, isNotNull, lt, sql, type SQL } from "drizzle-orm";
import type { AppId, TeamId } from "../../contracts/ids.ts";
import type { Grant, Holding } from "../../contracts/quota.ts";
import type { Resources } from "../../contracts/release.ts";
import type { Database, Statements } from "../connect.ts";
import { toUuid } from "../ids.ts";
import { appHoldings } from "../schema/quotas.ts";
import { registries } from "../schema/secrets.ts";
import { policiesIn, selectImagePolicies, type ImagePolicyRecord, type StoredPolicyRow } from "./image-policies.ts";
import { fits, lockTeam, selectPlan, TODAY, type QuotaFacts, type QuotaPolicy } from "./quota-sql.ts";

const PARTS = { instances: "instances", cpuMilli: "cpu_milli", memoryBytes: "memory_bytes", diskBytes: "disk_bytes" };
const parts = Object.entries(PARTS) as [keyof Holding, string][];
const list = (of: (column: string, part: keyof Holding) => string): SQL =>
  sql.raw(parts.map(([part, column]) => of(column, part)).join(", "));
const COLUMNS = list((column) => column);

interface Ask {
  readonly team: TeamId;
  readonly policy: QuotaPolicy;
}
interface Spent extends Record<string, unknown> {
  readonly plan: string;
  readonly limits: QuotaFacts["limits"];
  readonly used: QuotaFacts["used"];
  readonly asked: Record<string, number>;
  readonly allowed: boolean;
  readonly counted: boolean;
  readonly grant: ({ version: number } & Record<string, number>) | null;
}

export interface ReleaseAsk {
  /** Its id, or its name. */
  readonly app: { readonly id: AppId } | { readonly name: string };
  /** Of the image; null: no registry has to be looked up. */
  readonly registry: string | null;
  /** Absent: as many as before. */
  readonly replicas: number | undefined;
  readonly resources: Omit<Resources, "pids">;
}

export interface ReleaseSpent {
  readonly facts: QuotaFacts;
  readonly counted: boolean;
  readonly grant: Grant | null;
  readonly privateImage: boolean;
  readonly imagePolicies: ImagePolicyRecord;
}

/**
 * One transaction, one request, for releases of one team that come at the same time: counts each as a release of today, grants what it seems
 * to need, and says whether the team has pull credentials for its registry, and which images it may run. The need is guessed from what
 * the app holds; the App object knows better, and says so where the grant is too small. Refused: nothing was counted or granted. An app that
 * the team does not have costs nothing. Each is judged after the ones before it.
 */
export async function spendReleases(db: Database, of: Ask, asks: readonly ReleaseAsk[]): Promise<ReleaseSpent[]> {
  const { team } = of;
  const hosts = [...new Set(asks.flatMap(({ registry }) => registry ?? []))];
  const [logins, installation, own, , ...spent] = (await db.runAll({ kind: "team", team }, (statements) => [
    statements
      .select({ host: registries.host })
      .from(registries)
      .where(and(eq(registries.teamId, team), inArray(registries.host, hosts.length === 0 ? [""] : hosts))),
    ...selectImagePolicies(statements, team),
    statements.execute(lockTeam(team)),
    ...asks.map((ask) => statements.execute<Spent>(spendSql(of, { ...needOf(ask), releases: 1 }))),
  ])) as [{ host: string }[], StoredPolicyRow[], StoredPolicyRow[], unknown, ...{ rows: Spent[] }[]];
  return asks.map(({ registry }, at) => {
    const row = spent[at]?.rows[0];
    if (row === undefined) throw new Error(`nothing is known of the plan of ${team}`);
    return {
      facts: factsOf(row),
      counted: row.counted,
      grant: grantOf(row),
      privateImage: logins.some(({ host }) => host === registry),
      imagePolicies: policiesIn(installation, own),
    };
  });
}

function needOf({ app, replicas, resources }: ReleaseAsk): Pick<SpendParts, "which" | "wanted"> {
  const which =
    "id" in app ? sql`id = ${toUuid(app.id, "app")}::uuid` : sql`name = ${app.name} and destroyed_at is null`;
  const each = sql`${replicas ?? null}::bigint`;
  const wanted = sql`select n as instances, n * ${resources.cpuMilli}::bigint as cpu_milli,
      n * ${resources.memoryBytes}::bigint as memory_bytes, n * ${resources.diskBytes}::bigint as disk_bytes
    from (select coalesce(${each}, nullif(own.instances, 0), app.initial_replicas) as n from app left join own on true) as guess`;
  return { which, wanted };
}

/** One transaction, one request; a grant anew, also of what Postgres has for the app still. Null: the quota does not allow it, as `facts` says. holds: what the App object says it holds already. */
export async function grantHolding(
  db: Database,
  ask: Ask & { readonly app: AppId; readonly needs: Holding; readonly holds: Holding },
): Promise<{ facts: QuotaFacts; grant: Grant | null }> {
  const { team, app, needs, holds } = ask;
  const which = sql`id = ${toUuid(app, "app")}::uuid`;
  const wanted = sql`select ${sql.join(
    parts.map(([part, column]) => sql`${needs[part]}::bigint as ${sql.raw(column)}`),
    sql`, `,
  )}`;
  const [, , spent] = await db.runAll({ kind: "team", team }, (statements) => [
    statements.execute(lockTeam(team)),
    noteHolding(statements, { team, app, holds }),
    statements.execute<Spent>(spendSql(ask, { which, wanted, releases: 0 })),
  ]);
  const [row] = spent.rows;
  if (row === undefined) throw new Error(`nothing is known of the plan of ${team}`);
  return { facts: factsOf(row), grant: grantOf(row) };
}

/** An app from before quotas were kept holds what it holds, granted or not. */
function noteHolding(statements: Statements, { team, app, holds }: { team: TeamId; app: AppId; holds: Holding }) {
  const set = list((column) => `${column} = greatest(app_holdings.${column}, excluded.${column})`);
  return statements.execute(sql`insert into app_holdings (team_id, app_id, ${COLUMNS})
    select team_id, id, ${holds.instances}, ${holds.cpuMilli}, ${holds.memoryBytes}, ${holds.diskBytes} from apps
    where team_id = ${toUuid(team, "team")} and id = ${toUuid(app, "app")} and destroyed_at is null
    on conflict (team_id, app_id) do update set ${set} where app_holdings.version = 0`);
}

interface SpendParts {
  readonly which: SQL;
  /** A row of what the app is to hold; may use `app` and `own`. */
  readonly wanted: SQL;
  readonly releases: 0 | 1;
}

/**
 * A release is refused by its own count alone: whether the app's growth fits is said where the App object knows of what growth. What is
 * not settled the App object may have given up (after a release that failed), so that it needs a grant to hold as much again.
 */
function spendSql({ team, policy }: Ask, { which, wanted, releases }: SpendParts): SQL {
  const id = sql`${toUuid(team, "team")}::uuid`;
  const quotas = ["instances", "cpuMilli", "memoryBytes", "diskBytes", "releasesPerDay"] as const;
  const more = list((column, part) => `'${part}', greatest(wanted.${column} - coalesce(own.${column}, 0), 0)`);
  const counted = sql`jsonb_build_object('releasesPerDay', ${releases}::int)`;
  return sql`with app as (select id, initial_replicas from apps where team_id = ${id} and ${which} and destroyed_at is null),
    own as (select h.* from app_holdings h join app on h.app_id = app.id and h.team_id = ${id}),
    wanted as (${wanted}),
    given as (${selectPlan(team, policy, quotas)}),
    growth as (select jsonb_build_object(${more}) as more from wanted left join own on true),
    decided as (select given.*, growth.more || ${counted} as asked,
      ${fits(sql`given.limits`, sql`given.used`, counted)} as counts,
      ${fits(sql`given.limits`, sql`given.used`, sql`growth.more`)} as grows,
      exists (select from jsonb_each_text(growth.more) as a(quota, more) where a.more::numeric > 0) as is_more,
      exists (select from own where unsettled_since is not null) as is_unsure
      from given left join growth on true),
    granted as (insert into app_holdings (team_id, app_id, ${COLUMNS}, version, unsettled_since)
      select ${id}, app.id, ${list((column) => `wanted.${column}`)}, 1, now() from app, wanted, decided
      where counts and grows and (is_more or is_unsure or ${releases}::int = 0)
      on conflict (team_id, app_id) do update set
        ${list((column) => `${column} = greatest(app_holdings.${column}, excluded.${column})`)},
        version = app_holdings.version + 1, unsettled_since = now()
      returning version, ${COLUMNS}),
    counting as (insert into team_releases (team_id, day, releases)
      select ${id}, ${TODAY}, ${releases}::int from app, decided where counts and ${releases}::int > 0
      on conflict (team_id) do update set day = excluded.day, releases = excluded.releases
        + case when team_releases.day = excluded.day then team_releases.releases else 0 end
      returning day)
    select plan, limits, used, asked, ${releases === 1 ? sql`counts` : sql`grows`} as allowed,
      (select to_jsonb(granted) from granted) as grant,
      exists (select from counting) as counted from decided`;
}

const factsOf = ({ plan, limits, used, asked, allowed }: Spent): QuotaFacts => ({ plan, limits, used, asked, allowed });

function grantOf({ grant }: Spent): Grant | null {
  if (grant === null) return null;
  const amounts = Object.fromEntries(parts.map(([part, column]) => [part, grant[column]]));
  return { version: grant.version, amounts: amounts as Holding };
}

/** A release that was counted and not made. */
export async function giveBackRelease(db: Database, team: TeamId): Promise<void> {
  await db.run({ kind: "team", team }, (statements) =>
    statements.execute(sql`update team_releases set releases = releases - 1
      where team_id = ${toUuid(team, "team")} and day = ${TODAY} and releases > 0`),
  );
}

export interface Settle {
  readonly app: AppId;
  readonly amounts: Holding;
  /** The newest grant that the App object knew of when it said so. */
  readonly version: number;
  /** A rollout may still give some back: ask again later. */
  readonly settled: boolean;
}

/** Only while no newer grant is out: the App object, which has not seen that one, may take it yet. Of each: whether it was taken. */
export async function settleHoldings(db: Database, team: TeamId, all: readonly Settle[]): Promise<boolean[]> {
  const [first, ...others] = all;
  if (first === undefined) return [];
  const answers = await db.runAll({ kind: "team", team }, (statements) => [
    settleOne(statements, team, first),
    ...others.map((each) => settleOne(statements, team, each)),
  ]);
  return answers.map((rows) => rows.length > 0);
}

const settleOne = (statements: Statements, team: TeamId, { app, amounts, version, settled }: Settle) =>
  statements
    .update(appHoldings)
    .set({ ...amounts, unsettledSinceMs: settled ? null : sql`now()` })
    .where(and(eq(appHoldings.teamId, team), eq(appHoldings.appId, app), eq(appHoldings.version, version)))
    .returning({ app: appHoldings.appId });

/** In the transaction that makes the app. */
export const startHolding = (statements: Statements, team: TeamId, app: AppId) =>
  statements.insert(appHoldings).values({ teamId: team, appId: app }).onConflictDoNothing();

/** In the transaction that destroys the app. */
export const endHolding = (statements: Statements, team: TeamId, app: AppId) =>
  statements.delete(appHoldings).where(and(eq(appHoldings.teamId, team), eq(appHoldings.appId, app)));

/** Those whose grant was not settled for a while, the longest first. */
export function unsettledHoldings(
  db: Database,
  { beforeMs, limit }: { beforeMs: number; limit: number },
): Promise<{ team: TeamId; app: AppId; version: number }[]> {
  return db.run({ kind: "sweep" }, (statements) =>
    statements
      .select({ team: appHoldings.teamId, app: appHoldings.appId, version: appHoldings.version })
      .from(appHoldings)
      .where(and(isNotNull(appHoldings.unsettledSinceMs), lt(appHoldings.unsettledSinceMs, beforeMs)))
      .orderBy(asc(appHoldings.unsettledSinceMs))
      .limit(limit),
  );
}
