// Why a node cannot take a slot, constraint by constraint, and the refusal that sums this up over all nodes.
import type { NodeCapacity } from "../../contracts/agent-protocol.ts";
import type { Refusal } from "../../contracts/failures.ts";
import type { ReserveSlot } from "../messages.ts";
import type { ConstraintName, PlacementNode } from "./types.ts";

export const RESOURCE_NAMES = ["cpuMilli", "memoryBytes", "diskBytes", "pids"] as const;

const RESOURCE_CONSTRAINTS = { cpuMilli: "cpu", memoryBytes: "memory", diskBytes: "disk", pids: "pids" } as const;

export interface Exclusion {
  readonly constraint: ConstraintName;
  readonly requested: number | null;
  readonly missing: number | null;
}

/** Empty when the node can take the slot. A node that takes nothing is not blamed for its resources too. */
export function exclusionsOf(node: PlacementNode, free: NodeCapacity, slot: ReserveSlot): Exclusion[] {
  if (!node.ready) return [{ constraint: "not_ready", requested: null, missing: null }];
  if (node.cordoned) return [{ constraint: "cordoned", requested: null, missing: null }];
  if (!slot.runtimes.includes(node.runtime)) return [{ constraint: "runtime", requested: null, missing: null }];
  return RESOURCE_NAMES.filter((name) => slot.resources[name] > free[name]).map((name) => ({
    constraint: RESOURCE_CONSTRAINTS[name],
    requested: slot.resources[name],
    missing: slot.resources[name] - free[name],
  }));
}

export function refusalOf(nodesTotal: number, perNode: readonly (readonly Exclusion[])[]): Refusal {
  const merged = new Map<ConstraintName, Refusal["constraints"][number]>();
  for (const { constraint, requested, missing } of perNode.flat()) {
    const known = merged.get(constraint);
    merged.set(constraint, {
      constraint,
      nodesExcluded: (known?.nodesExcluded ?? 0) + 1,
      requested,
      missing: known ? leastOf(known.missing, missing) : missing,
    });
  }
  return { nodesTotal, constraints: [...merged.values()] };
}

/** One refusal for several cells that were asked in turn. */
export function mergeRefusals(first: Refusal | null, second: Refusal): Refusal {
  if (!first) return second;
  const merged = new Map(first.constraints.map((entry) => [entry.constraint, entry]));
  for (const entry of second.constraints) {
    const known = merged.get(entry.constraint);
    merged.set(entry.constraint, {
      ...entry,
      nodesExcluded: (known?.nodesExcluded ?? 0) + entry.nodesExcluded,
      missing: known ? leastOf(known.missing, entry.missing) : entry.missing,
    });
  }
  return { nodesTotal: first.nodesTotal + second.nodesTotal, constraints: [...merged.values()] };
}

const leastOf = (a: number | null, b: number | null): number | null =>
  a === null || b === null ? null : Math.min(a, b);
