// Which plans there are and which one a team has by default, as the database needs them to judge a spending.
import { DEFAULT_PLAN, isPlanName, PLANS, type PlanName } from "../../../core/quota/plans.ts";
import type { QuotaLimits, QuotaPolicy } from "../../../db/queries/quota-sql.ts";
import type { ControlEnv } from "../env.ts";

const plans = Object.fromEntries(Object.entries(PLANS).map(([name, { limits }]) => [name, limits])) as Record<
  PlanName,
  QuotaLimits
>;

/** A name that is no plan's would leave every team without limits: the standard one holds instead, and it is said. */
export function quotaPolicy(env: Pick<ControlEnv, "DEFAULT_PLAN">): QuotaPolicy {
  const { DEFAULT_PLAN: named = DEFAULT_PLAN } = env;
  if (isPlanName(named)) return { plans, defaultPlan: named };
  console.error(JSON.stringify({ error: "DEFAULT_PLAN is no plan", named, instead: DEFAULT_PLAN }));
  return { plans, defaultPlan: DEFAULT_PLAN };
}
