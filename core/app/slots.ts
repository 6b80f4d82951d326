// One slot: who has it, who takes it over, and when a new instance is made for it (invariants 1, 4 and 11).
import type { CellName } from "../../contracts/ids.ts";
import type { Target } from "../rollout/types.ts";
import type { AppContext } from "./context.ts";
import { isOrdered } from "./evacuation.ts";
import { createInstance, isMeant, isReady, retire } from "./instances.ts";
import { originOf } from "./origins.ts";
import { blockersOf, isSingleton, slotKey } from "./policy.ts";
import type { InstanceRow, SlotRow } from "./types.ts";

/** group: the slot's instances that are meant to run, of whatever generation. */
export function fillSlot(ctx: AppContext, target: Target, ordinal: number, group: readonly InstanceRow[]): void {
  const byGeneration = [...group].sort((a, b) => a.generation - b.generation);
  const staying = byGeneration.filter((row) => !row.leaving && !row.suspect);
  if (handOver(ctx, byGeneration, staying)) return;
  const leavers = thinOut(ctx, byGeneration);
  if (staying.some((row) => !row.nodeGone)) return;
  const slot = ctx.draft.get("slots", slotKey(ctx, target, ordinal));
  const notBeforeMs = slot?.notBeforeMs ?? 0;
  if (notBeforeMs > ctx.nowMs && !isOrderNew(leavers, slot)) return ctx.wakeBy(notBeforeMs);
  const suspects = byGeneration.filter((row) => row.suspect && !row.leaving);
  // Room for a singleton that is to leave, or may be lost, is held before it stops; it starts only afterwards (calls.ts).
  const yielding = new Set([...leavers, ...suspects].filter((row) => !row.nodeGone).map(({ id }) => id));
  if (blockersOf(ctx, target).some(({ id }) => !yielding.has(id))) return;
  const avoid = byGeneration.filter((row) => row.leaving || row.suspect).flatMap((row) => row.placement?.node ?? []);
  const standsInFor = suspects.at(-1)?.id ?? null;
  const passedOver = silentCells(ctx, target, ordinal);
  createInstance(ctx, target, ordinal, { avoid, passedOver, standsInFor, origin: originOf(byGeneration) });
}

/** Whoever can serve for good takes the slot, and the others go. Answers whether somebody has it. */
function handOver(ctx: AppContext, group: readonly InstanceRow[], staying: readonly InstanceRow[]): boolean {
  const newest = staying.at(-1);
  if (!newest) return false;
  if (isReady(newest)) {
    for (const row of group) if (row !== newest) retire(ctx, row, ctx.limits.drainMs);
    return true;
  }
  // Back before its replacement was ready, or called back from a drain. Of several, a ready one; else the oldest.
  const standing = staying.filter((row) => row !== newest && row.phase.kind !== "placing" && !row.nodeGone);
  const back = standing.findLast(isReady) ?? standing[0];
  if (back) {
    for (const row of group) {
      const goes = isReady(back) || (row.generation > back.generation && !isReady(row));
      if (row !== back && goes) retire(ctx, row, ctx.limits.drainMs);
    }
    return true;
  }
  for (const row of group) if (row.leaving && yields(ctx, row, newest)) retire(ctx, row, ctx.limits.drainMs);
  return false;
}

/** Before its replacement is ready: what never served yields to one that is on a node, a singleton to one that has room. */
function yields(ctx: AppContext, row: InstanceRow, { phase, nodeGone }: InstanceRow): boolean {
  if (row.nodeGone || nodeGone) return false;
  if (isSingleton(ctx, row)) return phase.kind === "committing";
  return row.readyAtMs === null && phase.kind === "running";
}

/** An operator's order does not wait for what failed before it; what fails after it is tried again ever more slowly. */
function isOrderNew(leavers: readonly InstanceRow[], slot: SlotRow | undefined): boolean {
  const failedAtMs = Math.max(0, ...(slot?.failedOn ?? []).map(({ atMs }) => atMs));
  return leavers.some((row) => isOrdered(row) && row.leaving!.sinceMs >= failedAtMs);
}

/**
 * Of several that are to leave one slot, the best serves on: a ready one, else one that nobody ordered away, else the newest.
 * Answers those that are left.
 */
function thinOut(ctx: AppContext, group: readonly InstanceRow[]): InstanceRow[] {
  const left = group
    .map((row) => ctx.draft.get("instances", row.id) ?? row)
    .filter((row) => row.leaving && isMeant(row));
  const leavers = left.filter((row) => !row.nodeGone);
  const worth = (row: InstanceRow): number =>
    (isReady(row) ? 4 : 0) + (isOrdered(row) ? 0 : 2) + (row.readyAtMs === null ? 0 : 1);
  const best = [...leavers].sort((a, b) => worth(b) - worth(a) || b.generation - a.generation)[0];
  for (const row of leavers) if (row !== best) retire(ctx, row, ctx.limits.drainMs);
  return left.filter((row) => row === best || row.nodeGone);
}

/** Cells that still owe this slot an answer to a reserve that was given up on. */
function silentCells(ctx: AppContext, target: Target, ordinal: number): CellName[] {
  const silent: CellName[] = [];
  for (const { cell, call } of ctx.draft.values("calls")) {
    if (call.kind !== "reserve") continue;
    for (const { instance } of call.request.slots) {
      const row = ctx.draft.get("instances", instance);
      const sameSlot = row?.cohort === target.cohort && row.ordinal === ordinal;
      if (sameSlot && row.phase.kind === "stopping") silent.push(cell);
    }
  }
  return silent;
}
