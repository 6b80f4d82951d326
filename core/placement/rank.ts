// How good a place is: what it would leave on the node. Lower is better. Pure arithmetic, shared by all who rank.

/**
 * Leftovers of the scarce resource that nothing of the other one goes with can hardly be used any more: they count this much
 * more. Found by trying on two traces (docs/PLACEMENT.md): less packs worse, more spoils large nodes with small instances.
 */
const STRANDED_WEIGHT = 4;

/** An image that is there is worth as much as this much of an average node left over: it decides between near equals only. */
export const IMAGE_BONUS = 0.05;

/**
 * Best fit: what would be left of both resources, in average nodes of the pool, and what would be stranded of the scarce one.
 * Rises with scarceLeft; over otherLeft it is least where both are equal.
 */
export function packScore(scarceLeft: number, otherLeft: number): number {
  const stranded = scarceLeft - otherLeft;
  return scarceLeft + otherLeft + (stranded > 0 ? STRANDED_WEIGHT * stranded : 0);
}

/** The emptiest node: the one that would have the most left of what it would have the least of. */
export const spreadScore = (cpuLeft: number, memoryLeft: number): number =>
  cpuLeft < memoryLeft ? -cpuLeft : -memoryLeft;

/**
 * Room is kept in every failure domain, because replicas of one app take the same from each: a domain that has less of the
 * scarce resource free than another, in average nodes, is worth that much less, weighted, up to a limit. Little enough that
 * a used node still goes before an empty one where each domain is a single node.
 */
const DOMAIN_WEIGHT = 0.2;
const DOMAIN_PENALTY_MAX = 1;
export function domainPenalty(scale: Scale, free: DomainFree, most: DomainFree): number {
  if (scale.strategy === "spread") return 0;
  const less = scarceNodes(scale, most) - scarceNodes(scale, free);
  return Math.min(DOMAIN_PENALTY_MAX, DOMAIN_WEIGHT * less);
}

/** Memory in units, as in Totals. */
export interface DomainFree {
  cpuFree: number;
  memoryFree: number;
}
export const scarceNodes = ({ cpuScarce, cpuUnit, memoryUnit }: Scale, { cpuFree, memoryFree }: DomainFree): number =>
  cpuScarce ? cpuFree / cpuUnit : (memoryFree * MEMORY_UNIT) / memoryUnit;

/** Sums over all nodes that take placements. */
export interface Totals {
  nodes: number;
  cpuFree: number;
  cpuCapacity: number;
  /** In units of MEMORY_UNIT, so that sums over a fleet stay exact whatever the order they are made in. */
  memoryFree: number;
  memoryCapacity: number;
}
const MEMORY_UNIT = 65_536;
export const memoryUnits = (bytes: number): number => Math.floor(bytes / MEMORY_UNIT);

export type Strategy = "pack" | "spread";

/** How this pool, as it is now, weighs what would be left on a node. */
export interface Scale {
  readonly strategy: Strategy;
  /** Which of the two would run out first. */
  readonly cpuScarce: boolean;
  /** What an average node has: the measure of leftovers, so that nodes of all sizes compare. */
  readonly cpuUnit: number;
  readonly memoryUnit: number;
}

/** known: the scale of before, given back where nothing of it has changed. */
export function scaleOf(strategy: Strategy, totals: Totals, known?: Scale | null): Scale {
  const { nodes, cpuFree, cpuCapacity, memoryFree, memoryCapacity } = totals;
  const cpuScarce = cpuFree * memoryCapacity <= memoryFree * cpuCapacity;
  const cpuUnit = cpuCapacity / nodes;
  const memoryUnit = (memoryCapacity / nodes) * MEMORY_UNIT;
  const isKnown =
    known?.strategy === strategy &&
    known.cpuScarce === cpuScarce &&
    known.cpuUnit === cpuUnit &&
    known.memoryUnit === memoryUnit;
  return isKnown ? known : { strategy, cpuScarce, cpuUnit, memoryUnit };
}

/** Of a node that would have this much left. */
export function scoreOf({ strategy, cpuScarce, cpuUnit, memoryUnit }: Scale, cpu: number, memory: number): number {
  const cpuLeft = cpu / cpuUnit;
  const memoryLeft = memory / memoryUnit;
  if (strategy === "spread") return spreadScore(cpuLeft, memoryLeft);
  return cpuScarce ? packScore(cpuLeft, memoryLeft) : packScore(memoryLeft, cpuLeft);
}
