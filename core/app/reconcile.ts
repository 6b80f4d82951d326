// Makes the set of instances follow what is wanted: fills slots, replaces the broken and the lost, retires the surplus.
import type { RolloutRow, Target } from "../rollout/types.ts";
import { activeRollout, appOf, changeInstance, type AppContext } from "./context.ts";
import { createInstance, end, isBroken, isMeant, isReady, noteFailure, retire, slotKey, stop } from "./instances.ts";
import type { InstanceRow } from "./types.ts";

/** A target and how many of its slots are wanted now. */
interface Wanted {
  readonly target: Target;
  readonly slots: number;
}

/** What serves, and what is coming. A scale is one cohort: the larger of its two sizes until it has ended. */
function wantedOf(ctx: AppContext): Wanted[] {
  const { phase, current } = appOf(ctx);
  if (phase !== "live") return [];
  const rollout = activeRollout(ctx);
  if (!rollout) return current ? [{ target: current, slots: current.replicas }] : [];
  const { to } = rollout;
  if (!current) return [{ target: to, slots: to.replicas }];
  if (current.cohort === to.cohort) return [{ target: to, slots: Math.max(current.replicas, to.replicas) }];
  return [
    { target: current, slots: Math.max(0, current.replicas - rollout.shed) },
    { target: to, slots: to.replicas },
  ];
}

/** Whether the rollout answers for the instance: its failure is the rollout's, nobody replaces it. */
function isOnTrial(ctx: AppContext, row: InstanceRow): boolean {
  const rollout = activeRollout(ctx);
  if (!rollout || row.cohort !== rollout.to.cohort) return false;
  const { current } = appOf(ctx);
  return !current || current.cohort !== row.cohort || row.ordinal >= current.replicas;
}

export function reconcile(ctx: AppContext): void {
  shedForRoom(ctx);
  const wanted = wantedOf(ctx);
  const slots = new Map<string, InstanceRow[]>();
  const reserving = instancesBeingReserved(ctx);
  for (const row of [...ctx.draft.values("instances")]) {
    if (row.phase.kind === "ended") continue;
    if (row.phase.kind === "stopping") {
      if (row.cell === null && !reserving.has(row.id)) end(ctx, row);
    } else if (row.phase.kind === "draining") {
      drainOn(ctx, row, row.phase.untilMs);
    } else {
      const home = wanted.find(({ target }) => target.cohort === row.cohort);
      if (!home) retire(ctx, row, drainMsOf(ctx, row));
      else if (row.ordinal >= home.slots) {
        // Surplus serves on while one of those that stay does not (invariant 11).
        if (!isReady(row) || readyWithin(ctx, home) >= home.slots) retire(ctx, row, drainMsOf(ctx, row));
      } else if (isBroken(row) && !isOnTrial(ctx, row)) {
        noteFailure(ctx, row);
        stop(ctx, row, "failed");
      } else {
        const key = `${row.cohort}/${row.ordinal}`;
        slots.set(key, [...(slots.get(key) ?? []), row]);
      }
    }
    const after = ctx.draft.get("instances", row.id);
    if (after?.phase.kind === "stopping" && after.cell === null && !reserving.has(row.id)) end(ctx, after);
    if (after?.phase.kind === "draining") ctx.wakeBy(after.phase.untilMs);
  }
  for (const { target, slots: size } of wanted) {
    for (let ordinal = 0; ordinal < size; ordinal += 1) {
      fillSlot(ctx, target, ordinal, slots.get(`${target.cohort}/${ordinal}`) ?? []);
    }
  }
}

function readyWithin(ctx: AppContext, { target, slots }: Wanted): number {
  let ready = 0;
  for (const row of ctx.draft.values("instances")) {
    if (row.cohort === target.cohort && row.ordinal < slots && isReady(row)) ready += 1;
  }
  return ready;
}

function drainOn(ctx: AppContext, row: InstanceRow, untilMs: number): void {
  const over = untilMs <= ctx.nowMs || row.nodeGone;
  if (over || row.observed?.kind === "failed" || row.observed?.kind === "stopped") stop(ctx, row, "stopped");
}

/** One instance per slot, but for a hand-over: a lost one is kept until its replacement is ready, or its node is back. */
function fillSlot(ctx: AppContext, target: Target, ordinal: number, group: readonly InstanceRow[]): void {
  const byGeneration = [...group].sort((a, b) => a.generation - b.generation);
  const newest = byGeneration.at(-1);
  if (newest && byGeneration.length > 1) {
    const healthy = byGeneration.filter((row) => row !== newest && row.phase.kind === "running" && !row.nodeGone);
    const keep = isReady(newest) ? newest : healthy.at(0);
    for (const row of byGeneration) {
      const superfluous = keep && row !== keep && (row.generation > keep.generation || keep === newest);
      if (superfluous) retire(ctx, row, ctx.limits.drainMs);
    }
    if (keep) return;
  }
  if (byGeneration.some((row) => !row.nodeGone)) return;
  const notBeforeMs = ctx.draft.get("slots", slotKey(target, ordinal))?.notBeforeMs ?? 0;
  if (notBeforeMs > ctx.nowMs) ctx.wakeBy(notBeforeMs);
  else createInstance(ctx, target, ordinal);
}

/** Short where its room is waited for, else long. */
function drainMsOf(ctx: AppContext, row: InstanceRow): number {
  const rollout = activeRollout(ctx);
  const shedding = rollout !== null && rollout.shed > 0 && row.cohort !== rollout.to.cohort;
  return shedding ? Math.min(ctx.limits.drainMinMs, ctx.limits.drainMs) : ctx.limits.drainMs;
}

/**
 * Where a rollout finds no room for all of its instances, each one that is ready lets one of the old go early: the ready
 * count stays at what it was (invariant 11), and the room of the old comes to the rest of the new.
 */
function shedForRoom(ctx: AppContext): void {
  const rollout = activeRollout(ctx);
  const { current } = appOf(ctx);
  if (!rollout || !current || rollout.to.cohort === current.cohort) return;
  let ready = 0;
  let refused = false;
  for (const row of ctx.draft.values("instances")) {
    if (row.cohort !== rollout.to.cohort) continue;
    if (isReady(row)) ready += 1;
    if (row.phase.kind === "placing" && row.phase.refusedSinceMs !== null) refused = true;
  }
  const shed = Math.min(ready, current.replicas);
  if (refused && shed > rollout.shed) putRollout(ctx, { ...rollout, shed });
}

export function putRollout(ctx: AppContext, row: RolloutRow): void {
  ctx.draft.put("rollouts", row.id, row);
}

/** Instances of this app that are about to give back room. */
export function isRoomComing(ctx: AppContext): boolean {
  for (const { phase } of ctx.draft.values("instances")) {
    if (phase.kind === "draining" || (phase.kind === "stopping" && phase.sinceMs + 60_000 > ctx.nowMs)) return true;
  }
  return false;
}

/** Room is needed: who has drained for the shortest time stops then. */
export function hurryDrains(ctx: AppContext): void {
  for (const row of [...ctx.draft.values("instances")]) {
    if (row.phase.kind !== "draining") continue;
    const untilMs = Math.min(row.phase.untilMs, row.phase.sinceMs + ctx.limits.drainMinMs);
    if (untilMs < row.phase.untilMs) changeInstance(ctx, row, { phase: { ...row.phase, untilMs } });
    ctx.wakeBy(untilMs);
  }
}

export function instancesBeingReserved(ctx: AppContext): Set<string> {
  const ids = new Set<string>();
  for (const { call } of ctx.draft.values("calls")) {
    if (call.kind === "reserve") for (const slot of call.request.slots) ids.add(slot.instance);
  }
  return ids;
}

/** For the rollout's eyes: the newest instance of each wanted slot that a node may still have. */
export function meantInSlots(ctx: AppContext, target: Target): (InstanceRow | null)[] {
  const slots: (InstanceRow | null)[] = Array.from({ length: target.replicas }, () => null);
  for (const row of ctx.draft.values("instances")) {
    if (row.cohort !== target.cohort || row.ordinal >= target.replicas || !isMeant(row) || row.nodeGone) continue;
    const known = slots[row.ordinal];
    const better =
      !known ||
      (isReady(row) && !isReady(known)) ||
      (isReady(row) === isReady(known) && row.generation > known.generation);
    if (better) slots[row.ordinal] = row;
  }
  return slots;
}
