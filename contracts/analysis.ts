// How a rollout judges its new release by what gateways counted: the customer's thresholds, the counts, the verdict.
import { z } from "zod";

/** Upper bounds of the buckets of the gateway's latency histogram, in milliseconds; one more bucket takes the rest. */
export const LATENCY_BUCKETS_MS = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000] as const;

const Count = z.int().nonnegative();

/** Of one release: cumulative, or an increment of it. latency: a count per bucket, and one more for the rest; empty if not counted. */
export const ReleaseCounters = z.object({
  requests: Count,
  status: z.object({ s1xx: Count, s2xx: Count, s3xx: Count, s4xx: Count, s5xx: Count }),
  latency: z.array(Count).max(LATENCY_BUCKETS_MS.length + 1),
});
export type ReleaseCounters = z.infer<typeof ReleaseCounters>;

/** The new release may answer so with `ratio` times the current one's share of requests, plus `share` (0.01: one in a hundred). */
const toleranceOf = (ratio: number, share: number) =>
  z.strictObject({
    ratio: z.number().min(1).max(100).default(ratio),
    share: z.number().min(0).max(1).default(share),
  });
const Share = z.number().gt(0).lt(1);
const ThresholdMs = z
  .int()
  .min(1)
  .max(LATENCY_BUCKETS_MS[LATENCY_BUCKETS_MS.length - 1]!);

/**
 * Null switches a check off. falseAlarmRate: the chance, over the whole rollout and all checks together, of failing a release that is
 * no worse. minRequests: below that a step neither fails nor passes. noTraffic: with fewer requests than that, `hold` keeps the step
 * until the rollout's deadline (the default: what nobody has tried is not known to work), `pass` lets it go on.
 */
export const AnalysisConfig = z.strictObject({
  falseAlarmRate: z.number().min(1e-6).max(0.2).default(0.01),
  minRequests: z.int().min(1).max(1_000_000).default(50),
  noTraffic: z.enum(["hold", "pass"]).default("hold"),
  /** Statuses 500 to 599, the gateway's own among them, against the current release over the same time. */
  errors: toleranceOf(1.1, 0.001).nullable().default({ ratio: 1.1, share: 0.001 }),
  /** Statuses 400 to 499: a release that answers 404 to everybody. Wide, since new validation is no fault. */
  clientErrors: toleranceOf(1.5, 0.05).nullable().default({ ratio: 1.5, share: 0.05 }),
  /**
   * Slower by more than slowerPercent, by more than `share` of the requests, where that makes more than floorMs; the first warmUpMs of
   * each step do not count, when caches are cold.
   */
  latency: z
    .strictObject({
      slowerPercent: z.number().min(0).max(1_000).default(25),
      share: z.number().min(0).max(1).default(0.01),
      floorMs: z.int().min(1).max(5_000).default(25),
      warmUpMs: z.int().min(0).max(3_600_000).default(20_000),
    })
    .nullable()
    .default({ slowerPercent: 25, share: 0.01, floorMs: 25, warmUpMs: 20_000 }),
  /** The new release by itself, whatever the current one does. */
  maxErrorRate: Share.nullable().default(null),
  /** The same where the current release has no traffic to compare with: after the switch of a blue-green rollout. */
  maxErrorRateAlone: Share.nullable().default(0.05),
  /** Judged at the gateway's next bucket bound at or above. */
  maxP95Ms: ThresholdMs.nullable().default(null),
  maxP99Ms: ThresholdMs.nullable().default(null),
});
export type AnalysisConfig = z.infer<typeof AnalysisConfig>;

export const ANALYSIS_CHECKS = [
  "errors",
  "clientErrors",
  "latency",
  "maxErrorRate",
  "maxErrorRateAlone",
  "maxP95Ms",
  "maxP99Ms",
] as const;
export const AnalysisCheck = z.enum(ANALYSIS_CHECKS);
export type AnalysisCheck = z.infer<typeof AnalysisCheck>;

/** Of one release since the judging began. Quantiles are estimates from the histogram; null without requests. */
export const JudgedRelease = z.object({
  requests: Count,
  errors: Count,
  clientErrors: Count,
  p50Ms: z.number().nullable(),
  p95Ms: z.number().nullable(),
  p99Ms: z.number().nullable(),
});
export type JudgedRelease = z.infer<typeof JudgedRelease>;

/**
 * stepRequests: of the new release, in this step. chance: how likely so much evidence would be if the release were no worse (any-time
 * valid, after correction for the number of checks); an alarm needs it at or below falseAlarmRate.
 */
export const VerdictNumbers = z.object({
  next: JudgedRelease,
  current: JudgedRelease,
  stepRequests: Count,
  checks: z.array(z.object({ check: AnalysisCheck, chance: z.number() })),
});
export type VerdictNumbers = z.infer<typeof VerdictNumbers>;

const Said = { reason: z.string(), numbers: VerdictNumbers, atMs: z.int().nonnegative() };

/**
 * pass: may go on when the step's time is over. fail: for good. undecided: wait. no_traffic: too few requests for a judgement, of the
 * new release or of the current one; `rule` says what the customer wants then.
 */
export const AnalysisVerdict = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("pass"), ...Said }),
  z.object({ kind: z.literal("fail"), check: AnalysisCheck, ...Said }),
  z.object({ kind: z.literal("undecided"), ...Said }),
  z.object({ kind: z.literal("no_traffic"), rule: z.enum(["hold", "pass"]), ...Said }),
]);
export type AnalysisVerdict = z.infer<typeof AnalysisVerdict>;
