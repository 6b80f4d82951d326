// place: one decision over nodes that nobody keeps a pool of.
import type { NodeCapacity } from "../../contracts/agent-protocol.ts";
import { createPool } from "./pool.ts";
import type { PlacementDecision, PlacementNode, PlacementRequest } from "./types.ts";

/** The same nodes, request and seed give the same answer, whatever order the nodes come in. */
export function place(nodes: readonly PlacementNode[], request: PlacementRequest, seed: string): PlacementDecision {
  return createPool(nodes, seed).place(request);
}

export function subtract(from: NodeCapacity, resources: NodeCapacity): NodeCapacity {
  return {
    cpuMilli: from.cpuMilli - resources.cpuMilli,
    memoryBytes: from.memoryBytes - resources.memoryBytes,
    diskBytes: from.diskBytes - resources.diskBytes,
    pids: from.pids - resources.pids,
  };
}
