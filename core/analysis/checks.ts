// Which checks a configuration asks for, and what each bets in one interval.
import {
  ANALYSIS_CHECKS,
  LATENCY_BUCKETS_MS,
  type AnalysisCheck,
  type AnalysisConfig,
  type ReleaseCounters,
} from "../../contracts/analysis.ts";
import { betsAbove, betsAgainst, type Tally } from "./bets.ts";
import { slowerThan } from "./counters.ts";
import type { Pair } from "./state.ts";

export const checksOf = (config: AnalysisConfig): readonly AnalysisCheck[] =>
  ANALYSIS_CHECKS.filter((check) => config[check] !== null);

/** The logarithms of the check's bets on one interval; null where the interval says nothing about it. */
export function betsOf(
  check: AnalysisCheck,
  { next, current }: Pair,
  config: AnalysisConfig,
): readonly number[] | null {
  if (next.requests === 0) return null;
  const alone = current.requests === 0;
  const timed = next.latency.length > 0;
  switch (check) {
    case "errors":
      return alone ? null : betsAgainst(errorsOf(next), errorsOf(current), config.errors!);
    case "clientErrors":
      return alone ? null : betsAgainst(clientErrorsOf(next), clientErrorsOf(current), config.clientErrors!);
    case "latency":
      return alone || !timed ? null : betsOnLatency(next.latency, current.latency, config.latency!);
    case "maxErrorRate":
      return betsAbove(errorsOf(next), config.maxErrorRate!);
    case "maxErrorRateAlone":
      return alone ? betsAbove(errorsOf(next), config.maxErrorRateAlone!) : null;
    case "maxP95Ms":
      return timed ? betsAbove(slowOf(next.latency, bucketOf(config.maxP95Ms!)), 0.05) : null;
    case "maxP99Ms":
      return timed ? betsAbove(slowOf(next.latency, bucketOf(config.maxP99Ms!)), 0.01) : null;
    default:
      return check satisfies never;
  }
}

export const errorsOf = ({ status, requests }: ReleaseCounters): Tally => ({ bad: status.s5xx, requests });
export const clientErrorsOf = ({ status, requests }: ReleaseCounters): Tally => ({ bad: status.s4xx, requests });

/** The bucket whose upper bound is the next at or above: requests beyond it are beyond the threshold for certain. */
export const bucketOf = (thresholdMs: number): number => LATENCY_BUCKETS_MS.findIndex((bound) => bound >= thresholdMs);

export const slowOf = (latency: readonly number[], bucket: number): Tally => ({
  bad: slowerThan(latency, bucket),
  requests: slowerThan(latency, -1),
});

/** The buckets at whose bounds latencies are compared. */
export const boundsFrom = (floorMs: number): readonly number[] =>
  LATENCY_BUCKETS_MS.flatMap((bound, bucket) => (bound >= floorMs ? [bucket] : []));

/**
 * Whether next's latencies lie stochastically above current's, stretched by slowerPercent: the question of Lindon, Sanden and
 * Shirikian (KDD 2022, sequential tests of stochastic order). Gateways keep a histogram, so at each of its bounds the share that took
 * longer is compared as if slow were bad, and the gamblers' capital is spread over the bounds (as Arnold, Choe, Scarsini and Tsetlin,
 * arXiv 2604.21851, mix over thresholds). Where the truth is "not slower", every one of these bets is fair or worse.
 */
function betsOnLatency(
  next: readonly number[],
  current: readonly number[],
  { slowerPercent, share, floorMs }: NonNullable<AnalysisConfig["latency"]>,
): readonly number[] {
  return boundsFrom(floorMs).flatMap((bucket) =>
    betsAgainst(slowOf(next, bucket), stretchedBeyond(current, bucket, 1 + slowerPercent / 100), { ratio: 1, share }),
  );
}

/**
 * How many would take longer than the bound if all took `stretch` times as long. A bucket that the bound cuts counts in part, as if
 * its requests lay evenly on a logarithmic scale. Never fewer than really took longer: equal releases remain fair whatever lies within.
 */
export function stretchedBeyond(latency: readonly number[], bucket: number, stretch: number): Tally {
  const cutMs = LATENCY_BUCKETS_MS[bucket]! / stretch;
  const { bad, requests } = slowOf(latency, bucket);
  let beyond = bad;
  for (let index = bucket; index >= 0; index -= 1) {
    const toMs = LATENCY_BUCKETS_MS[index]!;
    const fromMs = index === 0 ? toMs / 2 : LATENCY_BUCKETS_MS[index - 1]!;
    if (toMs <= cutMs) break;
    beyond += (latency[index] ?? 0) * Math.min(1, Math.log(toMs / cutMs) / Math.log(toMs / fromMs));
  }
  return { bad: beyond, requests };
}
