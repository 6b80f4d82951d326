// The Region counts each cell's nodes: it hears whose place is taken, and gets a removed node's place back. A removed node's row is
// kept so that it stays refused.
import type { NodeId } from "../../contracts/ids.ts";
import { cellOf, type CellContext } from "./context.ts";
import { residentsOf } from "./residents.ts";

const claimKey = (node: NodeId): string => `claim:${node}`;
const placeKey = (node: NodeId): string => `place:${node}`;

/** Told until the Region has it; the row says whether it has. */
export function settlePlaces(ctx: CellContext): void {
  const cell = cellOf(ctx);
  if (!cell) return;
  const { callRetryMs, callRetryMaxMs } = ctx.limits;
  for (const { id: node, phase, placeClaimed, placeReleased } of ctx.draft.values("nodes")) {
    if (phase === "removed") ctx.attempts.settle(claimKey(node));
    if (phase === "removed" ? placeReleased : placeClaimed) continue;
    const key = phase === "removed" ? placeKey(node) : claimKey(node);
    if (!ctx.attempts.claim(key, callRetryMs, callRetryMaxMs)) continue;
    const { region } = cell;
    if (phase === "removed") ctx.effects.push({ kind: "release_place", region, node });
    else ctx.effects.push({ kind: "claim_place", region, cell: cell.cell, node });
  }
}

export function placeClaimed(ctx: CellContext, id: NodeId): void {
  const node = ctx.draft.get("nodes", id);
  if (!node || node.phase === "removed") return;
  ctx.attempts.settle(claimKey(id));
  ctx.draft.put("nodes", id, { ...node, placeClaimed: true });
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
