// Judges a new release by what gateways count while it shares the traffic with the current one. Pure: same counts, same verdict.
import type { AnalysisCheck, AnalysisConfig, AnalysisVerdict, ReleaseCounters } from "../../contracts/analysis.ts";
import { chanceOf } from "./chance.ts";
import { betsOf, checksOf } from "./checks.ts";
import { sum } from "./counters.ts";
import { NO_PAIR, type JudgeState, type Pair } from "./state.ts";
import { verdictOf } from "./verdict.ts";
import { NO_WEALTH, played, type Wealth } from "./wealth.ts";

/**
 * Nodes report at different moments of the same 2 s: an outage that hits both releases shows in one of them first. So evidence must
 * stand for more than one heartbeat before it fails a release.
 */
const CONFIRM_MS = 3_000;
/** It must stand when more has been compared, too, or when nothing more came for so long. */
const CONFIRM_QUIET_MS = 30_000;
/** The current release has no traffic if it had no request for so long. Until then the new one's requests wait to be compared. */
const ALONE_AFTER_MS = 10_000;

export interface Judgement {
  readonly state: JudgeState;
  readonly verdict: AnalysisVerdict;
}

/**
 * `counted` is what was counted of both releases since the last call, over the same time; nothing counted is fine. A failed release
 * stays failed. Call beginStep whenever the weights change, with what was counted until then judged before.
 */
export function judge(state: JudgeState, counted: Pair, nowMs: number, config: AnalysisConfig): Judgement {
  if (state.failed !== null) return { state, verdict: state.failed };
  const counting = pooled(state, counted, nowMs, config);
  const looked = watched(isComparable(counting, nowMs) ? weighed(counting, config) : counting, nowMs, config);
  const verdict = verdictOf(looked, isConfirmed(looked, nowMs), nowMs, config);
  if (verdict.kind !== "fail") return { state: looked, verdict };
  return { state: { ...looked, failed: verdict }, verdict };
}

/** The traffic is split anew: the step's sample begins at 0; what was counted before is weighed by the old split. Evidence stays. */
export function beginStep(state: JudgeState, nowMs: number, config: AnalysisConfig): JudgeState {
  return { ...weighed(state, config), step: { sinceMs: nowMs, next: 0, current: 0, alone: 0 } };
}

function pooled(state: JudgeState, counted: Pair, nowMs: number, config: AnalysisConfig): JudgeState {
  const { totals, step, pool } = state;
  const cold = config.latency !== null && nowMs - step.sinceMs < config.latency.warmUpMs;
  const warm = cold ? { next: timeless(counted.next), current: timeless(counted.current) } : counted;
  return {
    ...state,
    totals: added(totals, counted),
    pool: added(pool, warm),
    currentSeenMs: counted.current.requests > 0 ? nowMs : state.currentSeenMs,
    step: {
      ...step,
      next: step.next + counted.next.requests,
      current: step.current + counted.current.requests,
    },
  };
}

const timeless = (counters: ReleaseCounters): ReleaseCounters => ({ ...counters, latency: [] });
const added = (one: Pair, other: Pair): Pair => ({
  next: sum(one.next, other.next),
  current: sum(one.current, other.current),
});

/** When to weigh depends on how many requests came, never on how they were answered, so it favours no verdict. */
function isComparable({ pool, currentSeenMs }: JudgeState, nowMs: number): boolean {
  const alone = nowMs - currentSeenMs >= ALONE_AFTER_MS;
  return pool.next.requests > 0 && (pool.current.requests > 0 || alone);
}

function weighed(state: JudgeState, config: AnalysisConfig): JudgeState {
  const { pool, step } = state;
  const wealth: { [check in AnalysisCheck]?: Wealth } = { ...state.wealth };
  for (const check of checksOf(config)) {
    const gains = betsOf(check, pool, config);
    if (gains !== null) wealth[check] = played(wealth[check] ?? NO_WEALTH, gains);
  }
  const alone = step.alone + (pool.current.requests === 0 ? pool.next.requests : 0);
  return { ...state, wealth, pool: NO_PAIR, weighings: state.weighings + 1, step: { ...step, alone } };
}

/** Notes since when the evidence has been enough, and forgets it where it is so no more. */
function watched(state: JudgeState, nowMs: number, config: AnalysisConfig): JudgeState {
  const over = checksOf(config).some((check) => chanceOf(state, check, config) <= config.falseAlarmRate);
  return { ...state, over: over ? (state.over ?? { sinceMs: nowMs, weighings: state.weighings }) : null };
}

function isConfirmed({ over, weighings }: JudgeState, nowMs: number): boolean {
  if (over === null) return false;
  const stoodMs = nowMs - over.sinceMs;
  return stoodMs >= CONFIRM_QUIET_MS || (stoodMs >= CONFIRM_MS && weighings > over.weighings);
}
