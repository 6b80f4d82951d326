// Makes the set of instances follow what is wanted: fills slots, replaces the broken and the lost, retires the surplus.
import type { RolloutRow, Target } from "../rollout/types.ts";
import { changeInstance, type AppContext } from "./context.ts";
import { judge } from "./evacuation.ts";
import { isOutOfRoute } from "./health.ts";
import { end, isBroken, isMeant, isReady, noteFailure, retire, stop } from "./instances.ts";
import { keepJob, startJob } from "./jobs.ts";
import { heldFor, isSingleton, needsConfirmation } from "./policy.ts";
import { fillSlot } from "./slots.ts";
import type { InstanceRow } from "./types.ts";
import { coolDown, drainMsOf, has, isOnTrial, shedForRoom, wantedOf, type Wanted } from "./wanted.ts";

export function reconcile(ctx: AppContext): void {
  coolDown(ctx);
  shedForRoom(ctx);
  const wanted = wantedOf(ctx);
  const slots = new Map<string, InstanceRow[]>();
  const reserving = instancesBeingReserved(ctx);
  abandonSilent(ctx);
  for (const { id } of [...ctx.draft.values("instances")]) {
    const row = ctx.draft.get("instances", id)!;
    if (row.phase.kind === "ended") continue;
    const kept = row.job ? keepJob(ctx, row) : look(ctx, row, wanted);
    if (kept) slots.set(slotOf(kept), [...(slots.get(slotOf(kept)) ?? []), kept]);
  }
  for (const home of wanted) {
    const { target } = home;
    if (home.isWarm) continue;
    for (let ordinal = 0; ordinal < home.slots; ordinal += 1) {
      if (!has(home, ordinal)) continue;
      fillSlot(ctx, target, ordinal, slots.get(slotOf({ cohort: target.cohort, ordinal })) ?? []);
    }
  }
  startJob(ctx);
  for (const row of [...ctx.draft.values("instances")]) {
    if (row.phase.kind === "stopping" && isOver(ctx, row, reserving)) end(ctx, row);
    else if (row.phase.kind === "draining") ctx.wakeBy(row.phase.untilMs);
  }
}

const slotOf = ({ cohort, ordinal }: { cohort: string; ordinal: number }): string => `${cohort}/${ordinal}`;

/** One instance against what is wanted: the row if it is meant to have its slot, null if it goes or has gone. */
function look(ctx: AppContext, row: InstanceRow, wanted: readonly Wanted[]): InstanceRow | null {
  const { phase } = row;
  if (phase.kind === "stopping" || phase.kind === "ended") return null;
  // A singleton that comes waits for the end of everything else: nobody drains.
  const alone = wanted.some(({ target }) => isSingleton(ctx, target));
  const home = wanted.find(({ target }) => target.cohort === row.cohort);
  if (phase.kind === "draining") {
    if (alone) stop(ctx, row, "stopped");
    else drainOn(ctx, row, phase.untilMs);
  } else if (row.gone) stop(ctx, row, "lost");
  else if (!home) {
    if (alone) stop(ctx, row, row.nodeGone ? "lost" : "stopped");
    else retire(ctx, row, drainMsOf(ctx, row));
  } else if (home.isWarm && !staysWarm(row)) {
    retire(ctx, row, drainMsOf(ctx, row));
  } else if (!has(home, row.ordinal)) {
    // Surplus serves on while one of those that stay does not (invariant 11).
    if (!isReady(row) || servingWithin(ctx, home) >= home.slots - home.givenUp.size)
      retire(ctx, row, drainMsOf(ctx, row));
  } else if (isBroken(row) && !isOnTrial(ctx, row)) {
    noteFailure(ctx, row);
    stop(ctx, row, "failed");
  } else return judge(ctx, row, isOnTrial(ctx, row));
  return null;
}

/** What runs and serves, or may again by itself; whoever would only stand in for it goes. */
const staysWarm = (row: InstanceRow): boolean =>
  row.phase.kind === "running" && !row.leaving && !row.nodeGone && !isBroken(row);

/** A stopping instance: never placed, and nobody is asked for room for it; or its Cell has taken it out, for good. */
function isOver(ctx: AppContext, row: InstanceRow, reserving: ReadonlySet<string>): boolean {
  if (row.cell === null) return !reserving.has(row.id);
  return row.phase.kind === "stopping" && row.phase.toldAtMs !== undefined && !needsConfirmation(ctx, row);
}

/** A Cell that does not answer is not waited for: its slots ask elsewhere, and what it granted is given back when it answers. */
function abandonSilent(ctx: AppContext): void {
  for (const [key, { cell, call }] of ctx.draft.entries("calls")) {
    if (call.kind !== "reserve" || ctx.attempts.tries(`call:${key}`) <= ctx.limits.reserveTriesMax) continue;
    for (const { instance } of call.request.slots) {
      const row = ctx.draft.get("instances", instance);
      const cells = row ? ctx.draft.get("regions", row.region)?.cells : undefined;
      const others = cells?.some((other) => other.cell !== cell) ?? false;
      if (row?.phase.kind === "placing" && others) stop(ctx, row, "stopped");
    }
  }
}

/** How many slots serve: ready, and within the edges' reach. */
function servingWithin(ctx: AppContext, home: Wanted): number {
  const ready = new Set<number>();
  for (const row of ctx.draft.values("instances")) {
    if (row.cohort === home.target.cohort && has(home, row.ordinal) && isReady(row) && !isOutOfRoute(ctx, row))
      ready.add(row.ordinal);
  }
  return ready.size;
}

function drainOn(ctx: AppContext, row: InstanceRow, untilMs: number): void {
  const over = untilMs <= ctx.nowMs || row.nodeGone;
  if (over || row.observed?.kind === "failed" || row.observed?.kind === "stopped") stop(ctx, row, "stopped");
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
    // Whom it stands in for is not lost yet: that one's doings count.
    if (heldFor(ctx, row)) continue;
    const known = slots[row.ordinal];
    const better =
      !known ||
      (isReady(row) && !isReady(known)) ||
      (isReady(row) === isReady(known) && row.generation > known.generation);
    if (better) slots[row.ordinal] = row;
  }
  return slots;
}
