// One step of a Cell: judge the event, then look again at leases, messages, the outbox and documents.
import { earliest } from "../attempts.ts";
import { adoptionWakeAtMs, isAdopting, isWithheld, watchAdoption, whileAdopting } from "./adoption.ts";
import { seqKey } from "../keys.ts";
import { ok, refuse } from "../results.ts";
import type { Limits } from "../limits.ts";
import { assertNever, type At } from "../step.ts";
import { cellOf, countersOf, openContext, type CellContext } from "./context.ts";
import { fenceWakeAtMs, watchFences } from "./fencing.ts";
import { dropExpired, reservationWakeAtMs, reserve } from "./reservations.ts";
import { gatewayProbed, leaseWakeAtMs, watchLeases } from "./leases.ts";
import { acknowledge, deliverDue, deliveryKey } from "./messages.ts";
import { watchDrains } from "./evacuation.ts";
import { forget } from "./forgetting.ts";
import { heartbeat } from "./heartbeat.ts";
import { admit, enrol, nameNode } from "./nodes.ts";
import { relay } from "./relays.ts";
import { cordon, drain, uncordon } from "./operator.ts";
import { placeClaimed, placeReleased, settlePlaces } from "./places.ts";
import { rebalance, watchRebalance } from "./rebalance.ts";
import { needSnapshot, remove, revoke } from "./removal.ts";
import { resendIfStale } from "./resend.ts";
import { commit, update } from "./placements.ts";
import { upgrade, watchUpgrade } from "./upgrade.ts";
import type { CellDecision, CellDurable, CellEvent, CellReplies, CellReply, CellVolatile } from "./types.ts";
import { rosterOf } from "./roster.ts";
import { instanceViews, nodeViews, summaryOf } from "./views.ts";

export function stepCell<Event extends CellEvent>(
  durable: CellDurable,
  volatile: CellVolatile,
  event: Event,
  at: At,
  limits: Limits,
): CellDecision<Event["kind"]> {
  const ctx = openContext(durable, volatile, at, limits);
  dropExpired(ctx);
  const reply = whileAdopting(ctx, event) ?? answer(ctx, event);
  watchAdoption(ctx);
  if (!isAdopting(cellOf(ctx))) {
    watchLeases(ctx);
    watchFences(ctx);
  }
  watchDrains(ctx);
  watchRebalance(ctx);
  watchUpgrade(ctx);
  settlePlaces(ctx);
  const sweptAtMs = forget(ctx, volatile.sweptAtMs);
  deliverDue(ctx);
  drainOutbox(ctx);
  publishDocuments(ctx);
  const summary = reportSummary(ctx, volatile);
  const wakeAtMs = earliest(
    adoptionWakeAtMs(ctx),
    leaseWakeAtMs(ctx),
    fenceWakeAtMs(ctx),
    reservationWakeAtMs(ctx),
    ctx.attempts.nextAtMs(),
  );
  return {
    rowChanges: ctx.draft.changes(),
    volatile: {
      windowsFromMs: ctx.windowsFromMs,
      nodes: ctx.beats.done(),
      attempts: ctx.attempts.done(),
      summary,
      wakeAtMs,
      sweptAtMs,
      counts: ctx.counts,
      holdings: { holdings: ctx.holdings, version: ctx.holdings.version },
    },
    effects: ctx.effects,
    reply: (event.kind === "poke" ? ok({ nextAtMs: wakeAtMs }) : reply) as CellReply<Event["kind"]>,
    wakeAtMs,
  };
}

function answer(ctx: CellContext, event: CellEvent): CellReplies[keyof CellReplies] | null {
  switch (event.kind) {
    case "enrol":
      return enrol(ctx, event.input);
    case "heartbeat":
      return heartbeat(ctx, event.input);
    case "admit":
      return admit(ctx, event.input);
    case "relay":
      return relay(ctx, event.input);
    case "nameNode":
      return nameNode(ctx, event.input);
    case "reserve":
      return reserve(ctx, event.input);
    case "commit":
      return commit(ctx, event.input);
    case "update":
      return update(ctx, event.input);
    case "cordon":
      return cordon(ctx, event.input);
    case "uncordon":
      return uncordon(ctx, event.input);
    case "drain":
      return drain(ctx, event.input);
    case "remove":
      return remove(ctx, event.input);
    case "revoke":
      return revoke(ctx, event.input);
    case "upgrade":
      return upgrade(ctx, event.input);
    case "rebalance":
      return rebalance(ctx, event.input);
    case "needSnapshot":
      return needSnapshot(ctx, event.input);
    case "nodeInstances":
    case "listNodes":
    case "readNode":
    case "summary":
    case "roster":
      return read(ctx, event);
    case "delivered":
      acknowledge(ctx, event.app, event.ackSeq);
      resendIfStale(ctx, event.app);
      return null;
    case "delivery_failed":
      ctx.attempts.failed(deliveryKey(event.app), ctx.limits.callRetryMs, ctx.limits.callRetryMaxMs);
      return null;
    case "place_claimed":
      placeClaimed(ctx, event.node);
      return null;
    case "place_released":
      placeReleased(ctx, event.node);
      return null;
    case "gateway_probed":
      gatewayProbed(ctx, event.node, event.answered);
      return null;
    case "outbox_acked":
      outboxAcked(ctx, event.lastSeq);
      return null;
    case "outbox_failed":
      ctx.attempts.failed("outbox", ctx.limits.outboxRetryMs, ctx.limits.outboxRetryMaxMs);
      return null;
    case "poke":
    case "tick":
      return null;
    default:
      return assertNever(event);
  }
}

type ReadEvent = Extract<CellEvent, { kind: "listNodes" | "readNode" | "nodeInstances" | "summary" | "roster" }>;

function read(ctx: CellContext, event: ReadEvent): CellReplies[ReadEvent["kind"]] {
  const cell = cellOf(ctx);
  if (event.kind === "listNodes") return ok({ items: cell ? nodeViews(ctx, cell) : [] });
  if (event.kind === "roster") return ok(rosterOf(ctx));
  if (!cell) return refuse("not_found", "This cell has no nodes.");
  if (event.kind === "summary") return ok(summaryOf(ctx, cell));
  const [node] = nodeViews(ctx, cell, event.input.node);
  if (node && event.kind === "nodeInstances") return ok({ items: instanceViews(ctx, node.id) });
  return node ? ok(node) : refuse("not_found", "This cell does not know the node.");
}

/** Each touched node gets one new revision and hears of it; its document is complete, so a lost wake-up costs only time. */
function publishDocuments(ctx: CellContext): void {
  for (const id of ctx.touched) {
    const before = ctx.draft.get("nodes", id);
    if (!before || before.phase === "removed" || isWithheld(cellOf(ctx), before)) continue;
    const node = { ...before, revision: before.revision + 1 };
    ctx.draft.put("nodes", id, node);
    ctx.effects.push({ kind: "wake_node", node: id, revision: node.revision });
  }
}

function drainOutbox(ctx: CellContext): void {
  const cell = cellOf(ctx);
  const { eventSeq, deliveredSeq } = countersOf(ctx);
  const { outboxRetryMs, outboxRetryMaxMs, outboxBatchMax } = ctx.limits;
  if (!cell || eventSeq === deliveredSeq || !ctx.attempts.claim("outbox", outboxRetryMs, outboxRetryMaxMs)) return;
  const events = [];
  for (let seq = deliveredSeq + 1; seq <= Math.min(eventSeq, deliveredSeq + outboxBatchMax); seq += 1) {
    const event = ctx.draft.get("events", seqKey(seq));
    if (event) events.push(event);
  }
  ctx.effects.push({ kind: "drain_outbox", source: `cell:${cell.cell}`, events });
}

/** Nobody streams a Cell's events from the Cell, so what Postgres has is forgotten here. */
function outboxAcked(ctx: CellContext, lastSeq: number): void {
  const counters = countersOf(ctx);
  const delivered = Math.min(lastSeq, counters.eventSeq);
  if (delivered > counters.deliveredSeq) {
    for (let seq = counters.deliveredSeq + 1; seq <= delivered; seq += 1) ctx.draft.drop("events", seqKey(seq));
    ctx.draft.put("counters", "counters", { ...counters, deliveredSeq: delivered });
  } else if (counters.eventSeq > counters.deliveredSeq) {
    // A sink that knows less than it once acknowledged (restored from a backup) is not asked again in a loop.
    return ctx.attempts.failed("outbox", ctx.limits.outboxRetryMs, ctx.limits.outboxRetryMaxMs);
  }
  ctx.attempts.settle("outbox");
}

/** An urgent summary that waits for its turn. */
const SUMMARY = "summary";

/** Tells the Region when nodes come and go, at other times seldom and only of news. */
function reportSummary(ctx: CellContext, volatile: CellVolatile): CellVolatile["summary"] {
  const cell = cellOf(ctx);
  const told = volatile.summary;
  if (!cell) return told;
  const owed = ctx.urgentSummary || ctx.attempts.tries(SUMMARY) > 0;
  if (told && ctx.nowMs < told.atMs + (owed ? ctx.limits.urgentSummaryMs : ctx.limits.summaryIntervalMs)) {
    if (ctx.urgentSummary) ctx.attempts.claim(SUMMARY, told.atMs + ctx.limits.urgentSummaryMs - ctx.nowMs, 0);
    return told;
  }
  ctx.attempts.settle(SUMMARY);
  const summary = summaryOf(ctx, cell);
  ctx.effects.push({ kind: "report_summary", region: cell.region, summary });
  return summary;
}
