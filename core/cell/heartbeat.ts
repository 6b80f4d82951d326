// A heartbeat: what a node says of itself and its instances, and what it is answered.
import type { HeartbeatRequest, HeartbeatResponse, ObservedInstance } from "../../contracts/agent-protocol.ts";
import type { Result } from "../../contracts/failures.ts";
import type { NodeId } from "../../contracts/ids.ts";
import { ok, refuse } from "../results.ts";
import { adopt, isWithheld } from "./adoption.ts";
import { clonedCondition } from "./cloned.ts";
import { beatOf, cellOf, emit, type CellContext } from "./context.ts";
import { takeCounts, tellCounts } from "./counts.ts";
import { settleGone } from "./departures.ts";
import { commitLease } from "./fencing.ts";
import { tellApp } from "./messages.ts";
import { takeMetering } from "./metering.ts";
import { tellBack } from "./node-news.ts";
import { judgeProof } from "./proof.ts";
import { takeConditions, takeNotices } from "./reports.ts";
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
    ...(request.agent ? { agent: request.agent } : {}),
    lanes: before.lanes,
    suspectSinceMs: null,
    probesFailed: 0,
    ...(before.bootSinceMs === undefined ? {} : { bootSinceMs: before.bootSinceMs }),
    ...(before.twinAtMs === undefined ? {} : { twinAtMs: before.twinAtMs }),
    ...(before.buckets ? { buckets: before.buckets } : {}),
  });
  if (before.gatewayReady !== request.gatewayReady) ctx.urgentSummary = true;
  const node = takeFacts(ctx, judged.node, request);
  // A new node is ready once its gateway is: before that it could serve nothing.
  if (node.phase !== "enrolled" || request.gatewayReady) welcome(ctx, node, before.suspectSinceMs !== null);
  const tellDocument = adopt(ctx, ctx.draft.get("nodes", input.node)!, request);
  for (const observed of request.observed) hear(ctx, input.node, observed);
  const ahead = overtake(ctx, input.node, request.ackRevision);
  if (!ahead) settleGone(ctx, input.node, request.ackRevision, request.observed);
  takeConditions(ctx, input.node, [...request.conditions, ...clonedCondition(ctx, input.node)]);
  const withheld = isWithheld(cellOf(ctx), ctx.draft.get("nodes", input.node)!);
  // What is not adopted yet would be left out of the bill: it waits with the node.
  const meteringAck = takeMetering(ctx, input.node, withheld ? [] : request.metering);
  const noticeAck = takeNotices(ctx, input.node, request.notices);
  takeCounts(ctx, input.node, request.watched);
  tellCounts(ctx);
  const { revision } = ctx.draft.get("nodes", input.node)!;
  return ok({
    // There is nothing to come for.
    revision: withheld ? Math.min(revision, request.ackRevision) : revision,
    nowMs: ctx.nowMs,
    leaseTtlMs: ctx.limits.leaseTtlMs,
    meteringAck,
    noticeAck,
    leaseCommitted: !ahead && commitLease(ctx, input.node, request.ackRevision),
    ...(tellDocument ? { tellDocument } : {}),
    ...snapshotToHave(ctx),
  });
}

/** The same word with every heartbeat: whoever has it passes over it. */
function snapshotToHave(ctx: CellContext): Pick<HeartbeatResponse, "snapshot"> {
  const version = cellOf(ctx)?.snapshot;
  return version === undefined ? {} : { snapshot: version };
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

/** What may be otherwise since its enrolment: a row only where it is. */
function takeFacts(ctx: CellContext, node: NodeRow, request: HeartbeatRequest): NodeRow {
  const { protocol, hostPorts = node.hostPorts, reach = "direct", isolation = node.isolation } = request;
  const asKnown = node.protocol === protocol && (node.reach ?? "direct") === reach;
  const before = JSON.stringify([node.hostPorts, node.isolation]);
  if (asKnown && before === JSON.stringify([hostPorts, isolation])) return node;
  const { relay, ...rest } = node;
  const told = { protocol, hostPorts, reach, ...(isolation ? { isolation } : {}) };
  const changed = { ...rest, ...told, ...(relay && reach === "relay" ? { relay } : {}) };
  ctx.draft.put("nodes", node.id, changed);
  ctx.urgentSummary = true;
  return changed;
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
