// The SQL of quotas: the lock under which a team spends, and whether so much more is within its plan. core/quota/spend.ts has the same
// rule in words' reach; a test holds the two against each other.
import { sql, type SQL } from "drizzle-orm";
import type { AppId, TeamId } from "../../contracts/ids.ts";
import type { QuotaName } from "../../contracts/quota.ts";
import { toUuid } from "../ids.ts";

export type QuotaLimits = Readonly<Record<QuotaName, number | null>>;
export type QuotaAmounts = Readonly<Partial<Record<QuotaName, number>>>;

/** What plans allow, and which one a team has that was given none. */
export interface QuotaPolicy {
  readonly plans: Readonly<Record<string, QuotaLimits>>;
  readonly defaultPlan: string;
}

/** As they were in the transaction. */
export interface QuotaFacts {
  readonly plan: string;
  readonly limits: QuotaLimits;
  readonly used: QuotaAmounts;
  readonly asked: QuotaAmounts;
  readonly allowed: boolean;
}

/** Thrown, so that the transaction is undone. */
export class OutOfQuota extends Error {
  override readonly name = "OutOfQuota";
  readonly facts: QuotaFacts;
  constructor(facts: QuotaFacts) {
    super(`the plan ${facts.plan} does not allow as much`);
    this.facts = facts;
  }
}

/** Until the transaction ends nobody else spends of this team. Before the statement that reads: that one must see what the others did. */
export const lockTeam = (team: TeamId): SQL =>
  sql`select pg_advisory_xact_lock(hashtextextended(${`quota ${team}`}, 0))`;

/** The day that releases are counted by. */
export const TODAY = sql`(now() at time zone 'utc')::date`;

/** A count of everything but the app or domain that is about to be made, which a repeated try may find there already. */
function usedOf(quota: QuotaName, team: SQL, except: SQL): SQL {
  switch (quota) {
    case "apps":
      return sql`(select count(*) from apps where team_id = ${team} and destroyed_at is null and id is distinct from ${except})`;
    case "domains":
      return sql`(select count(*) from domains where team_id = ${team})`;
    case "releasesPerDay":
      return sql`coalesce((select releases from team_releases where team_id = ${team} and day = ${TODAY}), 0)`;
    case "instances":
      return heldOf("instances", team);
    case "cpuMilli":
      return heldOf("cpu_milli", team);
    case "memoryBytes":
      return heldOf("memory_bytes", team);
    case "diskBytes":
      return heldOf("disk_bytes", team);
  }
}

const heldOf = (column: string, team: SQL): SQL =>
  sql`(select coalesce(sum(${sql.raw(column)}), 0) from app_holdings where team_id = ${team})`;

/** A row with plan, limits (JSON by quota) and used (JSON of the quotas named). */
export function selectPlan(
  team: TeamId,
  policy: QuotaPolicy,
  quotas: readonly QuotaName[],
  exceptApp: AppId | null = null,
): SQL {
  const id = sql`${toUuid(team, "team")}::uuid`;
  const except = sql`${exceptApp === null ? null : toUuid(exceptApp, "app")}::uuid`;
  const used = sql.join(
    quotas.map((quota) => sql`${sql.raw(`'${quota}'`)}, ${usedOf(quota, id, except)}`),
    sql`, `,
  );
  const plans = sql`${JSON.stringify(policy.plans)}::jsonb`;
  return sql`select coalesce(given.plan, ${policy.defaultPlan}::text) as plan,
    coalesce(${plans} -> given.plan, ${plans} -> ${policy.defaultPlan}::text) || coalesce(given.overrides, '{}') as limits,
    jsonb_build_object(${used}) as used, given.plan is null as by_default, coalesce(given.overrides, '{}') as overrides
    from (select) as one left join team_plans given on given.team_id = ${id}`;
}

/** Whether it fits: what is asked for no more than is never refused, so that everything can shrink. */
export const fits = (limits: SQL, used: SQL, asked: SQL): SQL => sql`not exists (
  select from jsonb_each_text(${asked}) as a(quota, more) where a.more::numeric > 0
    and (${used} ->> a.quota)::numeric + a.more::numeric > (${limits} ->> a.quota)::numeric)`;
