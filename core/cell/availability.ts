// Whether a node may be given something new, and what keeps it from that.
import type { NodeId } from "../../contracts/ids.ts";
import type { ClosedReason } from "../placement/types.ts";
import { beatOf, type CellContext } from "./context.ts";
import { isEmptying } from "./rebalance.ts";
import type { NodeRow } from "./types.ts";

/** By the operator's word, a drain, or a rebalance that empties it. */
export const isCordoned = (ctx: CellContext, node: NodeRow): boolean =>
  node.cordoned === true || isEmptying(ctx, node.id);

/** What is on it is to leave. */
export const isEmptied = (ctx: CellContext, node: NodeId): boolean =>
  isEmptying(ctx, node) || ctx.draft.get("nodes", node)?.drain?.state === "draining";

/** Believed in, not silent, its gateway serving, nothing wrong with it as a whole. */
function isHealthy(ctx: CellContext, node: NodeRow): boolean {
  const beat = beatOf(ctx, node.id);
  return (
    node.phase === "ready" && beat.suspectSinceMs === null && beat.gatewayReady && (node.conditions ?? []).length === 0
  );
}

export function closedReason(ctx: CellContext, node: NodeRow): ClosedReason | null {
  if (node.drain) return "draining";
  if (isCordoned(ctx, node)) return "cordoned";
  return isHealthy(ctx, node) ? null : "not_ready";
}

export const takesPlacements = (ctx: CellContext, node: NodeRow): boolean => closedReason(ctx, node) === null;
