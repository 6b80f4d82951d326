// A heartbeat: what a node says of itself and its instances, and what it is answered.
import type { HeartbeatResponse, ObservedInstance } from "../../contracts/agent-protocol.ts";
import type { Result } from "../../contracts/failures.ts";
import type { NodeId } from "../../contracts/ids.ts";
import { ok, refuse } from "../results.ts";
import { beatOf, emit, type CellContext } from "./context.ts";
import { settleGone } from "./departures.ts";
import { commitLease } from "./fencing.ts";
import { tellApp } from "./messages.ts";
import { tellBack } from "./node-news.ts";
import { judgeProof } from "./proof.ts";
import { takeConditions, takeMetering, takeNotices } from "./reports.ts";
import type { CellInputs, NodeRow } from "./types.ts";

/** Revisions beyond this are no count of changes: nobody made that many. */
const REVISION_MAX = 2 ** 50;

export function heartbeat(ctx: CellContext, input: CellInputs["heartbeat"]): Result<HeartbeatResponse> {
  const judged = judgeProof(ctx, input);
  if (!judged.ok) return judged;
  const { request } = input;
  if (request.ackRevision > REVISION_MAX) return refuse("invalid_request", "ackRevision is beyond any revision.");
  const before = beatOf(ctx, input.node);
  ctx.attempts.settle(`probe:${input.node}`);
  ctx.setBeat(input.node, {
    lastHeartbeatAtMs: ctx.nowMs,
    ackRevision: Math.max(before.ackRevision, request.ackRevision),
    agentVersion: request.agentVersion,
    used: request.used,
    gatewayReady: request.gatewayReady,
    images: request.images,
    lanes: before.lanes,
    suspectSinceMs: null,
    probesFailed: 0,
  });
  if (before.gatewayReady !== request.gatewayReady) ctx.urgentSummary = true;
  // A new node is ready once its gateway is: before that it could serve nothing.
  if (judged.node.phase !== "enrolled" || request.gatewayReady) {
    welcome(ctx, judged.node, before.suspectSinceMs !== null);
  }
  for (const observed of request.observed) hear(ctx, input.node, observed);
  const ahead = overtake(ctx, input.node, request.ackRevision);
  if (!ahead) settleGone(ctx, input.node, request.ackRevision, request.observed);
  takeConditions(ctx, input.node, request.conditions);
  const meteringAck = takeMetering(ctx, input.node, request.metering);
  const noticeAck = takeNotices(ctx, input.node, request.notices);
  const { revision } = ctx.draft.get("nodes", input.node)!;
  return ok({
    revision,
    nowMs: ctx.nowMs,
    leaseTtlMs: ctx.limits.leaseTtlMs,
    meteringAck,
    noticeAck,
    leaseCommitted: !ahead && commitLease(ctx, input.node, request.ackRevision),
  });
}

/**
 * A node that has a newer document than this Cell ever made (its storage was set back) would ignore every document until the
 * numbers caught up. So the next one is numbered above it, and the ack proves nothing about what left the document.
 */
function overtake(ctx: CellContext, id: NodeId, ackRevision: number): boolean {
  const node = ctx.draft.get("nodes", id)!;
  if (ackRevision <= node.revision) return false;
  ctx.draft.put("nodes", id, { ...node, revision: ackRevision });
  ctx.touched.add(id);
  for (const instance of node.gone) {
    const row = ctx.draft.get("instances", instance);
    if (row?.state.kind !== "gone") continue;
    ctx.draft.put("instances", instance, { ...row, state: { ...row.state, revision: ackRevision + 1 } });
  }
  return true;
}

function welcome(ctx: CellContext, node: NodeRow, wasSuspect: boolean): void {
  if (node.phase === "ready") {
    if (!wasSuspect) return;
    emit(ctx, { type: "node.returned", subject: node.id, data: { name: node.name, from: "suspect" } });
    ctx.urgentSummary = true;
    return;
  }
  ctx.draft.put("nodes", node.id, { ...node, phase: "ready", phaseSinceMs: ctx.nowMs });
  const type = node.phase === "enrolled" ? "node.ready" : "node.returned";
  emit(ctx, { type, subject: node.id, data: { name: node.name, from: node.phase } });
  tellBack(ctx, node);
  ctx.urgentSummary = true;
}

/** Passes on what is news of an instance that belongs on the node. The rest is the agent's to stop. */
function hear(ctx: CellContext, node: NodeId, observed: ObservedInstance): void {
  const row = ctx.draft.get("instances", observed.instance);
  if (!row || row.node !== node || row.state.kind !== "desired") return;
  if (row.desired.generation !== observed.generation) return;
  const told = ctx.draft.get("observed", observed.instance);
  if (told && !isNews(told, observed, ctx.limits.pullProgressPercent)) return;
  ctx.draft.put("observed", observed.instance, observed);
  tellApp(ctx, row.desired.app, { kind: "observed", node, observed });
}

function isNews(told: ObservedInstance, observed: ObservedInstance, pullPercent: number): boolean {
  if (told.restarts !== observed.restarts || told.digest !== observed.digest) return true;
  const before = told.status;
  const after = observed.status;
  if (before.kind === "pulling" && after.kind === "pulling") {
    const done = after.doneBytes - before.doneBytes;
    return after.totalBytes !== before.totalBytes || done * 100 >= pullPercent * Math.max(1, after.totalBytes);
  }
  if (before.kind === "backoff" && after.kind === "backoff") return before.retryAtMs !== after.retryAtMs;
  if (before.kind === "unready" && after.kind === "unready") return before.failure.code !== after.failure.code;
  return before.kind !== after.kind;
}
