// One plan out of those of many cells: a rebalance plans moves within each cell, so that plans only add up.
import type { Rebalance } from "../../../contracts/api.ts";

type Unanswered = NonNullable<Rebalance["unanswered"]>;

export function mergeRebalances(plans: readonly Rebalance[], unanswered: Unanswered = []): Rebalance {
  const steps = plans.flatMap((plan) => plan.steps);
  const total = (count: (plan: Rebalance) => number): number => plans.reduce((sum, plan) => sum + count(plan), 0);
  const nodesUsedBefore = total((plan) => plan.nodesUsedBefore);
  const nodesUsedAfter = total((plan) => plan.nodesUsedAfter);
  const before = total((plan) => plan.utilisationBeforePercent * plan.nodesUsedBefore);
  const after = total((plan) => plan.utilisationAfterPercent * plan.nodesUsedAfter);
  const reasons = new Set(plans.flatMap((plan) => plan.reason ?? []));
  return {
    steps,
    freed: plans.flatMap((plan) => plan.freed),
    nodesUsedBefore,
    nodesUsedAfter,
    utilisationBeforePercent: before / Math.max(1, nodesUsedBefore),
    utilisationAfterPercent: after / Math.max(1, nodesUsedAfter),
    executing: plans.some((plan) => plan.executing),
    reason: steps.length > 0 ? null : [...reasons].join("; ") || "there are no nodes",
    ...(unanswered.length > 0 ? { unanswered } : {}),
  };
}
