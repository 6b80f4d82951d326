// What the parts of one App step share: the draft of its rows, which effects are out, and when to look again.
import type { BerthEvent, EventType } from "../../contracts/events.ts";
import type { EventId } from "../../contracts/ids.ts";
import { attemptsOf, earliest, type Attempts } from "../attempts.ts";
import { draftOf, type Draft } from "../draft.ts";
import { idsOf } from "../ids.ts";
import { seqKey } from "../keys.ts";
import type { Limits } from "../limits.ts";
import type { RolloutRow } from "../rollout/types.ts";
import type { At } from "../step.ts";
import type { AppCounters, AppDurable, AppEffect, AppRow, AppTables, AppVolatile, InstanceRow } from "./types.ts";

export interface AppContext {
  readonly draft: Draft<AppTables>;
  readonly at: At;
  readonly nowMs: number;
  readonly limits: Limits;
  readonly attempts: Attempts;
  readonly effects: AppEffect[];
  readonly mint: <Id extends string>(prefix: string) => Id;
  /** What gateways counted: volatile, so that a restart loses a few seconds of it. */
  readonly counts: { -readonly [Part in "countedFor" | "readings" | "uncounted"]?: AppVolatile[Part] };
  /** Who is behind what this step does: the actor of its events. */
  actor: string;
  /** Keys of attempts that something still wants; the others are forgotten at the end. */
  readonly wanted: Set<string>;
  /** Look again at this time at the latest. */
  wakeBy(timeMs: number | null): void;
  wakeAtMs(): number | null;
}

export function openContext(durable: AppDurable, volatile: AppVolatile, at: At, limits: Limits): AppContext {
  let wake: number | null = null;
  return {
    draft: draftOf(durable),
    at,
    nowMs: at.nowMs,
    limits,
    attempts: attemptsOf(volatile.attempts, at.nowMs),
    effects: [],
    counts: { countedFor: volatile.countedFor, readings: volatile.readings, uncounted: volatile.uncounted },
    mint: idsOf(at),
    actor: "system",
    wanted: new Set(),
    wakeBy(timeMs) {
      wake = earliest(wake, timeMs);
    },
    wakeAtMs: () => wake,
  };
}

const NO_COUNTERS: AppCounters = { eventSeq: 0, deliveredSeq: 0, prunedSeq: 0, releaseVersion: 0, callSeq: 0 };
export const countersOf = (ctx: AppContext): AppCounters => ctx.draft.get("counters", "counters") ?? NO_COUNTERS;
export function count(ctx: AppContext, change: Partial<AppCounters>): void {
  ctx.draft.put("counters", "counters", { ...countersOf(ctx), ...change });
}

/** The App's own row. Every event but create is refused before here when there is none. */
export function appOf(ctx: AppContext): AppRow {
  const app = ctx.draft.get("app", "app");
  if (!app) throw new Error("this App object was stepped before it was created");
  return app;
}
export function changeApp(ctx: AppContext, change: Partial<AppRow>): AppRow {
  const app = { ...appOf(ctx), ...change };
  ctx.draft.put("app", "app", app);
  return app;
}

export function activeRollout(ctx: AppContext): RolloutRow | null {
  const { rollout } = appOf(ctx);
  return rollout ? (ctx.draft.get("rollouts", rollout) ?? null) : null;
}

export function changeInstance(ctx: AppContext, row: InstanceRow, change: Partial<InstanceRow>): InstanceRow {
  const changed = { ...row, ...change };
  ctx.draft.put("instances", row.id, changed);
  return changed;
}

/** Appends to the event log; the outbox hands it on a little later, with others. */
export function emit(
  ctx: AppContext,
  event: { type: EventType; subject: string; actor?: string; causeId?: string | null; data?: Record<string, unknown> },
): void {
  const { app, team } = appOf(ctx);
  const counters = countersOf(ctx);
  if (counters.eventSeq === counters.deliveredSeq) {
    ctx.attempts.postpone("outbox", ctx.nowMs + ctx.limits.outboxDelayMs);
  }
  const seq = counters.eventSeq + 1;
  const source = `app:${app}`;
  const row: BerthEvent = {
    id: `${source}#${seq}` as EventId,
    source,
    seq,
    type: event.type,
    version: 1,
    team,
    subject: event.subject,
    actor: event.actor ?? ctx.actor,
    causeId: event.causeId ?? null,
    atMs: ctx.nowMs,
    data: event.data ?? {},
  };
  count(ctx, { eventSeq: seq });
  ctx.draft.put("events", seqKey(seq), row);
}
