// One step of a region's agent upgrade: judge the event, move the stage, tell the Cells, and say when to look again.
import { attemptsOf } from "../attempts.ts";
import { draftOf } from "../draft.ts";
import { seqKey } from "../keys.ts";
import type { Limits } from "../limits.ts";
import { ok } from "../results.ts";
import { assertNever, type At } from "../step.ts";
import { change, start } from "./operator.ts";
import { countersOf, isOpen, rowOf, type UpgradeContext } from "./context.ts";
import { heard, handedOver, lookAtSilence, moveOn } from "./progress.ts";
import { cellsIn, nodesMaxIn } from "./stages.ts";
import type {
  UpgradeDecision,
  UpgradeDurable,
  UpgradeEvent,
  UpgradeReply,
  UpgradeRow,
  UpgradeVolatile,
} from "./types.ts";
import { upgradeView } from "./views.ts";

export function stepUpgrade(
  durable: UpgradeDurable,
  volatile: UpgradeVolatile,
  event: UpgradeEvent,
  { nowMs }: At,
  limits: Limits,
): UpgradeDecision {
  const ctx: UpgradeContext = {
    ...{ nowMs, limits, effects: [], draft: draftOf(durable) },
    attempts: attemptsOf(volatile.attempts, nowMs),
  };
  const heardAtMs = new Map(volatile.heardAtMs);
  if (event.kind === "cell_told") heardAtMs.set(event.cell, nowMs);
  const reply = answer(ctx, event);
  lookAtSilence(ctx, volatile.sinceMs, heardAtMs);
  moveOn(ctx);
  tellCells(ctx);
  drainOutbox(ctx);
  const wakeAtMs = ctx.attempts.nextAtMs();
  return {
    rowChanges: ctx.draft.changes(),
    volatile: { sinceMs: volatile.sinceMs, heardAtMs, attempts: ctx.attempts.done() },
    effects: ctx.effects,
    reply: reply === "view" ? viewNow(ctx) : event.kind === "poke" ? ok({ nextAtMs: wakeAtMs }) : reply,
    wakeAtMs,
  };
}

/** view: the upgrade as it is at the end of the step. */
function answer(ctx: UpgradeContext, event: UpgradeEvent): UpgradeReply | "view" {
  switch (event.kind) {
    case "start":
      return start(ctx, event.input, event.cells) ?? "view";
    case "change":
      return change(ctx, event.input) ?? "view";
    case "read":
      return "view";
    case "cell_told":
      heard(ctx, event.cell, event.view);
      return null;
    case "cell_silent":
      ctx.attempts.failed(`cell:${event.cell}`, ctx.limits.callRetryMs, ctx.limits.callRetryMaxMs);
      return null;
    case "handed_over":
      handedOver(ctx, event.attempt, event.refusal);
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

function viewNow(ctx: UpgradeContext): UpgradeReply {
  const row = rowOf(ctx);
  return ok(row ? upgradeView(ctx, row) : null);
}

/** Each cell of the stage is asked at once where the word is new, and every few seconds while it is on its way. */
function tellCells(ctx: UpgradeContext): void {
  const row = rowOf(ctx);
  if (!row) return;
  const open = isOpen(row);
  const wanted = open ? cellsIn(row, ctx.limits) : row.unclosed;
  const keys = new Set(wanted.map((cell) => `cell:${cell}`));
  for (const key of [...ctx.attempts.keys()]) if (key.startsWith("cell:") && !keys.has(key)) ctx.attempts.settle(key);
  for (const cell of wanted) {
    if (!ctx.attempts.claim(`cell:${cell}`, ctx.limits.callTimeoutMs, ctx.limits.callRetryMaxMs)) continue;
    const { attempt, seq, version, manifest } = row;
    const request = { attempt, seq, version, manifest, nodesMax: nodesMaxIn(row), closed: !open };
    ctx.effects.push({ kind: "tell_cell", cell, request });
  }
  handOver(ctx, row);
}

function handOver(ctx: UpgradeContext, row: UpgradeRow): void {
  const [region, ...next] = row.next;
  if (!row.handOver || region === undefined) return ctx.attempts.settle("hand_over");
  if (!ctx.attempts.claim("hand_over", ctx.limits.callTimeoutMs, ctx.limits.callRetryMaxMs)) return;
  const { attempt, version, manifest, startedBy: actor } = row;
  ctx.effects.push({ kind: "hand_over", input: { region, attempt, version, manifest, actor, next } });
}

function drainOutbox(ctx: UpgradeContext): void {
  const row = rowOf(ctx);
  const { eventSeq, deliveredSeq } = countersOf(ctx);
  const { outboxRetryMs, outboxRetryMaxMs, outboxBatchMax } = ctx.limits;
  if (!row || eventSeq === deliveredSeq) return;
  if (!ctx.attempts.claim("outbox", outboxRetryMs, outboxRetryMaxMs)) return;
  const events = [];
  for (let seq = deliveredSeq + 1; seq <= Math.min(eventSeq, deliveredSeq + outboxBatchMax); seq += 1) {
    const event = ctx.draft.get("upgradeEvents", seqKey(seq));
    if (event) events.push(event);
  }
  ctx.effects.push({ kind: "drain_outbox", source: `region:${row.region}`, events });
}

function outboxAcked(ctx: UpgradeContext, lastSeq: number): void {
  const counters = countersOf(ctx);
  const delivered = Math.min(lastSeq, counters.eventSeq);
  for (let seq = counters.deliveredSeq + 1; seq <= delivered; seq += 1) ctx.draft.drop("upgradeEvents", seqKey(seq));
  if (delivered > counters.deliveredSeq) {
    ctx.draft.put("upgradeCounters", "counters", { ...counters, deliveredSeq: delivered });
    ctx.attempts.settle("outbox");
  } else ctx.attempts.failed("outbox", ctx.limits.outboxRetryMs, ctx.limits.outboxRetryMaxMs);
}
