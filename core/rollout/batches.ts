// Batches of a rolling rollout: how many of the new may run, and how many of the old may go, so that maxSurge and maxUnavailable hold.
import { roomOf } from "./stages.ts";
import { planOf, type RolloutRow } from "./types.ts";

export interface BatchLook {
  /** Of `to`: ready, and answered the smoke check where there is one. */
  readonly ready: number;
  /** All that are wanted now are so. */
  readonly complete: boolean;
}

/** The row with as many slots and as few of the old as may be now; the very same row where nothing changes. */
export function nextBatch(row: RolloutRow, look: BatchLook, nowMs: number): RolloutRow {
  const { strategy } = planOf(row);
  const slots = row.slots ?? row.to.replicas;
  if (strategy.kind !== "rolling" || slots >= row.to.replicas) return row;
  const pauseMs = row.full ? 0 : strategy.pauseMs;
  const isFirst = slots === 0 && row.shed === 0;
  if (pauseMs > 0 && !isFirst) {
    if (!look.complete) return row.batchReadySinceMs ? { ...row, batchReadySinceMs: null } : row;
    const sinceMs = row.batchReadySinceMs ?? nowMs;
    if (nowMs < sinceMs + pauseMs)
      return row.batchReadySinceMs === sinceMs ? row : { ...row, batchReadySinceMs: sinceMs };
  }
  const next = sized(row, look.ready);
  if (next.slots === slots && next.shed === row.shed) return row;
  return { ...row, ...next, shedByPlan: next.shed, batchReadySinceMs: null };
}

/** Of another size: as many of the old are given up as that size allows with what is ready; the present batch goes on. */
export function resizedBatch(row: RolloutRow, ready: number): RolloutRow {
  const slots = Math.min(row.slots ?? row.to.replicas, row.to.replicas);
  const { shed } = sized({ ...row, slots, shed: 0 }, ready);
  return { ...row, slots, shed, shedByPlan: shed };
}

/** When the pause after a batch is over, or null. */
export function batchWakeAtMs(row: RolloutRow): number | null {
  const { strategy } = planOf(row);
  if (strategy.kind !== "rolling" || !row.batchReadySinceMs || row.paused) return null;
  return row.batchReadySinceMs + strategy.pauseMs;
}

/**
 * At most max(old, new) + surge run, draining ones apart; at least min(old, new) - unavailable of them are ready. Old ones go only as
 * far as the rest of the new needs their place.
 */
function sized(row: RolloutRow, ready: number): { slots: number; shed: number } {
  const { strategy } = planOf(row);
  const wanted = row.to.replicas;
  const old = row.from && row.from.cohort !== row.to.cohort ? row.from.replicas : 0;
  if (strategy.kind !== "rolling") return { slots: wanted, shed: row.shed };
  const { surge, unavailable } = roomOf(strategy, wanted);
  const roof = Math.max(old, wanted) + surge;
  const needed = Math.max(0, old + wanted - roof);
  const floor = Math.max(0, Math.min(old, wanted) - unavailable);
  const allowed = Math.max(0, old - Math.max(0, floor - ready));
  const shed = Math.max(row.shed, Math.min(needed, allowed));
  return { slots: Math.max(row.slots ?? 0, Math.min(wanted, roof - (old - shed))), shed };
}
