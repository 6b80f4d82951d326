// Whether a node may be given something new, and what keeps it from that.
import { beatOf, type CellContext } from "./context.ts";
import { isEmptying } from "./rebalance.ts";
import type { NodeRow } from "./types.ts";

/** By the operator's word, a drain, or a rebalance that empties it. */
export const isCordoned = (ctx: CellContext, node: NodeRow): boolean =>
  node.cordoned === true || isEmptying(ctx, node.id);

/** Believed in, not silent, its gateway serving, nothing wrong with it as a whole. */
export function isHealthy(ctx: CellContext, node: NodeRow): boolean {
  const beat = beatOf(ctx, node.id);
  return (
    node.phase === "ready" && beat.suspectSinceMs === null && beat.gatewayReady && (node.conditions ?? []).length === 0
  );
}

export const takesPlacements = (ctx: CellContext, node: NodeRow): boolean =>
  isHealthy(ctx, node) && !isCordoned(ctx, node);
