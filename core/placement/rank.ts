// How good a place is: what it would leave on the node. Lower is better. Pure arithmetic, shared by all who rank.

/**
 * Leftovers of the scarce resource that nothing of the other one goes with can hardly be used any more: they count this much
 * more. Found by trying on two traces (docs/PLACEMENT.md): less packs worse, more spoils large nodes with small instances.
 */
const STRANDED_WEIGHT = 4;

/** An image that is there is worth as much as this share of a node left over: it decides between near equals only. */
export const IMAGE_BONUS = 0.05;

/**
 * Best fit: what would be left of both resources, as shares of the node's own capacity, and what would be stranded of the
 * scarce one. Rises with scarceLeft; over otherLeft it is least where both are equal.
 */
export function packScore(scarceLeft: number, otherLeft: number): number {
  const stranded = scarceLeft - otherLeft;
  return scarceLeft + otherLeft + (stranded > 0 ? STRANDED_WEIGHT * stranded : 0);
}

/** The emptiest node: the one whose scarcest resource would have the largest share left. */
export const spreadScore = (cpuLeft: number, memoryLeft: number): number =>
  cpuLeft < memoryLeft ? -cpuLeft : -memoryLeft;

/** Which of the two would run out first over all nodes that take placements. */
export interface Totals {
  cpuFree: number;
  cpuCapacity: number;
  /** In units of MEMORY_UNIT, so that sums over a fleet stay exact whatever the order they are made in. */
  memoryFree: number;
  memoryCapacity: number;
}
const MEMORY_UNIT = 65_536;
export const memoryUnits = (bytes: number): number => Math.floor(bytes / MEMORY_UNIT);
export const isCpuScarce = (totals: Totals): boolean =>
  totals.cpuFree * totals.memoryCapacity <= totals.memoryFree * totals.cpuCapacity;

export type Strategy = "pack" | "spread";

export function scoreOf(strategy: Strategy, cpuScarce: boolean, cpuLeft: number, memoryLeft: number): number {
  if (strategy === "spread") return spreadScore(cpuLeft, memoryLeft);
  return cpuScarce ? packScore(cpuLeft, memoryLeft) : packScore(memoryLeft, cpuLeft);
}
