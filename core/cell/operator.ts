// The operator's word on a node: cordon, uncordon, drain. It stands beside the phase and outlives restarts.
import type { Node } from "../../contracts/api.ts";
import type { Result } from "../../contracts/failures.ts";
import type { NodeId } from "../../contracts/ids.ts";
import { ok, refuse } from "../results.ts";
import { cellOf, emit, type CellContext } from "./context.ts";
import { callOff } from "./evacuation.ts";
import { leaveRebalance } from "./rebalance.ts";
import { residentsOf } from "./residents.ts";
import type { CellInputs, NodeRow } from "./types.ts";
import { nodeViews } from "./views.ts";

export function cordon(ctx: CellContext, { node: id, actor }: CellInputs["cordon"]): Result<Node> {
  return onNode(ctx, id, (node) => {
    if (node.cordoned) return;
    ctx.draft.put("nodes", id, { ...node, cordoned: true });
    emit(ctx, { type: "node.cordoned", subject: id, actor, data: { name: node.name } });
    ctx.urgentSummary = true;
  });
}

/** Everything that keeps the node from taking placements by the operator's word is over. */
export function uncordon(ctx: CellContext, { node: id, actor }: CellInputs["uncordon"]): Result<Node> {
  return onNode(ctx, id, (node) => {
    leaveRebalance(ctx, node, "stays");
    if (!node.cordoned) return;
    ctx.draft.put("nodes", id, { ...node, cordoned: false, drain: null });
    if (node.drain?.state === "draining") {
      callOff(ctx, node, residentsOf(ctx, id));
      emit(ctx, { type: "node.drain_cancelled", subject: id, actor, data: { name: node.name, ...node.drain } });
    }
    emit(ctx, { type: "node.uncordoned", subject: id, actor, data: { name: node.name } });
    ctx.urgentSummary = true;
  });
}

/** What is to leave is told at the end of the step, as after every restart. */
export function drain(ctx: CellContext, { node: id, actor }: CellInputs["drain"]): Result<Node> {
  return onNode(ctx, id, (node) => {
    if (node.drain) return;
    leaveRebalance(ctx, node, "drains");
    const begun = { state: "draining" as const, sinceMs: ctx.nowMs, startedBy: actor, moved: 0 };
    ctx.draft.put("nodes", id, { ...node, cordoned: true, drain: begun });
    const instances = residentsOf(ctx, id).length;
    emit(ctx, { type: "node.draining", subject: id, actor, data: { name: node.name, instances } });
    ctx.urgentSummary = true;
  });
}

function onNode(ctx: CellContext, id: NodeId, act: (node: NodeRow) => void): Result<Node> {
  const cell = cellOf(ctx);
  const node = ctx.draft.get("nodes", id);
  if (!cell || !node) return refuse("not_found", "This cell does not know the node.");
  if (node.phase === "removed") return refuse("gone", `${node.name} was removed.`);
  act(node);
  return ok(nodeViews(ctx, cell, id)[0]!);
}
