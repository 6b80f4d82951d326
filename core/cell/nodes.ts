// Nodes of the cell: enrolment, admission, heartbeats.
import type { HeartbeatResponse, MeteringRow, ObservedInstance } from "../../contracts/agent-protocol.ts";
import type { Result } from "../../contracts/failures.ts";
import type { NodeId, RegionName } from "../../contracts/ids.ts";
import { ok, refuse } from "../results.ts";
import { beatOf, emit, type CellContext } from "./context.ts";
import { tellApp, tellAppsOfNode } from "./messages.ts";
import { judgeProof } from "./proof.ts";
import type { CellInputs, CellReplies, NodeRow } from "./types.ts";

export function enrol(ctx: CellContext, input: CellInputs["enrol"]): CellReplies["enrol"] {
  const { request } = input;
  const known = ctx.draft.get("nodes", input.node);
  if (known) {
    if (known.phase === "removed") return refuse("node_revoked", "The node was revoked.");
    if (known.jkt !== input.jkt) return refuse("conflict", "The node was enrolled with another key.");
    return ok({ revision: known.revision, leaseTtlMs: ctx.limits.leaseTtlMs });
  }
  let present = 0;
  for (const node of ctx.draft.values("nodes")) if (node.phase !== "removed") present += 1;
  if (present >= ctx.limits.nodesPerCellMax) return refuse("no_capacity", `Cell ${input.cell} has ${present} nodes.`);
  if (!ctx.draft.get("cell", "cell")) {
    const region = input.cell.slice(0, input.cell.lastIndexOf(".")) as RegionName;
    ctx.draft.put("cell", "cell", { cell: input.cell, region, createdAtMs: ctx.nowMs });
  }
  ctx.draft.put("nodes", input.node, {
    id: input.node,
    name: request.name,
    jkt: input.jkt,
    signKey: request.signKey,
    sealKey: request.sealKey,
    region: request.region,
    failureDomain: request.failureDomain,
    labels: request.labels,
    gatewayUrl: request.gatewayUrl,
    capacity: request.capacity,
    runtime: request.runtime,
    platform: request.platform,
    agentVersion: request.agentVersion,
    enrolledAtMs: ctx.nowMs,
    enrolledBy: input.operator,
    phase: "enrolled",
    phaseSinceMs: ctx.nowMs,
    revision: 1,
    boots: [],
    meteringSeq: 0,
    gone: [],
  });
  const data = { name: request.name, region: request.region, failureDomain: request.failureDomain };
  emit(ctx, { type: "node.enrolled", subject: input.node, actor: input.operator, data });
  ctx.urgentSummary = true;
  return ok({ revision: 1, leaseTtlMs: ctx.limits.leaseTtlMs });
}

export function admit(ctx: CellContext, input: CellInputs["admit"]): CellReplies["admit"] {
  const judged = judgeProof(ctx, input);
  if (!judged.ok) return judged;
  const admitted = { sealKey: judged.node.sealKey, team: null };
  if (input.instance === undefined) return ok(admitted);
  const row = ctx.draft.get("instances", input.instance);
  const placed = row?.node === input.node && row.state.kind === "desired" ? row.desired : null;
  return ok({ ...admitted, placed });
}

export function heartbeat(ctx: CellContext, input: CellInputs["heartbeat"]): Result<HeartbeatResponse> {
  const judged = judgeProof(ctx, input);
  if (!judged.ok) return judged;
  const { request } = input;
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
  welcome(ctx, judged.node, before.suspectSinceMs !== null);
  for (const observed of request.observed) hear(ctx, input.node, observed);
  settleGone(ctx, input.node, request.ackRevision, request.observed);
  const meteringAck = takeMetering(ctx, input.node, request.metering);
  const { revision } = ctx.draft.get("nodes", input.node)!;
  return ok({
    revision,
    nowMs: ctx.nowMs,
    leaseTtlMs: ctx.limits.leaseTtlMs,
    meteringAck,
    noticeAck: 0,
    leaseCommitted: false,
  });
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
  if (node.phase === "lost") tellAppsOfNode(ctx, node, "node_back");
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

/** Room of a removed instance comes free once the node has the document without it and says that it no longer runs. */
function settleGone(ctx: CellContext, id: NodeId, ackRevision: number, observed: readonly ObservedInstance[]): void {
  const node = ctx.draft.get("nodes", id)!;
  if (node.gone.length === 0) return;
  const running = new Set(observed.filter((entry) => entry.status.kind !== "stopped").map((entry) => entry.instance));
  const kept = node.gone.filter((instance) => {
    const row = ctx.draft.get("instances", instance);
    if (!row || row.state.kind !== "gone") return false;
    if (ackRevision < row.state.revision || running.has(instance)) return true;
    ctx.draft.drop("instances", instance);
    return false;
  });
  if (kept.length !== node.gone.length) ctx.draft.put("nodes", id, { ...node, gone: kept });
}

/** One event per (node, seq), however often the row is repeated. Returns what the node need not repeat. */
function takeMetering(ctx: CellContext, id: NodeId, rows: readonly MeteringRow[]): number {
  const node = ctx.draft.get("nodes", id)!;
  let { meteringSeq } = node;
  for (const row of [...rows].sort((a, b) => a.seq - b.seq)) {
    if (row.seq <= meteringSeq) continue;
    meteringSeq = row.seq;
    emit(ctx, { type: "node.metered", subject: id, actor: `node:${id}`, data: { ...row } });
  }
  if (meteringSeq !== node.meteringSeq) ctx.draft.put("nodes", id, { ...node, meteringSeq });
  return meteringSeq;
}
