// Passive health: what edges report of instances, the second opinion on it, and which instances the route leaves out meanwhile.
import type { Result } from "../../contracts/failures.ts";
import { ok } from "../results.ts";
import { appOf, emit, type AppContext } from "./context.ts";
import { isReady } from "./instances.ts";
import type { AppInputs, AppOutcome, HealthRow, InstanceRow, ProbeTarget } from "./types.ts";
import { instanceView } from "./views.ts";

type Report = AppInputs["reportUnreachable"];

/**
 * Whether a report is about an instance that edges may be sending requests to, of about now, and says something that is not
 * known yet. Anything else is dropped without a look at the rest: hundreds of isolates may report one dead node.
 */
export function isNews(ctx: AppContext, report: Report): boolean {
  const row = ctx.draft.get("instances", report.instance);
  if (!row || !row.routed || !isReady(row) || row.generation !== report.generation) return false;
  if (!(Math.abs(ctx.nowMs - report.atMs) <= ctx.limits.healthReportSkewMs)) return false;
  const known = ctx.draft.get("health", report.instance);
  return !known || known.generation !== row.generation || isOver(ctx, known);
}

const isOver = (ctx: AppContext, { phase }: HealthRow): boolean =>
  phase.kind === "cleared" && phase.untilMs <= ctx.nowMs;

export function reportUnreachable(ctx: AppContext, report: Report): Result<null> {
  if (!isNews(ctx, report)) return ok(null);
  const known = ctx.draft.get("health", report.instance);
  const alarms = known?.generation === report.generation ? known.alarms + 1 : 1;
  ctx.draft.put("health", report.instance, {
    generation: report.generation,
    cause: report.kind,
    alarms,
    out: false,
    phase: { kind: "suspect", sinceMs: ctx.nowMs },
  });
  ctx.attempts.settle(attemptOf(report.instance));
  return ok(null);
}

/** Rows end with what they are about; then the route's gaps are decided anew, and told. Answers whether they are others now. */
export function lookAtHealth(ctx: AppContext): boolean {
  let changed = false;
  for (const [id, health] of [...ctx.draft.entries("health")]) {
    const row = ctx.draft.get("instances", id);
    const gone = !row || !isReady(row) || row.generation !== health.generation;
    if (gone || isForgotten(ctx, health)) ctx.draft.drop("health", id);
  }
  const out = outOfRoute(ctx);
  for (const [id, health] of [...ctx.draft.entries("health")]) {
    if (health.out === out.has(id)) continue;
    ctx.draft.put("health", id, { ...health, out: !health.out });
    tell(ctx, id, health);
    changed = true;
  }
  return changed;
}

/** An alarm that proved false is remembered for a while, so that the same reporters do not raise it again and again. */
function isForgotten(ctx: AppContext, { phase }: HealthRow): boolean {
  if (phase.kind !== "cleared") return false;
  const forgetAtMs = phase.untilMs + ctx.limits.healthDoubtMaxMs;
  if (forgetAtMs > ctx.nowMs) ctx.wakeBy(forgetAtMs);
  return forgetAtMs <= ctx.nowMs;
}

/** before: the row as it was, in or out of the route. */
function tell(ctx: AppContext, id: string, before: HealthRow): void {
  const row = ctx.draft.get("instances", id);
  if (!row) return;
  const { phase, cause } = before;
  const instance = instanceView(ctx, row);
  if (before.out) return emit(ctx, { type: "instance.restored", subject: id, data: { instance, cause } });
  const confirmed = phase.kind === "ejected";
  const message = phase.kind === "ejected" ? phase.message : "The edge could not reach it.";
  emit(ctx, { type: "instance.ejected", subject: id, data: { instance, cause, confirmed, message } });
}

/**
 * Of each release's ready instances: never the last, so that weights stay as they are; at most half on reports alone, and at
 * most half ever where gateways answer (an app that is overloaded would lose one instance after the other). Only nodes that
 * two observers cannot reach may go beyond half.
 */
function outOfRoute(ctx: AppContext): ReadonlySet<string> {
  const out = new Set<string>();
  const [any] = ctx.draft.entries("health");
  if (!any) return out;
  const byRelease = new Map<string, InstanceRow[]>();
  for (const row of ctx.draft.values("instances")) {
    if (isReady(row)) byRelease.set(row.release, [...(byRelease.get(row.release) ?? []), row]);
  }
  for (const ready of byRelease.values()) {
    let left = ready.length;
    const half = ready.length - Math.floor(ready.length / 2);
    for (const { id, sure } of candidates(ctx, ready)) {
      if (left <= (sure ? 1 : half)) continue;
      left -= 1;
      out.add(id);
    }
  }
  return out;
}

/** Who is to leave the route first: what two observers agree on, then what is out already, then the oldest report. */
function candidates(ctx: AppContext, ready: readonly InstanceRow[]): { id: string; sure: boolean }[] {
  const found = ready.flatMap(({ id }) => {
    const health = ctx.draft.get("health", id);
    if (!health || health.phase.kind === "cleared") return [];
    const sure = health.phase.kind === "ejected" && health.cause === "connect";
    return [{ id, sure, out: health.out, sinceMs: health.phase.sinceMs }];
  });
  return found.sort(
    (a, b) =>
      Number(b.sure) - Number(a.sure) ||
      Number(b.out) - Number(a.out) ||
      a.sinceMs - b.sinceMs ||
      (a.id < b.id ? -1 : 1),
  );
}

export const isOutOfRoute = (ctx: AppContext, row: InstanceRow): boolean =>
  ctx.draft.get("health", row.id)?.out === true;

const attemptOf = (id: string): string => `health:${id}`;

/** A suspect is asked at once, an ejected one again and again, more seldom each time, until it answers or its node says more. */
export function askSecondOpinion(ctx: AppContext): void {
  const { healthProbeMs, healthProbeMaxMs, healthProbesMax } = ctx.limits;
  const targets: ProbeTarget[] = [];
  for (const [id, { phase }] of ctx.draft.entries("health")) {
    if (phase.kind === "cleared") continue;
    ctx.wanted.add(attemptOf(id));
    const row = ctx.draft.get("instances", id);
    if (!row?.placement || targets.length >= healthProbesMax) continue;
    if (!ctx.attempts.claim(attemptOf(id), healthProbeMs, healthProbeMaxMs)) continue;
    const { node, gatewayUrl } = row.placement;
    const endpoint = { instance: row.id, generation: row.generation, node, gatewayUrl };
    targets.push({ endpoint, path: readinessPath(ctx, row) });
  }
  if (targets.length === 0) return;
  const { app, team, name } = appOf(ctx);
  ctx.effects.push({ kind: "probe_instances", app, team, name, targets });
}

function readinessPath(ctx: AppContext, row: InstanceRow): string {
  const probe = ctx.draft.get("releases", row.release)?.release.spec.probes.readiness;
  return probe?.kind === "http" ? probe.path : "/";
}

/** What the second opinion came to. About what is no longer so, it changes nothing. */
export function probed(ctx: AppContext, { results }: Extract<AppOutcome, { kind: "instances_probed" }>): void {
  const { healthDoubtMs, healthDoubtMaxMs } = ctx.limits;
  for (const { instance, generation, ok: answered, message } of results) {
    const health = ctx.draft.get("health", instance);
    if (!health || health.generation !== generation || health.phase.kind === "cleared") continue;
    if (answered) {
      const doubtMs = Math.min(healthDoubtMaxMs, healthDoubtMs * 2 ** Math.min(health.alarms - 1, 16));
      ctx.draft.put("health", instance, { ...health, phase: { kind: "cleared", untilMs: ctx.nowMs + doubtMs } });
      ctx.attempts.settle(attemptOf(instance));
    } else if (health.phase.kind === "suspect") {
      const { sinceMs } = health.phase;
      ctx.draft.put("health", instance, { ...health, phase: { kind: "ejected", sinceMs, message } });
    }
  }
}
