// A plan as stages: how many of the new run, what share of the traffic they get once verified, and how long it stays so.
import type { Amount, RolloutPlan, Strategy } from "../../contracts/rollout-plan.ts";
import type { Limits } from "../limits.ts";
import { assertNever } from "../step.ts";
import { planOf, type RolloutRow } from "./types.ts";

/**
 * weight: percent once all of `slots` are verified; ready: follows the share that is ready; first: everything once one is ready.
 * holdMs null: until promoted. on: what is held: a canary step is judged against the old, a green on trial after the switch.
 */
export interface Stage {
  readonly slots: number;
  readonly weight: number | "ready" | "first";
  readonly holdMs: number | null;
  readonly on: "step" | "preview" | "trial" | null;
}

export function stagesOf(row: Pick<RolloutRow, "plan" | "from" | "to">): readonly Stage[] {
  const { from, to } = row;
  const { strategy } = planOf(row);
  // With nothing to protect, or nothing to run, there are no steps.
  const isBare = !from || from.replicas === 0 || to.replicas === 0;
  const isGradual = strategy.kind === "canary" || strategy.kind === "blue_green";
  if (isBare && isGradual) return [{ slots: to.replicas, weight: "ready", holdMs: 0, on: null }];
  return stagesBy(strategy, to.replicas);
}

function stagesBy(strategy: Strategy, replicas: number): readonly Stage[] {
  const rest = { slots: replicas, holdMs: 0, on: null } as const;
  switch (strategy.kind) {
    case "rolling":
      return [{ ...rest, weight: "ready" }];
    case "immediate":
      return [{ ...rest, weight: "first" }];
    case "blue_green": {
      const { promote, watchMs } = strategy;
      const preview = { slots: replicas, weight: 0, holdMs: null, on: "preview" } as const;
      const trial = { slots: replicas, weight: 100, holdMs: watchMs, on: "trial" } as const;
      return promote === "manual" ? [preview, trial] : [trial];
    }
    case "canary": {
      const steps = strategy.steps.map(({ weight, durationMs }) => {
        return { slots: slotsFor(weight, replicas), weight, holdMs: durationMs ?? null, on: "step" } as const;
      });
      return [...steps, { ...rest, weight: 100 }];
    }
    default:
      return assertNever(strategy);
  }
}

/** Instances for a percentage of the traffic: in proportion, at least one where there are any. */
export const slotsFor = (weight: number, replicas: number): number =>
  Math.min(replicas, Math.max(1, Math.ceil((replicas * weight) / 100)));

/** The present stage; a weight set by hand stands until it is taken back or promoted. */
export function stageOf(row: RolloutRow): Stage {
  const stages = stagesOf(row);
  const stage = stages[Math.min(row.stage ?? 0, stages.length - 1)]!;
  const { manualWeight } = row;
  if (manualWeight === undefined || manualWeight === null) return stage;
  const slots = Math.max(stage.slots, slotsFor(manualWeight, row.to.replicas));
  return { slots, weight: manualWeight, holdMs: null, on: stage.on ?? "step" };
}

/** How long it may take in all, where the customer does not say: its batches, steps and waiting times come on top of what any rollout gets. */
export function deadlineMsOf(plan: RolloutPlan, replicas: number, limits: Limits): number {
  const { strategy, before, after } = plan;
  const commands = (before?.timeoutMs ?? 0) + (after?.timeoutMs ?? 0);
  let waits = 0;
  if (strategy.kind === "rolling") {
    waits = (strategy.pauseMs + limits.batchMs) * Math.max(0, batchesAtMost(strategy, replicas) - 1);
  }
  if (strategy.kind === "canary") {
    for (const { durationMs } of strategy.steps) waits += (durationMs ?? limits.promoteWithinMs) + limits.batchMs;
  }
  if (strategy.kind === "blue_green") {
    waits = strategy.watchMs + (strategy.promote === "manual" ? limits.promoteWithinMs : 0);
  }
  return limits.deadlineMs + commands + waits;
}

function batchesAtMost({ maxSurge, maxUnavailable }: Extract<Strategy, { kind: "rolling" }>, replicas: number): number {
  const { surge, unavailable } = roomOf({ maxSurge, maxUnavailable }, replicas);
  return Math.ceil(replicas / Math.max(1, surge + unavailable));
}

/** Surge rounded up, what may be missing rounded down; where both come to nothing one may be missing, as Kubernetes has it. */
export function roomOf(
  { maxSurge, maxUnavailable }: { readonly maxSurge: Amount; readonly maxUnavailable: Amount },
  replicas: number,
): { surge: number; unavailable: number } {
  const surge = amountOf(maxSurge, replicas, Math.ceil);
  const unavailable = amountOf(maxUnavailable, replicas, Math.floor);
  return surge + unavailable === 0 ? { surge: 0, unavailable: 1 } : { surge, unavailable };
}

function amountOf(amount: Amount, replicas: number, round: (value: number) => number): number {
  return typeof amount === "number" ? amount : round((replicas * Number.parseInt(amount, 10)) / 100);
}
