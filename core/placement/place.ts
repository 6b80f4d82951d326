// Picks a node for each slot: filter, rank, pick. Spreads an app over failure domains first, then packs tightly.
import type { NodeCapacity } from "../../contracts/agent-protocol.ts";
import type { NodeId } from "../../contracts/ids.ts";
import type { ReserveSlot } from "../messages.ts";
import { rankOf } from "../random.ts";
import { RESOURCE_NAMES, exclusionsOf, refusalOf, type Exclusion } from "./constraints.ts";
import type { PlacementDecision, PlacementNode, PlacementRequest } from "./types.ts";

interface Candidate {
  readonly node: PlacementNode;
  readonly tie: number;
  free: NodeCapacity;
}

/** O(nodes) for each slot. The same nodes, request and seed give the same answer, whatever order the nodes come in. */
export function place(nodes: readonly PlacementNode[], request: PlacementRequest, seed: string): PlacementDecision {
  const candidates: Candidate[] = nodes.map((node) => ({ node, free: node.free, tie: rankOf(seed, node.id) }));
  const inDomain = new Map<string, number>();
  const onNode = new Map<NodeId, number>();
  const occupy = (failureDomain: string, node: NodeId): void => {
    inDomain.set(failureDomain, (inDomain.get(failureDomain) ?? 0) + 1);
    onNode.set(node, (onNode.get(node) ?? 0) + 1);
  };
  for (const { failureDomain, node } of request.occupied) occupy(failureDomain, node);

  const placements: { slot: ReserveSlot; node: NodeId }[] = [];
  const refusals: PlacementDecision["refusals"][number][] = [];
  for (const slot of request.slots) {
    const excluded: Exclusion[][] = [];
    let best: { candidate: Candidate; rank: readonly number[] } | null = null;
    for (const candidate of candidates) {
      const exclusions = exclusionsOf(candidate.node, candidate.free, slot);
      if (exclusions.length > 0) {
        excluded.push(exclusions);
        continue;
      }
      const rank = [
        inDomain.get(candidate.node.failureDomain) ?? 0,
        onNode.get(candidate.node.id) ?? 0,
        leftOver(candidate, slot),
        candidate.tie,
      ];
      if (!best || comesBefore(rank, best.rank)) best = { candidate, rank };
    }
    if (!best) {
      refusals.push({ instance: slot.instance, refusal: refusalOf(nodes.length, excluded) });
      continue;
    }
    const { candidate } = best;
    candidate.free = subtract(candidate.free, slot.resources);
    occupy(candidate.node.failureDomain, candidate.node.id);
    placements.push({ slot, node: candidate.node.id });
  }
  return { placements, refusals };
}

/** Best fit: the share of its scarcest resource that the node would have left, in thousandths (so that ties exist). */
function leftOver({ node, free }: Candidate, slot: ReserveSlot): number {
  const shares = RESOURCE_NAMES.map((name) => (free[name] - slot.resources[name]) / node.capacity[name]);
  return Math.round(Math.min(...shares) * 1_000);
}

function comesBefore(rank: readonly number[], other: readonly number[]): boolean {
  for (let index = 0; index < rank.length; index += 1) {
    const difference = rank[index]! - other[index]!;
    if (difference !== 0) return difference < 0;
  }
  return false;
}

export function subtract(from: NodeCapacity, resources: NodeCapacity): NodeCapacity {
  return {
    cpuMilli: from.cpuMilli - resources.cpuMilli,
    memoryBytes: from.memoryBytes - resources.memoryBytes,
    diskBytes: from.diskBytes - resources.diskBytes,
    pids: from.pids - resources.pids,
  };
}
