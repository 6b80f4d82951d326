// reserve, commit, update: how an App gets room on nodes, uses it, and gives it back.
import type { Result } from "../../contracts/failures.ts";
import type { AppId, InstanceId, NodeId } from "../../contracts/ids.ts";
import type { CommitRequest, Placement, ReserveAnswer, ReserveRequest, UpdateRequest } from "../messages.ts";
import { place } from "../placement/place.ts";
import { ok, refuse } from "../results.ts";
import type { CellContext } from "./context.ts";
import { countMoved, evacuateSoon, takeHeld } from "./evacuation.ts";
import { placementNodes } from "./ledger.ts";
import type { AppLinkRow, NodeRow } from "./types.ts";

const NEW_LINK: AppLinkRow = {
  inSeq: 0,
  answer: ok(null),
  routeVersion: 0,
  watch: false,
  outSeq: 0,
  ackedSeq: 0,
  stale: false,
};
export const linkOf = (ctx: CellContext, app: AppId): AppLinkRow => ctx.draft.get("apps", app) ?? NEW_LINK;

export function reserve(ctx: CellContext, request: ReserveRequest): Result<ReserveAnswer> {
  const known = ctx.draft.get("answers", request.key);
  if (known) return ok(known.answer);
  const { placements, refusals } = place(placementNodes(ctx), request, ctx.at.seed);
  const untilMs = ctx.nowMs + request.leaseMs;
  const granted: Placement[] = [];
  for (const { slot, node: id } of placements) {
    const node = ctx.draft.get("nodes", id)!;
    granted.push({
      instance: slot.instance,
      generation: slot.generation,
      node: id,
      nodeName: node.name,
      failureDomain: node.failureDomain,
      gatewayUrl: node.gatewayUrl,
    });
    ctx.draft.put("reservations", slot.instance, {
      key: request.key,
      app: request.app,
      node: id,
      generation: slot.generation,
      ordinal: slot.ordinal,
      resources: slot.resources,
      untilMs,
    });
  }
  const answer: ReserveAnswer = { placements: granted, refused: [...refusals] };
  if (granted.length > 0) ctx.draft.put("answers", request.key, { answer, untilMs });
  return ok(answer);
}

/** Invariant 3: a seq that was applied before gets the answer of then and changes nothing. */
function onceInOrder(ctx: CellContext, app: AppId, seq: number, apply: (link: AppLinkRow) => AppLinkRow): Result<null> {
  const link = linkOf(ctx, app);
  if (seq < link.inSeq) return ok(null);
  if (seq === link.inSeq) return link.answer;
  const after = apply(link);
  ctx.draft.put("apps", app, { ...after, inSeq: seq });
  return after.answer;
}

export function commit(ctx: CellContext, request: CommitRequest): Result<null> {
  return onceInOrder(ctx, request.app, request.seq, (link) => {
    const nodes = new Map<InstanceId, NodeRow>();
    for (const { instance, generation } of request.instances) {
      const held = ctx.draft.get("reservations", instance);
      const node = held && ctx.draft.get("nodes", held.node);
      if (!held || !node || held.generation !== generation || held.untilMs <= ctx.nowMs) {
        return { ...link, answer: refuse("conflict", `The reservation of ${instance} is no longer held.`) };
      }
      if (node.phase === "lost" || node.phase === "removed") {
        return { ...link, answer: refuse("conflict", `${node.name}, where ${instance} was to go, is ${node.phase}.`) };
      }
      nodes.set(instance, node);
    }
    for (const desired of request.instances) {
      const node = nodes.get(desired.instance)!;
      ctx.draft.drop("reservations", desired.instance);
      ctx.draft.put("instances", desired.instance, { desired, node: node.id, state: { kind: "desired" } });
      ctx.touched.add(node.id);
      // Reserved before the node was to be emptied: it goes at once.
      evacuateSoon(ctx, node.id);
    }
    return { ...tellRoute(ctx, link, request.app, request.routeVersion, link.watch), answer: ok(null) };
  });
}

export function update(ctx: CellContext, request: UpdateRequest): Result<null> {
  return onceInOrder(ctx, request.app, request.seq, (link) => {
    for (const id of request.drain) {
      const row = ctx.draft.get("instances", id);
      if (row?.state.kind !== "desired" || row.desired.app !== request.app) continue;
      ctx.draft.put("instances", id, { ...row, desired: { ...row.desired, intent: "drain" } });
      ctx.touched.add(row.node);
    }
    for (const id of request.remove) removeInstance(ctx, request.app, id);
    takeHeld(ctx, request.app, request.held);
    return { ...tellRoute(ctx, link, request.app, request.routeVersion, request.watch), answer: ok(null) };
  });
}

function removeInstance(ctx: CellContext, app: AppId, id: InstanceId): void {
  if (ctx.draft.get("reservations", id)?.app === app) ctx.draft.drop("reservations", id);
  const row = ctx.draft.get("instances", id);
  if (row?.state.kind !== "desired" || row.desired.app !== app) return;
  const node = ctx.draft.get("nodes", row.node);
  ctx.draft.drop("observed", id);
  ctx.draft.drop("held", id);
  if (!node || node.phase === "removed") {
    ctx.draft.drop("instances", id);
    return;
  }
  // The document without it is the node's next revision, made at the end of this step.
  ctx.draft.put("instances", id, { ...row, state: { kind: "gone", revision: node.revision + 1 } });
  ctx.draft.put("nodes", node.id, { ...countMoved(node), gone: [...node.gone, id] });
  ctx.touched.add(node.id);
}

/** Nodes with instances of the app hear of a newer route, and whether the app is watched. */
function tellRoute(ctx: CellContext, link: AppLinkRow, app: AppId, version: number, watch: boolean): AppLinkRow {
  const routeVersion = Math.max(link.routeVersion, version);
  if (routeVersion !== link.routeVersion || watch !== link.watch) {
    for (const node of nodesOf(ctx, app)) ctx.touched.add(node);
  }
  return { ...link, routeVersion, watch };
}

function nodesOf(ctx: CellContext, app: AppId): Set<NodeId> {
  const nodes = new Set<NodeId>();
  for (const row of ctx.draft.values("instances")) {
    if (row.desired.app === app && row.state.kind === "desired") nodes.add(row.node);
  }
  return nodes;
}
