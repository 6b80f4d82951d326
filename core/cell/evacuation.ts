// Emptying nodes: what is to leave is told to its Apps, again and again until it has gone; what holds it is kept for the operator.
import type { NodeDrain } from "../../contracts/api.ts";
import type { AppId, InstanceId, NodeId } from "../../contracts/ids.ts";
import type { UpdateRequest } from "../messages.ts";
import { emit, type CellContext } from "./context.ts";
import { tellApp } from "./messages.ts";
import { inReadingOrder, reservationsOn, residentsOf } from "./residents.ts";
import type { CellInstanceRow, NodeRow } from "./types.ts";

const evacuationKey = (node: NodeRow["id"]): string => `evacuate:${node}`;

/** Drains under way: tells the Apps what is due, and notices when nothing is left. */
export function watchDrains(ctx: CellContext): void {
  for (const node of ctx.draft.values("nodes")) {
    if (node.drain?.state !== "draining" || node.phase === "removed") continue;
    const residents = residentsOf(ctx, node.id);
    if (residents.length === 0 && reservationsOn(ctx, node.id).length === 0) finishDrain(ctx, node);
    else evacuate(ctx, node, residents, "drain");
  }
}

function finishDrain(ctx: CellContext, node: NodeRow): void {
  const drain = { ...node.drain!, state: "drained" as const };
  ctx.draft.put("nodes", node.id, { ...node, drain });
  ctx.attempts.settle(evacuationKey(node.id));
  const data = { name: node.name, moved: drain.moved, tookMs: ctx.nowMs - drain.sinceMs };
  emit(ctx, { type: "node.drained", subject: node.id, data });
}

/**
 * Level-triggered: once at the start, and seldom again for what its App has said nothing about since. An App that is
 * already moving an instance takes the repetition as said.
 */
export function evacuate(
  ctx: CellContext,
  node: NodeRow,
  rows: readonly CellInstanceRow[],
  reason: "drain" | "rebalance",
  to: ReadonlyMap<InstanceId, NodeId> = new Map(),
): void {
  const untold = rows.filter(
    ({ desired, state }) =>
      state.kind === "desired" && desired.intent === "run" && !ctx.draft.get("held", desired.instance),
  );
  if (untold.length === 0) return evacuateSoon(ctx, node.id);
  const { evacuateAgainMs } = ctx.limits;
  if (!ctx.attempts.claim(evacuationKey(node.id), evacuateAgainMs, evacuateAgainMs)) return;
  for (const [app, instances] of byApp(untold)) {
    const planned = instances.flatMap((id) => (to.has(id) ? [[id, to.get(id)!] as const] : []));
    const targets = planned.length > 0 ? { to: Object.fromEntries(planned) } : {};
    tellApp(ctx, app, { kind: "evacuate", node: node.id, instances, reason, ...targets });
  }
}

/** Whatever comes next is told at once: something came to the node, or nothing is left to say. */
export const evacuateSoon = (ctx: CellContext, node: NodeRow["id"]): void => ctx.attempts.settle(evacuationKey(node));

/** What has no replacement yet stays. */
export function callOff(ctx: CellContext, node: NodeRow, rows: readonly CellInstanceRow[]): void {
  ctx.attempts.settle(evacuationKey(node.id));
  for (const { desired } of rows) ctx.draft.drop("held", desired.instance);
  for (const [app] of byApp(rows)) tellApp(ctx, app, { kind: "stay", node: node.id });
}

function byApp(rows: readonly CellInstanceRow[]): Map<AppId, InstanceId[]> {
  const apps = new Map<AppId, InstanceId[]>();
  for (const { desired } of inReadingOrder(rows)) {
    apps.set(desired.app, [...(apps.get(desired.app) ?? []), desired.instance]);
  }
  return apps;
}

/** The App's whole list for this cell, or nothing new. */
export function takeHeld(ctx: CellContext, app: AppId, held: UpdateRequest["held"]): void {
  if (held === undefined) return;
  const said = new Map(held.map(({ instance, reason }) => [instance as string, reason.slice(0, 500)]));
  for (const [instance, row] of ctx.draft.entries("held")) {
    if (row.app === app && !said.has(instance)) ctx.draft.drop("held", instance);
  }
  for (const [instance, reason] of said) {
    const row = ctx.draft.get("instances", instance);
    if (row?.state.kind !== "desired" || row.desired.app !== app) continue;
    if (ctx.draft.get("held", instance)?.reason !== reason) ctx.draft.put("held", instance, { app, reason });
  }
}

/** An instance left its node, or will as soon as the node hears of it. */
export function countMoved(node: NodeRow): NodeRow {
  return node.drain?.state === "draining" ? { ...node, drain: { ...node.drain, moved: node.drain.moved + 1 } } : node;
}

export function drainView(ctx: CellContext, node: NodeRow): NodeDrain | null {
  const { drain } = node;
  if (!drain) return null;
  const residents = inReadingOrder(residentsOf(ctx, node.id));
  const holding = residents.map((row) => ({
    instance: row.desired.instance,
    app: row.desired.app,
    appName: row.desired.appName,
    version: row.desired.version,
    reason: reasonOf(ctx, node, row),
  }));
  const { state, sinceMs, startedBy, moved } = drain;
  const remaining = residents.length + reservationsOn(ctx, node.id).length;
  return { state, sinceMs, startedBy, moved, remaining, holding };
}

function reasonOf(ctx: CellContext, node: NodeRow, { desired, state }: CellInstanceRow): string {
  const silent = node.phase === "ready" ? "" : `; the node is ${node.phase}`;
  if (state.kind === "gone") return `stopping: the node has not yet said that it stopped${silent}`;
  const held = ctx.draft.get("held", desired.instance);
  if (held) return held.reason + silent;
  if (desired.intent === "drain") return `serving out its drain${silent}`;
  return `its app was asked to move it and has not answered yet${silent}`;
}
