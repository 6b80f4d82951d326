// commit, update: how an App uses the room that it reserved, and gives it back.
import type { DesiredInstance, DrainSpan } from "../../contracts/desired.ts";
import type { Result } from "../../contracts/failures.ts";
import type { AppId, InstanceId, NodeId } from "../../contracts/ids.ts";
import type { CommitRequest, UpdateRequest } from "../messages.ts";
import { ok, refuse } from "../results.ts";
import type { CellContext } from "./context.ts";
import { departAll } from "./departures.ts";
import { evacuateSoon, takeHeld } from "./evacuation.ts";
import { openLease } from "./fencing.ts";
import { linkOf } from "./links.ts";
import type { NodeRow } from "./types.ts";

/** Invariant 3: a seq that was applied before gets the answer of then and changes nothing. */
function onceInOrder(ctx: CellContext, app: AppId, seq: number, apply: () => Result<null>): Result<null> {
  const link = linkOf(ctx, app);
  if (seq < link.inSeq) return ok(null);
  if (seq === link.inSeq) return link.answer;
  const answer = apply();
  // Read anew: what was applied may have told the App something.
  ctx.draft.put("apps", app, { ...linkOf(ctx, app), inSeq: seq, answer });
  return answer;
}

export function commit(ctx: CellContext, request: CommitRequest): Result<null> {
  return onceInOrder(ctx, request.app, request.seq, () => {
    const nodes = new Map<InstanceId, NodeRow>();
    for (const { instance, generation } of request.instances) {
      const held = ctx.draft.get("reservations", instance);
      const node = held && ctx.draft.get("nodes", held.node);
      if (!held || !node || held.app !== request.app || held.generation !== generation) {
        return refuse("conflict", `The reservation of ${instance} is no longer held.`);
      }
      if (node.phase === "lost" || node.phase === "removed") {
        return refuse("conflict", `${node.name}, where ${instance} was to go, is ${node.phase}.`);
      }
      nodes.set(instance, node);
    }
    for (const desired of request.instances) place(ctx, desired, nodes.get(desired.instance)!);
    tellRoute(ctx, request.app, request.routeVersion, linkOf(ctx, request.app).watch);
    return ok(null);
  });
}

function place(ctx: CellContext, desired: DesiredInstance, node: NodeRow): void {
  const wants = ctx.draft.get("reservations", desired.instance)?.wants;
  ctx.draft.drop("reservations", desired.instance);
  const row = { desired, node: node.id, state: { kind: "desired" as const }, ...(wants ? { wants } : {}) };
  ctx.draft.put("instances", desired.instance, row);
  ctx.touched.add(node.id);
  // Reserved before the node was to be emptied: it goes at once.
  evacuateSoon(ctx, node.id);
  if (desired.singleton === "strict") openLease(ctx, node.id);
}

export function update(ctx: CellContext, request: UpdateRequest): Result<null> {
  return onceInOrder(ctx, request.app, request.seq, () => {
    intend(ctx, request.app, request.drain, "drain", request.drainSpans);
    intend(ctx, request.app, request.run ?? [], "run");
    departAll(ctx, request);
    takeHeld(ctx, request.app, request.held);
    tellRoute(ctx, request.app, request.routeVersion, request.watch);
    return ok(null);
  });
}

/** What has been taken out of its document stays out: a stop is final. */
function intend(
  ctx: CellContext,
  app: AppId,
  ids: readonly InstanceId[],
  intent: "run" | "drain",
  spans: readonly DrainSpan[] = [],
): void {
  for (const [index, id] of ids.entries()) {
    const row = ctx.draft.get("instances", id);
    if (row?.state.kind !== "desired" || row.desired.app !== app || row.desired.intent === intent) continue;
    ctx.draft.put("instances", id, { ...row, desired: { ...row.desired, intent, drainSpan: spans[index] } });
    ctx.touched.add(row.node);
  }
}

/** Nodes with instances of the app hear of a newer route, and whether the app is watched. */
function tellRoute(ctx: CellContext, app: AppId, version: number, watch: boolean): void {
  const link = linkOf(ctx, app);
  const routeVersion = Math.max(link.routeVersion, version);
  if (routeVersion === link.routeVersion && watch === link.watch) return;
  for (const node of nodesOf(ctx, app)) ctx.touched.add(node);
  ctx.draft.put("apps", app, { ...link, routeVersion, watch });
}

function nodesOf(ctx: CellContext, app: AppId): Set<NodeId> {
  const nodes = new Set<NodeId>();
  for (const row of ctx.holdings.ofApp.get(app)?.values() ?? []) if (row.state.kind === "desired") nodes.add(row.node);
  return nodes;
}
