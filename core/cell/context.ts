// What the parts of one Cell step share: the draft of its rows, its volatile memory, and what is to be done at the end.
import type { BerthEvent, EventType } from "../../contracts/events.ts";
import type { EventId, NodeId } from "../../contracts/ids.ts";
import { attemptsOf, type Attempts } from "../attempts.ts";
import { draftOf, type Draft } from "../draft.ts";
import { seqKey } from "../keys.ts";
import { layeredDraft } from "../layered.ts";
import type { Limits } from "../limits.ts";
import type { At } from "../step.ts";
import { holdingsOf, keep, type Holdings } from "./holdings.ts";
import type {
  CellCounters,
  CellDurable,
  CellEffect,
  CellRow,
  CellTables,
  CellVolatile,
  NodeBeat,
  WatchedCounts,
} from "./types.ts";

export interface CellContext {
  readonly draft: Draft<CellTables>;
  /** What the rows, with this step's writes, say by node, app and time. */
  readonly holdings: Holdings;
  readonly at: At;
  readonly nowMs: number;
  readonly limits: Limits;
  readonly attempts: Attempts;
  readonly effects: CellEffect[];
  /** Nodes whose document changes in this step; each gets one new revision at its end. */
  readonly touched: Set<NodeId>;
  windowsFromMs: number;
  /** Something that a Region should hear at once. */
  urgentSummary: boolean;
  counts: WatchedCounts;
  readonly beats: ReturnType<typeof layeredDraft<NodeId, NodeBeat>>;
  setBeat(node: NodeId, beat: NodeBeat): void;
}

export const SILENT_BEAT: NodeBeat = {
  lastHeartbeatAtMs: null,
  ackRevision: 0,
  agentVersion: "",
  used: { cpuMilli: 0, memoryBytes: 0, diskBytes: 0 },
  gatewayReady: true,
  images: [],
  lanes: { heartbeat: 0, poll: 0, ask: { highest: 0, used: [] } },
  suspectSinceMs: null,
  probesFailed: 0,
};

export function openContext(durable: CellDurable, volatile: CellVolatile, at: At, limits: Limits): CellContext {
  const beats = layeredDraft(volatile.nodes);
  const holdings = holdingsOf(durable, volatile.holdings);
  const late = volatile.wakeAtMs !== null && at.nowMs > volatile.wakeAtMs + limits.ownLagMs;
  return {
    draft: draftOf<CellTables>(durable, (table, key, before, after) => keep(holdings, table, key, before, after)),
    holdings,
    at,
    nowMs: at.nowMs,
    limits,
    attempts: attemptsOf(volatile.attempts, at.nowMs),
    effects: [],
    touched: new Set(),
    windowsFromMs: late ? at.nowMs : volatile.windowsFromMs,
    urgentSummary: false,
    counts: volatile.counts,
    beats,
    setBeat: (node, beat) => beats.set(node, beat),
  };
}

export const beatOf = (ctx: CellContext, node: NodeId): NodeBeat => ctx.beats.get(node) ?? SILENT_BEAT;

const NO_COUNTERS: CellCounters = { eventSeq: 0, deliveredSeq: 0 };
export const countersOf = (ctx: CellContext): CellCounters => ctx.draft.get("counters", "counters") ?? NO_COUNTERS;

/** The Cell's own row; every event but enrol and reads of an empty Cell has one. */
export const cellOf = (ctx: CellContext): CellRow | undefined => ctx.draft.get("cell", "cell");

/** Appends to the event log; the outbox hands it on a little later, with others. */
export function emit(
  ctx: CellContext,
  event: { type: EventType; subject: string; actor?: string; data?: Record<string, unknown> },
): void {
  const cell = cellOf(ctx);
  if (!cell) return;
  const counters = countersOf(ctx);
  if (counters.eventSeq === counters.deliveredSeq) {
    ctx.attempts.postpone("outbox", ctx.nowMs + ctx.limits.cellOutboxDelayMs);
  }
  const seq = counters.eventSeq + 1;
  const source = `cell:${cell.cell}`;
  const row: BerthEvent = {
    id: `${source}#${seq}` as EventId,
    source,
    seq,
    type: event.type,
    version: 1,
    team: null,
    subject: event.subject,
    actor: event.actor ?? "system",
    causeId: null,
    atMs: ctx.nowMs,
    data: event.data ?? {},
  };
  ctx.draft.put("counters", "counters", { ...counters, eventSeq: seq });
  ctx.draft.put("events", seqKey(seq), row);
}
