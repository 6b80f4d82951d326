// Turns what rows still ask for into effects that are due, and forgets what is no longer needed.
import { seqKey } from "../keys.ts";
import { appOf, count, countersOf, type AppContext } from "./context.ts";
import { targetsOf } from "./split.ts";
import { askSecondOpinion } from "./health.ts";
import { forgetSnapshot } from "./references.ts";
import { earlierRelease } from "./releases.ts";
import { isRouteHeld } from "./restoring.ts";
import { routeOf } from "./route.ts";
import { askVerifier } from "./verifying.ts";

export function runEffects(ctx: AppContext, eventSeqBefore: number): void {
  publishRoute(ctx);
  askHosts(ctx);
  askVerifier(ctx);
  askSecondOpinion(ctx);
  drainOutbox(ctx);
  const { eventSeq } = countersOf(ctx);
  if (eventSeq !== eventSeqBefore) ctx.effects.push({ kind: "notify_events", lastSeq: eventSeq });
  for (const key of [...ctx.attempts.keys()]) if (!ctx.wanted.has(key)) ctx.attempts.settle(key);
}

/** KV takes a write per second and key: the first goes out at once, those within the second as one at its end. */
function publishRoute(ctx: AppContext): void {
  const { route, publishedVersion, publishedAtMs } = routeOf(ctx);
  if (route.version <= publishedVersion || isRouteHeld(ctx)) return;
  ctx.wanted.add("route");
  const dueAtMs = publishedAtMs + ctx.limits.kvWriteIntervalMs;
  if (dueAtMs > ctx.nowMs) ctx.wakeBy(dueAtMs);
  else if (ctx.attempts.claim("route", ctx.limits.callRetryMs, ctx.limits.callRetryMaxMs)) {
    ctx.effects.push({ kind: "publish_route", route });
  }
}

export function routeWritten(ctx: AppContext, version: number): void {
  const row = routeOf(ctx);
  ctx.attempts.settle("route");
  if (version <= row.publishedVersion || version > row.route.version) return;
  ctx.draft.put("route", "route", { ...row, publishedVersion: version, publishedAtMs: ctx.nowMs });
}

function askHosts(ctx: AppContext): void {
  const { app, team } = appOf(ctx);
  for (const [hostname, { state }] of ctx.draft.entries("hosts")) {
    if (state !== "claiming" && state !== "releasing") continue;
    const key = `host:${hostname}`;
    ctx.wanted.add(key);
    if (!ctx.attempts.claim(key, ctx.limits.callRetryMs, ctx.limits.callRetryMaxMs)) continue;
    if (state === "claiming") ctx.effects.push({ kind: "claim_host", record: { hostname, app, team } });
    else ctx.effects.push({ kind: "release_host", hostname, app });
  }
}

function drainOutbox(ctx: AppContext): void {
  const { eventSeq, deliveredSeq } = countersOf(ctx);
  if (eventSeq === deliveredSeq) return;
  ctx.wanted.add("outbox");
  const { outboxRetryMs, outboxRetryMaxMs, outboxBatchMax } = ctx.limits;
  if (!ctx.attempts.claim("outbox", outboxRetryMs, outboxRetryMaxMs)) return;
  const events = [];
  for (let seq = deliveredSeq + 1; seq <= Math.min(eventSeq, deliveredSeq + outboxBatchMax); seq += 1) {
    const event = ctx.draft.get("events", seqKey(seq));
    if (event) events.push(event);
  }
  ctx.effects.push({ kind: "drain_outbox", source: `app:${appOf(ctx).app}`, events });
}

/**
 * Postgres may know less than it once acknowledged (restored from a backup): it gets again what is still here. What is not
 * here any more it will never take, so that the next try waits like a failed one: nothing is sent in a loop.
 */
export function outboxAcked(ctx: AppContext, lastSeq: number): void {
  const { eventSeq, deliveredSeq, prunedSeq } = countersOf(ctx);
  const { outboxRetryMs, outboxRetryMaxMs } = ctx.limits;
  if (lastSeq <= deliveredSeq && eventSeq > deliveredSeq) {
    if (lastSeq < deliveredSeq) count(ctx, { deliveredSeq: Math.max(lastSeq, prunedSeq) });
    return ctx.attempts.failed("outbox", outboxRetryMs, outboxRetryMaxMs);
  }
  const delivered = Math.min(eventSeq, Math.max(deliveredSeq, lastSeq));
  if (delivered !== deliveredSeq) count(ctx, { deliveredSeq: delivered });
  ctx.attempts.settle("outbox");
}

/** Keeps what is in use and a bounded past of the rest. */
export function forgetThePast(ctx: AppContext): void {
  const { eventSeq, deliveredSeq, prunedSeq } = countersOf(ctx);
  const pruneTo = Math.min(deliveredSeq, eventSeq - ctx.limits.eventsKept);
  if (pruneTo > prunedSeq) {
    for (let seq = prunedSeq + 1; seq <= pruneTo; seq += 1) ctx.draft.drop("events", seqKey(seq));
    count(ctx, { prunedSeq: pruneTo });
  }
  forgetInstances(ctx);
  forgetRollouts(ctx);
  forgetReleases(ctx);
}

function forgetInstances(ctx: AppContext): void {
  const ended: { id: string; atMs: number }[] = [];
  for (const { id, phase } of ctx.draft.values("instances"))
    if (phase.kind === "ended") ended.push({ id, atMs: phase.atMs });
  if (ended.length <= ctx.limits.endedInstancesKept) return;
  ended.sort((a, b) => b.atMs - a.atMs);
  for (const { id } of ended.slice(ctx.limits.endedInstancesKept)) ctx.draft.drop("instances", id);
}

function forgetRollouts(ctx: AppContext): void {
  const rollouts = [...ctx.draft.values("rollouts")];
  if (rollouts.length <= ctx.limits.rolloutsKept) return;
  rollouts.sort((a, b) => b.startedAtMs - a.startedAtMs);
  for (const { id } of rollouts.slice(ctx.limits.rolloutsKept)) {
    if (id !== appOf(ctx).rollout) ctx.draft.drop("rollouts", id);
  }
}

function forgetReleases(ctx: AppContext): void {
  const releases = [...ctx.draft.values("releases")].map((row) => row.release);
  if (releases.length <= ctx.limits.releasesKept) return;
  const inUse = new Set<string | undefined>(targetsOf(ctx).map(({ release }) => release));
  // However many failed since: where a rollback goes.
  inUse.add(earlierRelease(ctx, appOf(ctx).current)?.release.id);
  for (const row of ctx.draft.values("instances")) if (row.phase.kind !== "ended") inUse.add(row.release);
  releases.sort((a, b) => b.version - a.version);
  for (const { id } of releases.slice(ctx.limits.releasesKept)) {
    if (inUse.has(id)) continue;
    ctx.draft.drop("releases", id);
    forgetSnapshot(ctx, id);
    for (const [key] of ctx.draft.entries("slots")) if (key.startsWith(`${id}/`)) ctx.draft.drop("slots", key);
  }
}
