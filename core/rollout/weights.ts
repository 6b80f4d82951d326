// How traffic is split between what serves and what is coming.
import { stageOf } from "./stages.ts";
import { isActive, type RolloutRow } from "./types.ts";

export interface Split {
  readonly from: number;
  readonly to: number;
}

/**
 * Integer weights that sum to 100, or both 0 when nothing is ready. The new release gets the share of its wanted instances
 * that are ready; a side without a ready instance gets nothing, and a side with one is never starved while both serve.
 */
export function splitWeight(input: { fromReady: number; toReady: number; toReplicas: number }): Split {
  const { fromReady, toReady, toReplicas } = input;
  if (fromReady === 0 && toReady === 0) return { from: 0, to: 0 };
  if (toReady === 0) return { from: 100, to: 0 };
  if (fromReady === 0 || toReady >= toReplicas) return { from: 0, to: 100 };
  const to = Math.min(99, Math.max(1, Math.floor((100 * toReady) / toReplicas)));
  return { from: 100 - to, to };
}

/** Percent of the traffic for what the rollout brings: by its stage, or by what is ready where the stage follows that. */
export function percentFor(row: RolloutRow, ready: { readonly from: number; readonly to: number }): number {
  if (!isActive(row.phase) || row.phase.kind === "preparing") return 0;
  const { weight } = stageOf(row);
  if (weight === "ready")
    return splitWeight({ fromReady: ready.from, toReady: ready.to, toReplicas: row.to.replicas }).to;
  if (weight === "first") return ready.to > 0 ? 100 : 0;
  return row.weight ?? 0;
}

/**
 * Integers in proportion to `wanted`, summing to 100 over those that are able, or all 0 when nobody wanted is. Largest remainders
 * first (Hare and Niemeyer), the earlier of equal ones; whoever is wanted and able gets at least 1. At most 100 entries.
 */
export function apportion(shares: readonly { readonly wanted: number; readonly able: boolean }[]): number[] {
  const wanted = shares.map((share) => (share.able ? share.wanted : 0));
  const total = wanted.reduce((sum, one) => sum + one, 0);
  if (total === 0) return shares.map(() => 0);
  const exact = wanted.map((one) => (100 * one) / total);
  const whole = exact.map((one) => (one > 0 ? Math.max(1, Math.floor(one)) : 0));
  const order = exact.map((_, at) => at).filter((at) => wanted[at]! > 0);
  let left = 100 - whole.reduce((sum, one) => sum + one, 0);
  order.sort((a, b) => exact[b]! - whole[b]! - (exact[a]! - whole[a]!) || a - b);
  for (let at = 0; left > 0; at = (at + 1) % order.length, left -= 1) whole[order[at]!]! += 1;
  // The least were lifted to 1: the largest give that.
  for (; left < 0; left += 1) whole[whole.indexOf(Math.max(...whole))]! -= 1;
  return whole;
}
