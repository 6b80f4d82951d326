// Another size for an app while a rollout goes on step by step: both sides grow or shrink, and it goes on where it is.
import { instanceKey } from "../../contracts/desired.ts";
import { resizedBatch } from "../rollout/batches.ts";
import { deadlineMsOf, stageOf } from "../rollout/stages.ts";
import { planOf, type RolloutRow, type Share } from "../rollout/types.ts";
import { appOf, changeApp, type AppContext } from "./context.ts";
import { isReady } from "./instances.ts";
import { meantInSlots, putRollout } from "./reconcile.ts";
import { asideReplicas } from "./split.ts";
import type { InstanceRow } from "./types.ts";

export const asideOf = (aside: readonly Share[], replicas: number): readonly Share[] =>
  aside.map((share) => {
    return { ...share, target: { ...share.target, replicas: asideReplicas(share.weight, replicas) } };
  });

export function resize(ctx: AppContext, row: RolloutRow, replicas: number): RolloutRow {
  const { current, aside = [] } = appOf(ctx);
  const serving = current && { ...current, replicas };
  const beside = asideOf(aside, replicas);
  changeApp(ctx, { replicas, current: serving, aside: beside });
  const grown: RolloutRow = {
    ...row,
    from: serving,
    ...(row.fromAside ? { fromAside: beside } : {}),
    to: { ...row.to, replicas },
    ...(row.toAside ? { toAside: asideOf(row.toAside, replicas) } : {}),
    deadlineAtMs: Math.max(row.deadlineAtMs, deadlineAtMsFor(ctx, row, replicas)),
    revision: (row.revision ?? 0) + 1,
  };
  const resized = sized(ctx, grown);
  putRollout(ctx, resized);
  return resized;
}

/** More batches take longer; what the customer said stands. */
function deadlineAtMsFor(ctx: AppContext, row: RolloutRow, replicas: number): number {
  const atMsOf = (size: number): number => row.startedAtMs + deadlineMsOf(planOf(row), size, ctx.limits);
  // Rows of older versions do not say whose it is.
  const isByPlan = row.deadlineByPlan ?? row.deadlineAtMs === atMsOf(row.to.replicas);
  return isByPlan ? atMsOf(replicas) : row.deadlineAtMs;
}

/** A canary has as many as its step asks for; a rolling one goes on with the batch it has. */
function sized(ctx: AppContext, row: RolloutRow): RolloutRow {
  if (row.phase.kind === "preparing") return row;
  const { slots, weight } = stageOf(row);
  if (weight !== "ready") return { ...row, slots };
  const ready = meantInSlots(ctx, row.to).filter((instance) => instance && isReady(instance));
  // What the smoke check has not passed has no traffic: none of the old can go for it.
  const passed = (instance: InstanceRow | null): boolean =>
    instance !== null && (row.verified ?? []).includes(instanceKey({ ...instance, instance: instance.id }));
  return resizedBatch(row, planOf(row).smoke ? ready.filter(passed).length : ready.length);
}
