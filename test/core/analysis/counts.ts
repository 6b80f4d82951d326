// Counts as gateways report them, for the judge's tests, and chance from a seed.
import { AnalysisConfig, LATENCY_BUCKETS_MS, type ReleaseCounters } from "../../../contracts/analysis.ts";
import { judge, type Judgement } from "../../../core/analysis/judge.ts";
import { newJudge, type Pair } from "../../../core/analysis/state.ts";
import { randomFrom } from "../../../core/random.ts";

export const BEAT_MS = 2_000;
export const CONFIG = AnalysisConfig.parse({});

/** All in the bucket up to tookMs. */
export function counted(requests: number, errors = 0, tookMs = 50, refused = 0): ReleaseCounters {
  const latency: number[] = Array.from({ length: LATENCY_BUCKETS_MS.length + 1 }, () => 0);
  const bucket = LATENCY_BUCKETS_MS.findIndex((bound) => tookMs <= bound);
  latency[bucket < 0 ? LATENCY_BUCKETS_MS.length : bucket] = requests;
  return {
    requests,
    status: { s1xx: 0, s2xx: requests - errors - refused, s3xx: 0, s4xx: refused, s5xx: errors },
    latency,
  };
}

export const pair = (next: ReleaseCounters, current: ReleaseCounters): Pair => ({ next, current });

/** One call for each pair, a heartbeat apart; ends early when the release fails. */
export function watch(pairs: Iterable<Pair>, config = CONFIG): Judgement & { readonly beats: number } {
  let judgement: Judgement | null = null;
  let state = newJudge(0);
  let beats = 0;
  for (const each of pairs) {
    beats += 1;
    judgement = judge(state, each, beats * BEAT_MS, config);
    ({ state } = judgement);
    if (judgement.verdict.kind === "fail") break;
  }
  if (judgement === null) throw new Error("nothing to watch");
  return { ...judgement, beats };
}

export function* times<T>(count: number, make: (index: number) => T): Generator<T> {
  for (let index = 0; index < count; index += 1) yield make(index);
}

/** 0 to 1, never either. */
export function chanceFrom(seed: number): () => number {
  const next = randomFrom((seed >>> 0).toString(16).padStart(8, "0").repeat(4));
  return () => (next() + 0.5) / 2 ** 32;
}

export function hits(tries: number, share: number, chance: () => number): number {
  let count = 0;
  for (let index = 0; index < tries; index += 1) if (chance() < share) count += 1;
  return count;
}
