// The Region counts each cell's nodes: a removed node's place is given back, and its row kept so that it stays refused.
import { cellOf, type CellContext } from "./context.ts";
import type { NodeId } from "../../contracts/ids.ts";
import { residentsOf } from "./residents.ts";

const placeKey = (node: NodeId): string => `place:${node}`;

/** Asked until the Region has it; the row says whether it has. */
export function releasePlaces(ctx: CellContext): void {
  const cell = cellOf(ctx);
  if (!cell) return;
  const { callRetryMs, callRetryMaxMs } = ctx.limits;
  for (const node of ctx.draft.values("nodes")) {
    if (node.phase !== "removed" || node.placeReleased) continue;
    if (!ctx.attempts.claim(placeKey(node.id), callRetryMs, callRetryMaxMs)) continue;
    ctx.effects.push({ kind: "release_place", region: cell.region, node: node.id });
  }
}

export function placeReleased(ctx: CellContext, id: NodeId): void {
  const node = ctx.draft.get("nodes", id);
  if (node?.phase !== "removed") return;
  ctx.attempts.settle(placeKey(id));
  ctx.draft.put("nodes", id, { ...node, placeReleased: true });
  forgetOldest(ctx);
}

/** A node nobody knows any more is refused too; its row only says more clearly why. */
function forgetOldest(ctx: CellContext): void {
  const removed = [...ctx.draft.values("nodes")].filter((node) => node.placeReleased);
  removed.sort((a, b) => a.phaseSinceMs - b.phaseSinceMs);
  for (const { id } of removed.slice(0, Math.max(0, removed.length - ctx.limits.removedNodesKept))) {
    if (residentsOf(ctx, id).length === 0) ctx.draft.drop("nodes", id);
  }
}
