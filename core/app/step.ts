// One step of an App: take the event in, then look again at everything that follows from the rows.
import type { Result } from "../../contracts/failures.ts";
import { earliest } from "../attempts.ts";
import type { Limits } from "../limits.ts";
import { ok, refuse } from "../results.ts";
import { assertNever, type At } from "../step.ts";
import { callAttempt, closeCall, committed, sendCalls, syncCells, updated } from "./calls.ts";
import { readDraft } from "./references.ts";
import { readSealed, rewrap } from "./sealed.ts";
import { acceptRelease, changeEnvironment, restart, rollback, scale } from "./changes.ts";
import { controlRollout } from "./control.ts";
import { appOf, countersOf, openContext, type AppContext } from "./context.ts";
import { deliver } from "./deliver.ts";
import { forgetThePast, outboxAcked, routeWritten, runEffects } from "./effects.ts";
import { isNews, lookAtHealth, probed, reportUnreachable } from "./health.ts";
import { closeHolding, openHolding, tellHolding } from "./holding.ts";
import { once } from "./idempotency.ts";
import { counted } from "./judging.ts";
import { create, destroy, finishDestroying, hostAnswered, setMaintenance } from "./lifecycle.ts";
import { askRegion } from "./cells.ts";
import { findRoom, reserved } from "./placing.ts";
import { environment, listEvents, listInstances, listReleases, listRollouts, readRollout } from "./reads.ts";
import { reconcile } from "./reconcile.ts";
import { dismissForeign, isRestoring, refusalWhileRestoring } from "./restoring.ts";
import { lookAtRollout } from "./rollouts.ts";
import { routeOf, updateRoute } from "./route.ts";
import { setTraffic } from "./traffic.ts";
import type {
  AppDecision,
  AppDurable,
  AppEvent,
  AppInputs,
  AppMethodEvent,
  AppOutcome,
  AppReplies,
  AppReply,
  AppVolatile,
} from "./types.ts";
import { appView } from "./views.ts";

export function stepApp<Event extends AppEvent>(
  durable: AppDurable,
  volatile: AppVolatile,
  event: Event,
  at: At,
  limits: Limits,
): AppDecision<Event["kind"]> {
  const ctx = openContext(durable, volatile, at, limits);
  if (!ctx.draft.get("app", "app") && event.kind !== "create") return unknownApp(event, volatile);
  // A question changes nothing, so that nothing need be looked at again; unless time has passed by unseen.
  const { wakeAtMs: known } = volatile;
  if ((isRead(event) || isOldNews(ctx, event)) && known !== "unknown" && (known === null || known > at.nowMs)) {
    return decision(ctx, event, answer(ctx, event), volatile, known);
  }
  const eventSeqBefore = countersOf(ctx).eventSeq;
  const before = openHolding(ctx, event);
  const answered = isMethod(event) ? answer(ctx, event) : (takeOutcome(ctx, event), null);
  const reply = before ? closeHolding(ctx, before, answered) : answered;
  // Nothing of it is kept; only the time has passed.
  if (isGrowth(reply)) {
    const kept = stepApp(durable, volatile, { kind: "tick" }, at, limits);
    return { ...kept, reply: reply as AppReply<Event["kind"]> };
  }
  // A create that was refused leaves no app to look after.
  if (ctx.draft.get("app", "app")) {
    lookAgain(ctx, event);
    runEffects(ctx, eventSeqBefore);
  }
  const wakeAtMs = earliest(ctx.wakeAtMs(), ctx.attempts.nextAtMs());
  return decision(ctx, event, reply, { attempts: ctx.attempts.done(), wakeAtMs, ...ctx.counts }, wakeAtMs);
}

function decision<Event extends AppEvent>(
  ctx: AppContext,
  event: Event,
  reply: AppReplies[keyof AppReplies] | null,
  volatile: AppVolatile,
  wakeAtMs: number | null,
): AppDecision<Event["kind"]> {
  return {
    rowChanges: ctx.draft.changes(),
    volatile,
    effects: ctx.effects,
    reply: (event.kind === "poke" ? ok({ nextAtMs: wakeAtMs }) : reply) as AppReply<Event["kind"]>,
    wakeAtMs,
  };
}

function lookAgain(ctx: AppContext, event: AppEvent): void {
  if (isRestoring(ctx)) return;
  const { rollout, regions } = appOf(ctx);
  const results = event.kind === "verified" && event.input.rollout === rollout ? event.input.results : null;
  if (results) ctx.attempts.postpone(`verify:${rollout}`, ctx.nowMs + ctx.limits.verifyRetryMs);
  if (event.kind === "create") for (const region of regions) askRegion(ctx, region);
  reconcile(ctx);
  if (lookAtRollout(ctx, results)) reconcile(ctx);
  if (lookAtHealth(ctx)) reconcile(ctx);
  updateRoute(ctx);
  findRoom(ctx);
  dismissForeign(ctx);
  syncCells(ctx);
  sendCalls(ctx);
  finishDestroying(ctx);
  forgetThePast(ctx);
}

const READS = [
  "read",
  "listReleases",
  "readRollout",
  "listRollouts",
  "listInstances",
  "route",
  "listEvents",
  "environment",
  "readSealed",
  "readDraft",
] as const;
type ReadEvent = Extract<AppEvent, { kind: (typeof READS)[number] }>;
const isRead = (event: AppEvent): event is ReadEvent => (READS as readonly string[]).includes(event.kind);
const isOldNews = (ctx: AppContext, event: AppEvent): event is Extract<AppEvent, { kind: "reportUnreachable" }> =>
  event.kind === "reportUnreachable" && !isNews(ctx, event.input);
const isMethod = (event: AppEvent): event is AppMethodEvent => "input" in event;

function unknownApp<Event extends AppEvent>(event: Event, volatile: AppVolatile): AppDecision<Event["kind"]> {
  const known = isMethod(event) && event.kind !== "counted" ? refuse("not_found", "There is no such app.") : null;
  const reply = event.kind === "deliver" ? { ackSeq: ackOfUnknown(event.input) } : known;
  return { rowChanges: [], volatile, effects: [], reply: reply as AppReply<Event["kind"]>, wakeAtMs: null };
}

/** A Cell that owes messages to an app that never was may forget them; but this one is perhaps not restored yet. */
function ackOfUnknown({ messages, ackedSeq = 0 }: AppInputs["deliver"]): number {
  return messages.some(({ kind }) => kind === "restored") ? ackedSeq : (messages.at(-1)?.seq ?? 0);
}

type Reply = AppReplies[keyof AppReplies];
const isGrowth = (reply: Reply): boolean =>
  reply !== null && "ok" in reply && !reply.ok && reply.failure.growth !== undefined;

function answer(ctx: AppContext, event: AppMethodEvent): Reply {
  const refused = refusalWhileRestoring(ctx, event.kind);
  if (refused) return refused;
  switch (event.kind) {
    case "create":
      return once(ctx, event.kind, event.input, () => create(ctx, event.input));
    case "destroy":
      return once(ctx, event.kind, event.input, () => destroy(ctx));
    case "acceptRelease":
      return once(ctx, event.kind, event.input, () => live(ctx) ?? acceptRelease(ctx, event.input));
    case "rollback":
      return once(ctx, event.kind, event.input, () => live(ctx) ?? rollback(ctx, event.input));
    case "scale":
      return once(ctx, event.kind, event.input, () => live(ctx) ?? scale(ctx, event.input));
    case "restart":
      return once(ctx, event.kind, event.input, () => live(ctx) ?? restart(ctx, event.input));
    case "changeEnvironment":
      return once(ctx, event.kind, event.input, () => live(ctx) ?? changeEnvironment(ctx, event.input));
    case "controlRollout":
      return once(ctx, event.kind, event.input, () => live(ctx) ?? controlRollout(ctx, event.input));
    case "setTraffic":
      return once(ctx, event.kind, event.input, () => live(ctx) ?? setTraffic(ctx, event.input));
    case "setMaintenance":
      return once(ctx, event.kind, event.input, () => live(ctx) ?? setMaintenance(ctx, event.input));
    case "counted":
      counted(ctx, event.input);
      return null;
    case "deliver":
      return deliver(ctx, event.input);
    case "reportUnreachable":
      return reportUnreachable(ctx, event.input);
    case "holding":
      return ok(tellHolding(ctx, event.input));
    case "rewrap":
      return rewrap(ctx, event.input);
    case "verified":
    case "poke":
      return ok(null);
    default:
      return answerRead(ctx, event);
  }
}

function answerRead(ctx: AppContext, event: ReadEvent): Reply {
  switch (event.kind) {
    case "read":
      return ok(appView(ctx));
    case "route":
      return ok(routeOf(ctx).route);
    case "listReleases":
      return listReleases(ctx, event.input);
    case "readRollout":
      return readRollout(ctx, event.input);
    case "listRollouts":
      return listRollouts(ctx, event.input);
    case "listInstances":
      return listInstances(ctx, event.input);
    case "listEvents":
      return listEvents(ctx, event.input);
    case "environment":
      return environment(ctx, event.input);
    case "readDraft":
      return readDraft(ctx, event.input);
    case "readSealed":
      return readSealed(ctx, event.input);
    default:
      return assertNever(event);
  }
}

const live = (ctx: AppContext): Result<never> | null =>
  appOf(ctx).phase === "live" ? null : refuse("gone", "The app was destroyed.");

function takeOutcome(ctx: AppContext, event: AppOutcome): void {
  const { callRetryMs, callRetryMaxMs, outboxRetryMs, outboxRetryMaxMs, verifyRetryMs, verifyTimeoutMs } = ctx.limits;
  switch (event.kind) {
    case "reserved":
    case "committed":
    case "updated":
      return takeAnswer(ctx, event);
    case "call_failed":
      return ctx.attempts.failed(callAttempt(event.call), callRetryMs, callRetryMaxMs);
    case "cells_known":
      ctx.draft.put("regions", event.region, { cells: event.items, atMs: ctx.nowMs });
      return ctx.attempts.settle(`region:${event.region}`);
    case "region_failed":
      return ctx.attempts.failed(`region:${event.region}`, callRetryMs, callRetryMaxMs);
    case "route_written":
      return routeWritten(ctx, event.version);
    case "route_failed":
      return ctx.attempts.failed("route", callRetryMs, callRetryMaxMs);
    case "outbox_acked":
      return outboxAcked(ctx, event.lastSeq);
    case "outbox_failed":
      return ctx.attempts.failed("outbox", outboxRetryMs, outboxRetryMaxMs);
    case "host_claimed":
      return hostAnswered(ctx, event.hostname, event.ok ? "claimed" : "refused");
    case "host_released":
      return hostAnswered(ctx, event.hostname, "released");
    case "host_failed":
      return ctx.attempts.failed(`host:${event.hostname}`, callRetryMs, callRetryMaxMs);
    case "verify_failed":
      return ctx.attempts.failed(`verify:${event.rollout}`, verifyRetryMs, verifyTimeoutMs);
    case "instances_probed":
      return probed(ctx, event);
    case "tick":
      return;
    default:
      return assertNever(event);
  }
}

/** An answer to a call that is no longer open came before, and changes nothing. */
function takeAnswer(ctx: AppContext, event: Extract<AppOutcome, { kind: "reserved" | "committed" | "updated" }>): void {
  const { answer } = event;
  if (!answer.ok && (answer.failure.code === "overloaded" || answer.failure.code === "internal")) {
    return ctx.attempts.failed(callAttempt(event.call), ctx.limits.callRetryMs, ctx.limits.callRetryMaxMs);
  }
  const row = closeCall(ctx, event.call);
  if (!row) return;
  const { call, cell } = row;
  if (event.kind === "reserved" && call.kind === "reserve") {
    reserved(ctx, cell, call.request, event.answer.ok ? event.answer.value : null);
  } else if (event.kind === "committed" && call.kind === "commit") committed(ctx, call.request.instances, event.answer);
  else if (event.kind === "updated" && call.kind === "update") updated(ctx, call.request.remove);
}
