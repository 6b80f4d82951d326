// Instances on their way out: they leave the document at once, and their room comes free once the node says that they stopped.
import type { ObservedInstance } from "../../contracts/agent-protocol.ts";
import type { AppId, InstanceId, NodeId } from "../../contracts/ids.ts";
import type { UpdateRequest } from "../messages.ts";
import type { CellContext } from "./context.ts";
import { countMoved } from "./evacuation.ts";
import { tellApp } from "./messages.ts";
import { rememberLeft } from "./metering.ts";
import { append } from "./node-news.ts";

/** Takes instances out, and tells of those to be confirmed that are known not to run already. Repeating it is harmless. */
export function departAll(ctx: CellContext, { app, remove, confirm = [] }: UpdateRequest): void {
  const confirming = new Set(confirm);
  const gone = remove.filter((id) => isGoneAtOnce(ctx, app, id, confirming.has(id)) && confirming.has(id));
  if (gone.length > 0) tellApp(ctx, app, { kind: "gone", instances: gone });
}

function isGoneAtOnce(ctx: CellContext, app: AppId, id: InstanceId, confirm: boolean): boolean {
  if (ctx.draft.get("reservations", id)?.app === app) ctx.draft.drop("reservations", id);
  const row = ctx.draft.get("instances", id);
  if (!row || row.desired.app !== app) return row === undefined;
  if (row.state.kind === "gone") {
    if (row.state.fenced) return true;
    if (confirm && !row.state.confirm) ctx.draft.put("instances", id, { ...row, state: { ...row.state, confirm } });
    return false;
  }
  ctx.draft.drop("observed", id);
  ctx.draft.drop("held", id);
  const node = ctx.draft.get("nodes", row.node);
  if (!node || node.phase === "removed") {
    ctx.draft.drop("instances", id);
    return true;
  }
  // The document without it is the node's next revision, made at the end of this step.
  const state = { kind: "gone" as const, revision: node.revision + 1, ...(confirm ? { confirm } : {}) };
  ctx.draft.put("instances", id, { ...row, state });
  ctx.draft.put("nodes", node.id, { ...countMoved(node), gone: [...node.gone, id] });
  ctx.touched.add(node.id);
  return false;
}

/** Room comes free once the node has the document without the instance and says that it no longer runs. */
export function settleGone(
  ctx: CellContext,
  id: NodeId,
  ackRevision: number,
  observed: readonly ObservedInstance[],
): void {
  const node = ctx.draft.get("nodes", id)!;
  if (node.gone.length === 0) return;
  const running = new Set(observed.filter((entry) => entry.status.kind !== "stopped").map((entry) => entry.instance));
  const confirmed = new Map<AppId, InstanceId[]>();
  const kept = node.gone.filter((instance) => {
    const row = ctx.draft.get("instances", instance);
    if (!row || row.state.kind !== "gone") return false;
    if (ackRevision < row.state.revision || running.has(instance)) return true;
    if (row.state.confirm && !row.state.fenced) append(confirmed, row.desired.app, instance);
    rememberLeft(ctx, row);
    ctx.draft.drop("instances", instance);
    return false;
  });
  if (kept.length !== node.gone.length) ctx.draft.put("nodes", id, { ...node, gone: kept });
  for (const [app, instances] of confirmed) tellApp(ctx, app, { kind: "gone", instances });
}
