// reserve: room on nodes, held for an App until it commits, gives it back, or lets the lease run out.
import type { Result } from "../../contracts/failures.ts";
import type { NodeId } from "../../contracts/ids.ts";
import { earliestDue, type Due } from "../heap.ts";
import type { Placement, ReserveAnswer, ReserveRequest, ReserveSlot } from "../messages.ts";
import { awayFromKey } from "../placement/types.ts";
import { ok } from "../results.ts";
import { withDetail } from "./availability.ts";
import type { CellContext } from "./context.ts";
import { placementPool, slotsLeft } from "./ledger.ts";
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
  const { team, appName, occupied } = request;
  const asked = { slots: open, occupied, ...(team ? { team, appName } : {}), slotsMax: slotsLeft(ctx) };
  const { placements, refusals } = placementPool(ctx).place(asked);
  const untilMs = ctx.nowMs + request.leaseMs;
  for (const { slot, node } of placements) {
    granted.push(placementOf(ctx, slot, node));
    hold(ctx, request, slot, node, untilMs);
  }
  const refused = refusals.map(({ instance, refusal }) => ({ instance, refusal: withDetail(ctx, refusal) }));
  const answer: ReserveAnswer = { placements: granted, refused };
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
  for (let due = nextEnd(ctx); due && due.atMs <= ctx.nowMs; due = nextEnd(ctx))
    ctx.draft.drop("reservations", due.key);
  const { answerEnds } = ctx.holdings;
  const isMeant = ({ atMs, key }: Due) => ctx.draft.get("answers", key)?.untilMs === atMs;
  for (
    let due = earliestDue(answerEnds, isMeant);
    due && due.atMs <= ctx.nowMs;
    due = earliestDue(answerEnds, isMeant)
  ) {
    ctx.draft.drop("answers", due.key);
  }
}

const nextEnd = (ctx: CellContext): Due | undefined =>
  earliestDue(ctx.holdings.reservationEnds, ({ atMs, key }) => ctx.draft.get("reservations", key)?.untilMs === atMs);

/** By alarm, so that room is not held until something else happens here. */
export const reservationWakeAtMs = (ctx: CellContext): number | null => nextEnd(ctx)?.atMs ?? null;
