// Quotas of a team as they are spent, and plans as operators set them.
import { eq, sql } from "drizzle-orm";
import type { AppId, TeamId } from "../../contracts/ids.ts";
import { QUOTAS, type QuotaName } from "../../contracts/quota.ts";
import type { Database, Statements } from "../connect.ts";
import { refusalIn } from "../errors.ts";
import { teamPlans } from "../schema/quotas.ts";
import { teams } from "../schema/teams.ts";
import { insertAudit, type By } from "./audit.ts";
import {
  fits,
  lockTeam,
  OutOfQuota,
  selectPlan,
  type QuotaAmounts,
  type QuotaFacts,
  type QuotaLimits,
  type QuotaPolicy,
} from "./quota-sql.ts";

interface Spend {
  readonly team: TeamId;
  readonly policy: QuotaPolicy;
  readonly asked: QuotaAmounts;
  /** The app that is about to be made. */
  readonly exceptApp?: AppId;
}

/**
 * For the transaction that takes it: after lockTeam, before the statement that does. Too much: the transaction is undone, and
 * `quotaRefusalIn` its error.
 */
export function spendFirst(statements: Statements, { team, policy, asked, exceptApp }: Spend) {
  const quotas = Object.keys(asked) as QuotaName[];
  const given = sql`${JSON.stringify(asked)}::jsonb`;
  const facts = sql`jsonb_build_object('plan', plan, 'limits', limits, 'used', used, 'asked', ${given}, 'allowed', false)`;
  return statements.execute(sql`select berth_refuse('quota', ${facts})
    from (${selectPlan(team, policy, quotas, exceptApp ?? null)}) as given
    where not ${fits(sql`limits`, sql`used`, given)}`);
}

/** What there was too little of, or null if the error is something else. */
export function quotaRefusalIn(error: unknown): OutOfQuota | null {
  const refusal = refusalIn(error);
  return refusal?.reason === "quota" ? new OutOfQuota(refusal.facts as QuotaFacts) : null;
}

export interface TeamPlanRecord {
  readonly plan: string;
  readonly byDefault: boolean;
  readonly limits: QuotaLimits;
  readonly overrides: Partial<QuotaLimits>;
  readonly used: Required<QuotaAmounts>;
}

export async function readTeamPlan(db: Database, team: TeamId, policy: QuotaPolicy): Promise<TeamPlanRecord> {
  const { rows } = await db.run({ kind: "team", team }, (statements) =>
    statements.execute<{ by_default: boolean } & Record<string, unknown>>(selectPlan(team, policy, QUOTAS)),
  );
  const [row] = rows;
  if (row === undefined) throw new Error(`nothing is known of the plan of ${team}`);
  const { by_default: byDefault, ...rest } = row;
  return { ...(rest as unknown as Omit<TeamPlanRecord, "byDefault">), byDefault };
}

export interface SetTeamPlan extends By {
  readonly team: TeamId;
  readonly plan: string | null;
  readonly overrides: Partial<QuotaLimits>;
}

/** Replaces what was set before; the audit has both. What the team has too much of now stays, and can only shrink. */
export function setTeamPlan(db: Database, input: SetTeamPlan): Promise<void> {
  const { team, plan, overrides, actor } = input;
  return db.transaction({ kind: "operator" }, async (tx) => {
    await tx.execute(lockTeam(team));
    const set = { plan, overrides, setBy: actor, setAtMs: Date.now() };
    const known = { plan: teamPlans.plan, overrides: teamPlans.overrides };
    const [before] = await tx.select(known).from(teamPlans).where(eq(teamPlans.teamId, team));
    await tx
      .insert(teamPlans)
      .values({ teamId: team, ...set })
      .onConflictDoUpdate({ target: teamPlans.teamId, set });
    const changed = { ...(before === undefined ? {} : { before }), after: { plan, overrides } };
    await insertAudit(tx, { ...input, team: null, action: "quota.set", subject: team, ...changed });
  });
}

/** By id or slug, as berth_auth, who sees all of them. Null: there is no such team. */
export async function findTeam(db: Database, which: { id: TeamId } | { slug: string }): Promise<TeamId | null> {
  const condition = "id" in which ? eq(teams.id, which.id) : eq(teams.slug, which.slug);
  const [row] = await db.run({ kind: "auth" }, (statements) =>
    statements.select({ id: teams.id }).from(teams).where(condition),
  );
  return row?.id ?? null;
}
