// The capacity ledger: what each node has left after desired, stopping and reserved instances (invariant 10).
import type { NodeCapacity } from "../../contracts/agent-protocol.ts";
import type { NodeId } from "../../contracts/ids.ts";
import { shunnedBy } from "../placement/neighbours.ts";
import { subtract } from "../placement/resources.ts";
import { createPool } from "../placement/pool.ts";
import type { PlacementNode, Pool } from "../placement/types.ts";
import { classesOf, closedReason, isAgentTooOld, offeredPorts } from "./availability.ts";
import { beatOf, type CellContext } from "./context.ts";
import { NOTHING, type Pooled } from "./holdings.ts";
import type { NodeRow } from "./tables.ts";

/** What is held on the node. A row that left the document counts until the node says that it stopped. */
export const heldOn = (ctx: CellContext, node: NodeId): NodeCapacity => ctx.holdings.onNode.get(node)?.held ?? NOTHING;

/** The cell's nodes as placement sees them, in a pool that is kept from one reservation to the next. */
export function placementPool(ctx: CellContext): Pool {
  const { holdings } = ctx;
  const pool = (holdings.pool ??= createPool([], ctx.at.seed));
  const gone = new Set(holdings.pooled.keys());
  for (const row of ctx.draft.values("nodes")) {
    if (row.phase === "removed") continue;
    gone.delete(row.id);
    const known = holdings.pooled.get(row.id);
    const now = pooledOf(ctx, row, known);
    if (now === known) continue;
    holdings.pooled.set(row.id, now);
    pool.update(now.node);
  }
  for (const id of gone) {
    holdings.pooled.delete(id);
    pool.remove(id);
  }
  return pool;
}

export function placementNodes(ctx: CellContext): PlacementNode[] {
  placementPool(ctx);
  return [...ctx.holdings.pooled.values()].map(({ node }) => node);
}

/** What was known, where nothing has changed since; parts that did not change stay the same objects. */
function pooledOf(ctx: CellContext, row: NodeRow, known: Pooled | undefined): Pooled {
  const on = ctx.holdings.onNode.get(row.id);
  const version = on?.version ?? 0;
  const closed = closedReason(ctx, row);
  const { images } = beatOf(ctx, row.id);
  const sameImages = known !== undefined && isSame(known.images, images);
  const sameRoom = known !== undefined && known.on === on && known.version === version;
  if (sameImages && sameRoom && known.row === row && known.node.closed === closed) return known;
  const { id, failureDomain, runtime, labels, capacity } = row;
  const shunned = sameRoom ? known.node.shunned : shunnedBy(on?.shuns.keys() ?? []);
  const node = {
    ...{ id, failureDomain, runtime, labels, closed, capacity },
    free: sameRoom ? known.node.free : subtract(capacity, on?.held ?? NOTHING),
    hostPorts: sameRoom ? known.node.hostPorts : [...(on?.hostPorts.keys() ?? [])],
    offeredPorts: known?.row === row ? known.node.offeredPorts : offeredPorts(row),
    apps: sameRoom ? known.node.apps : new Set(on?.apps.keys()),
    ...(shunned ? { shunned } : {}),
    ...(isAgentTooOld(row) ? { agentTooOld: true } : {}),
    ...classesOf(row),
    images: sameImages ? known.node.images : new Set(images),
  };
  return { row, on, version, images: sameImages ? known.images : images, node };
}

const isSame = (a: readonly string[], b: readonly string[]): boolean =>
  a === b || (a.length === b.length && a.every((image, at) => image === b[at]));

/** How many more instances this cell may hold; at its limit the reason is cell_full. */
export const slotsLeft = ({ holdings, limits }: CellContext): number =>
  Math.max(0, limits.instancesPerCellMax - holdings.instances - holdings.reservations);
