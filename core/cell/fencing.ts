// Strict singletons (invariant 4): lease rows, and when what a silent node ran of them is certain to have stopped itself.
import type { NodeId } from "../../contracts/ids.ts";
import { earliest } from "../attempts.ts";
import { isAgentTooOld } from "./availability.ts";
import { cellOf, type CellContext } from "./context.ts";
import { tellApp, writeMessage } from "./messages.ts";
import { append, nodeGone } from "./node-news.ts";
import { residentsOf } from "./residents.ts";
import type { CellInstanceRow, NodeRow } from "./types.ts";

/**
 * Writes the lease row of a node with strict singletons, and says whether they may run on by this heartbeat. Not while the
 * node still has a document with one that was given up: it would start that again.
 */
export function commitLease(ctx: CellContext, node: NodeId, ackRevision: number): boolean {
  const lease = ctx.draft.get("leases", node);
  if (!lease) return false;
  const strict = residentsOf(ctx, node).filter(isStrict);
  if (strict.length === 0) {
    ctx.draft.drop("leases", node);
    return false;
  }
  if (strict.some(({ state }) => state.kind === "gone" && state.revision > ackRevision)) return false;
  if (!strict.some(({ state }) => state.kind === "desired")) return false;
  if (lease.atMs !== ctx.nowMs) ctx.draft.put("leases", node, { atMs: ctx.nowMs });
  return true;
}

/** A strict singleton comes to the node: from here on its silence is counted. */
export function openLease(ctx: CellContext, node: NodeId): void {
  ctx.draft.put("leases", node, { atMs: ctx.nowMs });
}

export const isStrict = ({ desired }: CellInstanceRow): boolean => desired.singleton === "strict";

/**
 * From the last lease row, and from when this Cell began to listen: after a restart or a lag its clock may have jumped.
 * Null: the node has no lease that could run out.
 */
function fencedAtMs(ctx: CellContext, node: NodeRow): number | null {
  const lease = ctx.draft.get("leases", node.id);
  if (!lease) return null;
  return Math.max(lease.atMs, ctx.windowsFromMs) + ctx.limits.strictReplaceMs;
}

/**
 * Only a silent node's agent stops its strict singletons, and nothing is given up while rescheduling is frozen. An agent that
 * was set back to one that is too old for it stops none: of those only its node's word, or an operator's, is certain.
 */
function mayFence(ctx: CellContext, node: NodeRow): boolean {
  if (node.phase === "removed") return true;
  const silent = node.phase === "lost" || node.phase === "unreachable";
  return silent && !cellOf(ctx)?.frozenSinceMs && !isAgentTooOld(node);
}

export function isFenced(ctx: CellContext, node: NodeRow): boolean {
  if (!mayFence(ctx, node)) return false;
  const atMs = fencedAtMs(ctx, node);
  return atMs === null || atMs <= ctx.nowMs;
}

/** What is certain to have stopped leaves the document for good, so that a node that returns cannot start it again. */
export function watchFences(ctx: CellContext): void {
  for (const [id] of ctx.draft.entries("leases")) {
    const node = ctx.draft.get("nodes", id);
    if (node && !isFenced(ctx, node)) continue;
    if (node) fence(ctx, node);
    ctx.draft.drop("leases", id);
  }
}

function fence(ctx: CellContext, node: NodeRow): void {
  const told = new Map<CellInstanceRow["desired"]["app"], CellInstanceRow["desired"]["instance"][]>();
  const gone = [...node.gone];
  for (const row of residentsOf(ctx, node.id)) {
    if (!isStrict(row)) continue;
    const { app, instance } = row.desired;
    if (row.state.kind === "gone" && row.state.fenced) continue;
    if (row.state.kind === "desired" || node.phase === "removed") append(told, app, instance);
    if (row.state.kind === "gone" && row.state.confirm) tellApp(ctx, app, { kind: "gone", instances: [instance] });
    if (node.phase === "removed") {
      ctx.draft.drop("instances", instance);
      continue;
    }
    const revision = row.state.kind === "gone" ? row.state.revision : node.revision + 1;
    ctx.draft.put("instances", instance, { ...row, state: { kind: "gone", revision, fenced: true } });
    if (row.state.kind === "desired") gone.push(instance);
    ctx.draft.drop("observed", instance);
    ctx.draft.drop("held", instance);
  }
  if (gone.length > node.gone.length) {
    ctx.draft.put("nodes", node.id, { ...node, gone });
    ctx.touched.add(node.id);
  }
  // Of a removed node the rows are dropped: no resend of the present state could say it later.
  const tell = node.phase === "removed" ? writeMessage : tellApp;
  for (const [app, instances] of told) tell(ctx, app, nodeGone(node, instances, []));
}

export function fenceWakeAtMs(ctx: CellContext): number | null {
  let next: number | null = null;
  for (const [id] of ctx.draft.entries("leases")) {
    const node = ctx.draft.get("nodes", id);
    if (node && mayFence(ctx, node)) next = earliest(next, fencedAtMs(ctx, node));
  }
  return next;
}
