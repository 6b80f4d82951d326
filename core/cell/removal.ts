// Taking a node out for good: its credentials fail from now on, and what it ran is replaced elsewhere.
import type { Node } from "../../contracts/api.ts";
import type { Failure, Result } from "../../contracts/failures.ts";
import type { AppId, InstanceId } from "../../contracts/ids.ts";
import { ok, refuse } from "../results.ts";
import { SILENT_BEAT, cellOf, emit, type CellContext } from "./context.ts";
import { isStrict } from "./fencing.ts";
import { tellApp, writeMessage } from "./messages.ts";
import { append, nodeGone } from "./node-news.ts";
import { inReadingOrder, listOf, nameOf, reservationsOn, residentsOf } from "./residents.ts";
import { nodeViews } from "./views.ts";
import type { CellInputs, CellInstanceRow, NodeRow } from "./types.ts";

export function remove(ctx: CellContext, { node: id, actor, force }: CellInputs["remove"]): Result<Node> {
  const cell = cellOf(ctx);
  const node = ctx.draft.get("nodes", id);
  if (!cell || !node) return refuse("not_found", "This cell does not know the node.");
  if (node.phase === "removed") return ok(nodeViews(ctx, cell, id)[0]!);
  const residents = residentsOf(ctx, id);
  if (!force) {
    const inUse = refusalToRemove(ctx, node, residents);
    if (inUse) return { ok: false, failure: inUse };
  }
  const data = { name: node.name, forced: force && residents.length > 0, instances: residents.length };
  emit(ctx, { type: "node.removed", subject: id, actor, data });
  takeOut(ctx, node);
  return ok(nodeViews(ctx, cell, id)[0]!);
}

export function revoke(ctx: CellContext, input: CellInputs["revoke"]): Result<null> {
  const node = ctx.draft.get("nodes", input.node);
  if (!node) return refuse("not_found", "This cell does not know the node.");
  if (node.phase === "removed") return ok(null);
  emit(ctx, { type: "node.revoked", subject: node.id, actor: input.actor, data: { name: node.name } });
  takeOut(ctx, node);
  return ok(null);
}

/** The region's snapshot of that version lacks somebody whom the one before had: this cell's nodes hear of it with their next heartbeats. */
export function needSnapshot(ctx: CellContext, { version }: CellInputs["needSnapshot"]): Result<null> {
  const cell = cellOf(ctx);
  if (cell !== undefined && (cell.snapshot ?? 0) < version)
    ctx.draft.put("cell", "cell", { ...cell, snapshot: version });
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

/** Strict singletons there are replaced once their lease has run out: the node's own word counts no more (invariant 4). */
function takeOut(ctx: CellContext, node: NodeRow): void {
  const gone = new Map<AppId, InstanceId[]>();
  const kept = new Map<AppId, InstanceId[]>();
  const confirmed = new Map<AppId, InstanceId[]>();
  const revision = node.revision + 1;
  for (const row of residentsOf(ctx, node.id)) {
    const { app, instance } = row.desired;
    const waits = isStrict(row) && ctx.draft.get("leases", node.id) !== undefined;
    if (row.state.kind === "desired") append(waits ? kept : gone, app, instance);
    else if (row.state.confirm && !waits) append(confirmed, app, instance);
    if (waits && row.state.kind === "desired") {
      ctx.draft.put("instances", instance, { ...row, state: { kind: "gone", revision } });
    } else if (!waits) ctx.draft.drop("instances", instance);
    ctx.draft.drop("observed", instance);
    ctx.draft.drop("held", instance);
  }
  for (const app of new Set([...gone.keys(), ...kept.keys()])) {
    // However many are waiting: these rows are dropped, so that no resend of the present state could say it.
    writeMessage(ctx, app, nodeGone(node, gone.get(app) ?? [], kept.get(app) ?? []));
  }
  for (const [app, instances] of confirmed) tellApp(ctx, app, { kind: "gone", instances });
  for (const instance of reservationsOn(ctx, node.id)) ctx.draft.drop("reservations", instance);
  ctx.draft.put("nodes", node.id, {
    ...node,
    phase: "removed",
    phaseSinceMs: ctx.nowMs,
    revision,
    placeReleased: false,
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
