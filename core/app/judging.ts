// Feeds the judge of a rollout with what gateways counted of the new release and of the current one, and notes what it says.
import type { ReleaseCounters } from "../../contracts/analysis.ts";
import type { InstanceCounters } from "../../contracts/agent-protocol.ts";
import type { ReleaseId } from "../../contracts/ids.ts";
import { increments, NOTHING_COUNTED, sum } from "../analysis/counters.ts";
import { beginStep, judge } from "../analysis/judge.ts";
import { newJudge, type Pair } from "../analysis/state.ts";
import { isJudged } from "../rollout/seen.ts";
import { planOf, type RolloutRow } from "../rollout/types.ts";
import { activeRollout, emit, type AppContext } from "./context.ts";
import { putRollout } from "./reconcile.ts";
import { servingShares } from "./split.ts";
import type { AppInputs, Reading } from "./types.ts";
import { rolloutView } from "./views.ts";

/**
 * Cumulative, repeated and sometimes lost: only what is more than the last reading counts. The first reading of an instance in a
 * rollout is where its counting begins.
 */
export function counted(ctx: AppContext, { items }: AppInputs["counted"]): void {
  const countedFor = activeRollout(ctx)?.id;
  const isSame = ctx.counts.countedFor === countedFor;
  const readings = new Map<string, Reading>(isSame ? ctx.counts.readings : []);
  const uncounted = new Map<ReleaseId, ReleaseCounters>(isSame ? ctx.counts.uncounted : []);
  for (const item of items) {
    const row = ctx.draft.get("instances", item.instance);
    if (!row || row.phase.kind === "ended" || row.generation !== item.generation || row.job) continue;
    const counters = countersOf(item);
    const known = readings.get(row.id);
    // An instance's counters never fall: this one was overtaken on its way.
    if (known && counters.requests < known.counters.requests) continue;
    readings.set(row.id, { generation: row.generation, counters });
    if (!known) continue;
    const fresh = increments(known.counters, counters);
    uncounted.set(row.release, sum(uncounted.get(row.release) ?? NOTHING_COUNTED, fresh));
  }
  for (const id of readings.keys()) {
    const row = ctx.draft.get("instances", id);
    if (!row || row.phase.kind === "ended") readings.delete(id);
  }
  ctx.counts.countedFor = countedFor;
  ctx.counts.readings = readings;
  ctx.counts.uncounted = uncounted;
}

/** Visitors' alone: who asked for a release by name is among `requests`, and not in a status class. */
function countersOf({ status, latency }: InstanceCounters): ReleaseCounters {
  const { s1xx, s2xx, s3xx, s4xx, s5xx } = status;
  return { requests: s1xx + s2xx + s3xx + s4xx + s5xx, status, latency };
}

/** Every judgeIntervalMs at most: a look is a row. */
export function judgeRollout(ctx: AppContext, row: RolloutRow): void {
  const { analysis } = planOf(row);
  if (!analysis || !isJudged(row)) return;
  const dueAtMs = (row.verdict?.atMs ?? 0) + ctx.limits.judgeIntervalMs;
  if (dueAtMs > ctx.nowMs) return ctx.wakeBy(dueAtMs);
  ctx.wakeBy(ctx.nowMs + ctx.limits.judgeIntervalMs);
  const { state, verdict } = judge(row.judge ?? newJudge(ctx.nowMs), takeCounts(ctx, row), ctx.nowMs, analysis);
  const judged = { ...row, judge: state, verdict };
  putRollout(ctx, judged);
  if (verdict.kind === row.verdict?.kind) return;
  emit(ctx, { type: "rollout.judged", subject: row.id, data: { rollout: rolloutView(ctx, judged), verdict } });
}

/** The traffic is split anew: what was counted until now is judged by the split before. */
export function weighAnew(ctx: AppContext, before: RolloutRow, after: RolloutRow): RolloutRow {
  const { analysis } = planOf(after);
  if (!analysis || (before.weight ?? 0) === (after.weight ?? 0)) return after;
  const pair = takeCounts(ctx, after);
  if (!before.judge) return { ...after, judge: newJudge(ctx.nowMs) };
  const { state } = judge(before.judge, pair, ctx.nowMs, analysis);
  return { ...after, judge: beginStep(state, ctx.nowMs, analysis) };
}

/** What came since the last look, of the new release and of all that served before. */
function takeCounts(ctx: AppContext, { to }: RolloutRow): Pair {
  const { uncounted } = ctx.counts;
  const next = uncounted?.get(to.release) ?? NOTHING_COUNTED;
  let current = NOTHING_COUNTED;
  for (const { target } of servingShares(ctx)) {
    if (target.release !== to.release) current = sum(current, uncounted?.get(target.release) ?? NOTHING_COUNTED);
  }
  ctx.counts.uncounted = new Map();
  return { next, current };
}
