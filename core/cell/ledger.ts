// The capacity ledger: what each node has left after desired, stopping and reserved instances (invariant 10).
import type { NodeCapacity } from "../../contracts/agent-protocol.ts";
import type { NodeId } from "../../contracts/ids.ts";
import { subtract } from "../placement/place.ts";
import { NONE, awayFromKey, type PlacementNode } from "../placement/types.ts";
import { closedReason } from "./availability.ts";
import { beatOf, type CellContext } from "./context.ts";

export const NOTHING: NodeCapacity = { cpuMilli: 0, memoryBytes: 0, diskBytes: 0, pids: 0 };

export function add(a: NodeCapacity, b: NodeCapacity): NodeCapacity {
  return {
    cpuMilli: a.cpuMilli + b.cpuMilli,
    memoryBytes: a.memoryBytes + b.memoryBytes,
    diskBytes: a.diskBytes + b.diskBytes,
    pids: a.pids + b.pids,
  };
}

/** What is held on one node, and for whom. */
export interface Holding {
  resources: NodeCapacity;
  readonly hostPorts: number[];
  readonly apps: Set<string>;
}

/** What is held on every node that holds anything. A row that left the document counts until the node says it stopped. */
export function heldByNode(ctx: CellContext): Map<NodeId, Holding> {
  const held = new Map<NodeId, Holding>();
  const hold = (node: NodeId, resources: NodeCapacity, hostPorts: readonly number[], app: string | null): void => {
    const holding = held.get(node) ?? { resources: NOTHING, hostPorts: [], apps: new Set<string>() };
    holding.resources = add(holding.resources, resources);
    holding.hostPorts.push(...hostPorts);
    if (app !== null) holding.apps.add(app);
    held.set(node, holding);
  };
  for (const { node, desired } of ctx.draft.values("instances")) {
    hold(node, desired.resources, desired.hostPorts ?? [], awayFromKey(desired.team, desired.appName));
  }
  for (const { node, resources, hostPorts, awayKey } of ctx.draft.values("reservations")) {
    hold(node, resources, hostPorts ?? [], awayKey ?? null);
  }
  return held;
}

export function placementNodes(ctx: CellContext): PlacementNode[] {
  const held = heldByNode(ctx);
  const nodes: PlacementNode[] = [];
  for (const node of ctx.draft.values("nodes")) {
    if (node.phase === "removed") continue;
    const holding = held.get(node.id);
    nodes.push({
      id: node.id,
      failureDomain: node.failureDomain,
      runtime: node.runtime,
      labels: node.labels,
      closed: closedReason(ctx, node),
      capacity: node.capacity,
      free: subtract(node.capacity, holding?.resources ?? NOTHING),
      hostPorts: holding?.hostPorts ?? [],
      apps: holding?.apps ?? NONE,
      images: new Set(beatOf(ctx, node.id).images),
    });
  }
  return nodes;
}

/** How many more instances this cell may hold; at its limit the reason is cell_full. */
export function slotsLeft(ctx: CellContext): number {
  let held = 0;
  for (const _row of ctx.draft.values("instances")) held += 1;
  for (const _row of ctx.draft.values("reservations")) held += 1;
  return Math.max(0, ctx.limits.instancesPerCellMax - held);
}
