// Taking a node out for good: its credentials fail from now on, and what it ran is replaced elsewhere.
import type { Failure, Result } from "../../contracts/failures.ts";
import { ok, refuse } from "../results.ts";
import { SILENT_BEAT, emit, type CellContext } from "./context.ts";
import { tellAppsOfNode } from "./messages.ts";
import { inReadingOrder, listOf, nameOf, reservationsOn, residentsOf } from "./residents.ts";
import type { CellInputs, CellInstanceRow, NodeRow } from "./types.ts";

export function remove(ctx: CellContext, { node: id, actor, force }: CellInputs["remove"]): Result<null> {
  const node = ctx.draft.get("nodes", id);
  if (!node) return refuse("not_found", "This cell does not know the node.");
  if (node.phase === "removed") return ok(null);
  const residents = residentsOf(ctx, id);
  if (!force) {
    const inUse = refusalToRemove(ctx, node, residents);
    if (inUse) return { ok: false, failure: inUse };
  }
  const data = { name: node.name, forced: force && residents.length > 0, instances: residents.length };
  emit(ctx, { type: "node.removed", subject: id, actor, data });
  takeOut(ctx, node);
  return ok(null);
}

export function revoke(ctx: CellContext, input: CellInputs["revoke"]): Result<null> {
  const node = ctx.draft.get("nodes", input.node);
  if (!node) return refuse("not_found", "This cell does not know the node.");
  if (node.phase === "removed") return ok(null);
  emit(ctx, { type: "node.revoked", subject: node.id, actor: input.actor, data: { name: node.name } });
  takeOut(ctx, node);
  return ok(null);
}

/** A lost node never says that anything stopped: only what its Apps still count on stands in the way there. */
function refusalToRemove(ctx: CellContext, node: NodeRow, residents: readonly CellInstanceRow[]): Failure | null {
  const inUse = inReadingOrder(residents.filter((row) => row.state.kind === "desired" || node.phase !== "lost"));
  if (inUse.length === 0) return null;
  const names = inUse.map((row) => {
    const held = ctx.draft.get("held", row.desired.instance);
    if (row.state.kind === "gone") return `${nameOf(row)} (stopping)`;
    return held ? `${nameOf(row)}: ${held.reason}` : nameOf(row);
  });
  const advice = node.drain ? "Wait for its drain to end" : "Drain it first";
  return { code: "conflict", message: `${node.name} still runs ${listOf(names)}. ${advice}, or force its removal.` };
}

function takeOut(ctx: CellContext, node: NodeRow): void {
  tellAppsOfNode(ctx, node, "node_gone");
  for (const { desired } of residentsOf(ctx, node.id)) {
    ctx.draft.drop("instances", desired.instance);
    ctx.draft.drop("observed", desired.instance);
    ctx.draft.drop("held", desired.instance);
  }
  for (const instance of reservationsOn(ctx, node.id)) ctx.draft.drop("reservations", instance);
  ctx.draft.put("nodes", node.id, {
    ...node,
    phase: "removed",
    phaseSinceMs: ctx.nowMs,
    revision: node.revision + 1,
    gone: [],
    cordoned: false,
    drain: null,
    conditions: [],
  });
  ctx.setBeat(node.id, { ...SILENT_BEAT, gatewayReady: false });
  ctx.attempts.settle(`probe:${node.id}`);
  ctx.attempts.settle(`evacuate:${node.id}`);
  ctx.effects.push({ kind: "close_node", node: node.id });
  ctx.urgentSummary = true;
}
