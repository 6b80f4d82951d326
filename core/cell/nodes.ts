// Nodes of the cell: enrolment, admission, and under which name the edge reaches them.
import type { RegionName } from "../../contracts/ids.ts";
import { ok, refuse } from "../results.ts";
import { emit, type CellContext } from "./context.ts";
import { judgeProof } from "./proof.ts";
import { moveTo } from "./relays.ts";
import type { CellInputs, CellReplies } from "./types.ts";

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
    hostPorts: request.hostPorts,
    runtime: request.runtime,
    platform: request.platform,
    agentVersion: request.agentVersion,
    protocol: request.protocol,
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
  const admitted = { sealKey: judged.node.sealKey, team: null, naming: judged.node.naming ?? null };
  if (input.instance === undefined) return ok(admitted);
  const row = ctx.draft.get("instances", input.instance);
  const placed = row?.node === input.node && row.state.kind === "desired" ? row.desired : null;
  return ok({ ...admitted, placed });
}

/** gatewayUrl: what the gateway serves under by now; null while it has no certificate for it. Apps with instances there are told. */
export function nameNode(
  ctx: CellContext,
  { node: id, naming, gatewayUrl }: CellInputs["nameNode"],
): CellReplies["nameNode"] {
  const node = ctx.draft.get("nodes", id);
  if (!node) return refuse("not_found", "This cell does not know the node.");
  if (node.phase === "removed") return refuse("node_revoked", "The node was removed.");
  ctx.draft.put("nodes", id, { ...node, naming });
  if (gatewayUrl !== null) moveTo(ctx, id, gatewayUrl);
  return ok(null);
}
