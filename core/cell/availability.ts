// Whether a node may be given something new, and what keeps it from that.
import type { Refusal } from "../../contracts/failures.ts";
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

/** Null: believed in, not silent, its gateway serving, nothing wrong with it as a whole. */
function troubleOf(ctx: CellContext, node: NodeRow): string | null {
  if (node.phase !== "ready") return node.phase;
  const beat = beatOf(ctx, node.id);
  if (beat.suspectSinceMs !== null) return "suspect";
  const [condition] = node.conditions ?? [];
  return condition?.kind ?? (beat.gatewayReady ? null : "gateway_down");
}

export function closedReason(ctx: CellContext, node: NodeRow): ClosedReason | null {
  if (node.drain) return "draining";
  if (isCordoned(ctx, node)) return "cordoned";
  return troubleOf(ctx, node) === null ? null : "not_ready";
}

/** A refusal says what is the matter with the nodes that are not ready (house rule 8). */
export function withDetail(ctx: CellContext, refusal: Refusal): Refusal {
  if (!refusal.constraints.some(({ constraint }) => constraint === "not_ready")) return refusal;
  const counts = new Map<string, number>();
  for (const node of ctx.draft.values("nodes")) {
    if (node.phase === "removed" || closedReason(ctx, node) !== "not_ready") continue;
    const trouble = troubleOf(ctx, node) ?? "";
    counts.set(trouble, (counts.get(trouble) ?? 0) + 1);
  }
  const detail = [...counts].map(([trouble, nodes]) => `${nodes} ${trouble}`).join(", ");
  const constraints = refusal.constraints.map((entry) =>
    entry.constraint === "not_ready" ? { ...entry, detail } : entry,
  );
  return { ...refusal, constraints };
}

export const takesPlacements = (ctx: CellContext, node: NodeRow): boolean => closedReason(ctx, node) === null;
