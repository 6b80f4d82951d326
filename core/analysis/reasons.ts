// A verdict's reason in words and numbers, for the person who wants to know why a release was refused.
import { LATENCY_BUCKETS_MS, type AnalysisCheck, type AnalysisConfig } from "../../contracts/analysis.ts";
import { lowerBound, type Tally } from "./bets.ts";
import { boundsFrom, bucketOf, checksOf, clientErrorsOf, errorsOf, slowOf, stretchedBeyond } from "./checks.ts";
import { quantileMs } from "./counters.ts";
import { chanceText } from "../../contracts/chance-text.ts";
import type { Pair } from "./state.ts";

export function worseIn(check: AnalysisCheck, totals: Pair, chance: number, config: AnalysisConfig): string {
  return `${whatIn(check, totals, config)}; ${chanceText(chance)}`;
}

function whatIn(check: AnalysisCheck, { next, current }: Pair, config: AnalysisConfig): string {
  const each = config.falseAlarmRate / checksOf(config).length;
  switch (check) {
    case "errors":
      return compared("failed", errorsOf(next), errorsOf(current));
    case "clientErrors":
      return compared("were refused (4xx)", clientErrorsOf(next), clientErrorsOf(current));
    case "latency":
      return slower({ next, current }, config.latency!);
    case "maxErrorRate":
      return beyond("failed", errorsOf(next), config.maxErrorRate!, each);
    case "maxErrorRateAlone":
      return beyond("failed", errorsOf(next), config.maxErrorRateAlone!, each);
    case "maxP95Ms":
      return late(next.latency, config.maxP95Ms!, 0.05, each);
    case "maxP99Ms":
      return late(next.latency, config.maxP99Ms!, 0.01, each);
    default:
      return check satisfies never;
  }
}

const compared = (did: string, next: Tally, current: Tally): string =>
  `${ofAll(next)} of the new release's requests ${did}, ${ofAll(current)} of the current one's over the same time`;

const beyond = (did: string, tally: Tally, bound: number, chance: number): string =>
  `${ofAll(tally)} of the new release's requests ${did}, surely at least ${percent(lowerBound(tally, chance))}; allowed: ${percent(bound)}`;

const late = (latency: readonly number[], thresholdMs: number, share: number, chance: number): string => {
  const bucket = bucketOf(thresholdMs);
  return beyond(`took longer than ${ms(LATENCY_BUCKETS_MS[bucket]!)}`, slowOf(latency, bucket), share, chance);
};

/** At the bound where they lie furthest apart. */
function slower({ next, current }: Pair, config: NonNullable<AnalysisConfig["latency"]>): string {
  const gapAt = (bucket: number): number =>
    shareOf(slowOf(next.latency, bucket)) -
    shareOf(stretchedBeyond(current.latency, bucket, 1 + config.slowerPercent / 100));
  const bucket = boundsFrom(config.floorMs).reduce((best, other) => (gapAt(other) > gapAt(best) ? other : best));
  const took = `took longer than ${ms(LATENCY_BUCKETS_MS[bucket]!)}`;
  const p95 = `p95 about ${ms(quantileMs(next.latency, 0.95))} against ${ms(quantileMs(current.latency, 0.95))}`;
  return `${compared(took, slowOf(next.latency, bucket), slowOf(current.latency, bucket))} (${p95})`;
}

const shareOf = ({ bad, requests }: Tally): number => (requests === 0 ? 0 : bad / requests);
const ofAll = (tally: Tally): string => `${percent(shareOf(tally))} (${count(tally.bad)} of ${count(tally.requests)})`;
const ms = (value: number | null): string => (value === null ? "unknown" : `${count(Math.round(value))} ms`);

/** 1,234,567. */
export const count = (value: number): string => String(value).replace(/\B(?=(\d{3})+$)/g, ",");

/** Two significant digits, at most two of them for whole percents: 12 %, 5.1 %, 0.034 %. */
function percent(share: number): string {
  const value = share * 100;
  if (value > 0 && value < 1e-4) return "0.0001 %";
  return `${value >= 10 ? String(Math.round(value)) : String(Number(value.toPrecision(2)))} %`;
}
