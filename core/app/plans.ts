// By which plan an app is rolled, and which plans it cannot be rolled by.
import type { Result } from "../../contracts/failures.ts";
import { RolloutPlan } from "../../contracts/rollout-plan.ts";
import type { ReleaseSpec } from "../../contracts/release.ts";
import { roomOf } from "../rollout/stages.ts";
import { DEFAULT_PLAN, planOf, type RolloutRow } from "../rollout/types.ts";
import { appOf, type AppContext } from "./context.ts";
import { isSingleton, policyOf } from "./policy.ts";

/** A rollback's and a scale's: nothing is waited for that need not be. */
export const AT_ONCE = RolloutPlan.parse({ strategy: { kind: "immediate" }, analysis: null });

/** Two releases cannot run beside each other where one of them may run only alone. */
function whyAlone(ctx: AppContext, spec: ReleaseSpec): string | null {
  const { current } = appOf(ctx);
  if (policyOf(spec).singleton) return "The release is a singleton (placement.singleton)";
  return current && isSingleton(ctx, current) ? `v${current.version}, which serves, is a singleton` : null;
}

const needsBoth = ({ strategy }: RolloutPlan): boolean => strategy.kind === "canary" || strategy.kind === "blue_green";

/** A plan that was asked for and cannot be. */
export function strategyFault(ctx: AppContext, spec: ReleaseSpec, plan: RolloutPlan | undefined): Result<never> | null {
  const why = plan && needsBoth(plan) ? whyAlone(ctx, spec) : null;
  if (!plan || !why) return null;
  const message = `${why}: ${plan.strategy.kind} would run two releases beside each other. Use rolling or immediate.`;
  const errors = [{ pointer: "/plan/strategy", rule: "singleton", message }];
  return { ok: false, failure: { code: "unprocessable", message, errors } };
}

/** A plan of an earlier release that does not suit this one gives way in its strategy. */
export function suited(ctx: AppContext, spec: ReleaseSpec, plan: RolloutPlan): RolloutPlan {
  return needsBoth(plan) && whyAlone(ctx, spec) ? { ...plan, strategy: DEFAULT_PLAN.strategy } : plan;
}

/** Whether the rollout goes step by step, is paused, or checks what it brings: nothing else may hurry it, or go around its checks. */
export function takesItsTime(row: RolloutRow): boolean {
  const { strategy, before, after, smoke } = planOf(row);
  if (row.paused || before || after || smoke) return true;
  if (!row.from || row.from.replicas === 0) return false;
  if (strategy.kind === "canary" || strategy.kind === "blue_green") return true;
  if (strategy.kind === "immediate") return false;
  return strategy.pauseMs > 0 || roomOf(strategy, row.to.replicas).surge < row.to.replicas;
}
