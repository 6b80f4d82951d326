// reserve: room on nodes, held for an App until it commits, gives it back, or lets the lease run out.
import type { Result } from "../../contracts/failures.ts";
import type { NodeId } from "../../contracts/ids.ts";
import { earliest } from "../attempts.ts";
import type { Placement, ReserveAnswer, ReserveRequest, ReserveSlot } from "../messages.ts";
import { place } from "../placement/place.ts";
import { awayFromKey } from "../placement/types.ts";
import { ok } from "../results.ts";
import type { CellContext } from "./context.ts";
import { placementNodes, slotsLeft } from "./ledger.ts";
import type { Wants } from "./types.ts";

/** All slots, some or none. The same key gets the same answer for as long as the room it names is held. */
export function reserve(ctx: CellContext, request: ReserveRequest): Result<ReserveAnswer> {
  const known = ctx.draft.get("answers", request.key);
  if (known) return ok(known.answer);
  const granted: Placement[] = [];
  const open: ReserveSlot[] = [];
  for (const slot of request.slots) {
    const row = ctx.draft.get("instances", slot.instance);
    // A repetition that comes after everything was settled: it holds its room already.
    if (row?.state.kind === "desired") granted.push(placementOf(ctx, slot, row.node));
    else open.push(slot);
    // Asked for anew under another key: the earlier answer counts no more.
    ctx.draft.drop("reservations", slot.instance);
  }
  const { team, occupied } = request;
  const asked = { slots: open, occupied, ...(team ? { team } : {}), slotsMax: slotsLeft(ctx) };
  const { placements, refusals } = place(placementNodes(ctx), asked, ctx.at.seed);
  const untilMs = ctx.nowMs + request.leaseMs;
  for (const { slot, node } of placements) {
    granted.push(placementOf(ctx, slot, node));
    hold(ctx, request, slot, node, untilMs);
  }
  const answer: ReserveAnswer = { placements: granted, refused: [...refusals] };
  if (placements.length > 0) ctx.draft.put("answers", request.key, { answer, untilMs });
  return ok(answer);
}

function hold(ctx: CellContext, request: ReserveRequest, slot: ReserveSlot, node: NodeId, untilMs: number): void {
  const { key, app, team, appName } = request;
  ctx.draft.put("reservations", slot.instance, {
    key,
    app,
    node,
    generation: slot.generation,
    ordinal: slot.ordinal,
    resources: slot.resources,
    untilMs,
    hostPorts: slot.placement?.hostPorts ?? [],
    wants: wantsOf(slot),
    awayKey: team && appName ? awayFromKey(team, appName) : null,
  });
}

/** Image and default policy are left out where there is nothing to say: a cell holds thousands of these. */
const wantsOf = ({ runtimes, placement, image }: ReserveSlot): Wants => ({
  runtimes,
  ...(placement ? { placement } : {}),
  ...(image ? { image } : {}),
});

function placementOf(ctx: CellContext, { instance, generation }: ReserveSlot, id: NodeId): Placement {
  const { name: nodeName, failureDomain, gatewayUrl } = ctx.draft.get("nodes", id)!;
  return { instance, generation, node: id, nodeName, failureDomain, gatewayUrl };
}

/** Reservations nobody committed in time, and answers that belonged to them. */
export function dropExpired(ctx: CellContext): void {
  for (const [instance, { untilMs }] of ctx.draft.entries("reservations")) {
    if (untilMs <= ctx.nowMs) ctx.draft.drop("reservations", instance);
  }
  for (const [key, { untilMs }] of ctx.draft.entries("answers")) {
    if (untilMs <= ctx.nowMs) ctx.draft.drop("answers", key);
  }
}

/** By alarm, so that room is not held until something else happens here. */
export function reservationWakeAtMs(ctx: CellContext): number | null {
  let next: number | null = null;
  for (const { untilMs } of ctx.draft.values("reservations")) next = earliest(next, untilMs);
  return next;
}
