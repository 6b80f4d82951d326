// What a judge remembers between two looks: durable, plain JSON, of constant size.
import type { AnalysisCheck, AnalysisVerdict, ReleaseCounters } from "../../contracts/analysis.ts";
import { NOTHING_COUNTED } from "./counters.ts";
import type { Wealth } from "./wealth.ts";

/** What was counted for the new release and for the current one over the same time. */
export interface Pair {
  readonly next: ReleaseCounters;
  readonly current: ReleaseCounters;
}

export interface JudgeState {
  /** Since the judging began. */
  readonly totals: Pair;
  readonly step: { readonly sinceMs: number; readonly next: number; readonly current: number; readonly alone: number };
  /** Not yet weighed: until both releases have had a request. */
  readonly pool: Pair;
  /** When the current release was last seen to get a request. */
  readonly currentSeenMs: number;
  readonly wealth: { readonly [check in AnalysisCheck]?: Wealth };
  readonly weighings: number;
  /** Since when, and after which weighing, the evidence of some check has been enough for an alarm. */
  readonly over: { readonly sinceMs: number; readonly weighings: number } | null;
  readonly failed: Extract<AnalysisVerdict, { kind: "fail" }> | null;
}

export const NO_PAIR: Pair = { next: NOTHING_COUNTED, current: NOTHING_COUNTED };

/** At the beginning of the rollout's first step with weight. */
export function newJudge(nowMs: number): JudgeState {
  return {
    totals: NO_PAIR,
    step: { sinceMs: nowMs, next: 0, current: 0, alone: 0 },
    pool: NO_PAIR,
    currentSeenMs: nowMs,
    wealth: {},
    weighings: 0,
    over: null,
    failed: null,
  };
}
