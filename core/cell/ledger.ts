// The capacity ledger: what each node has left after desired, stopping and reserved instances (invariant 10).
import type { NodeCapacity } from "../../contracts/agent-protocol.ts";
import type { NodeId } from "../../contracts/ids.ts";
import { subtract } from "../placement/place.ts";
import type { PlacementNode } from "../placement/types.ts";
import { isCordoned, isHealthy } from "./availability.ts";
import type { CellContext } from "./context.ts";

export const NOTHING: NodeCapacity = { cpuMilli: 0, memoryBytes: 0, diskBytes: 0, pids: 0 };

export function add(a: NodeCapacity, b: NodeCapacity): NodeCapacity {
  return {
    cpuMilli: a.cpuMilli + b.cpuMilli,
    memoryBytes: a.memoryBytes + b.memoryBytes,
    diskBytes: a.diskBytes + b.diskBytes,
    pids: a.pids + b.pids,
  };
}

/** What is held on every node that holds anything. A row that left the document counts until the node says it stopped. */
export function heldByNode(ctx: CellContext): Map<NodeId, NodeCapacity> {
  const held = new Map<NodeId, NodeCapacity>();
  for (const { node, desired } of ctx.draft.values("instances")) {
    held.set(node, add(held.get(node) ?? NOTHING, desired.resources));
  }
  for (const { node, resources } of ctx.draft.values("reservations")) {
    held.set(node, add(held.get(node) ?? NOTHING, resources));
  }
  return held;
}

export function placementNodes(ctx: CellContext): PlacementNode[] {
  const held = heldByNode(ctx);
  const nodes: PlacementNode[] = [];
  for (const node of ctx.draft.values("nodes")) {
    if (node.phase === "removed") continue;
    nodes.push({
      id: node.id,
      failureDomain: node.failureDomain,
      runtime: node.runtime,
      ready: isHealthy(ctx, node),
      cordoned: isCordoned(ctx, node),
      capacity: node.capacity,
      free: subtract(node.capacity, held.get(node.id) ?? NOTHING),
    });
  }
  return nodes;
}

/** Reservations nobody committed in time, and answers that belonged to them. */
export function dropExpired(ctx: CellContext): void {
  for (const [instance, { untilMs }] of ctx.draft.entries("reservations")) {
    if (untilMs <= ctx.nowMs) ctx.draft.drop("reservations", instance);
  }
  for (const [key, { untilMs }] of ctx.draft.entries("answers")) {
    if (untilMs <= ctx.nowMs) ctx.draft.drop("answers", key);
  }
}
