// How a release comes into service: the strategy, who judges it, and what is run before and after. Written by customers.
import { z } from "zod";
import { AnalysisConfig } from "./analysis.ts";
import { Command } from "./release.ts";

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

/** So many instances, or a share of the wanted ones: 3, "25%". A surge is rounded up, what may be missing is rounded down. */
export const Amount = z.union([
  z.int().min(0).max(1_000),
  z.string().regex(/^(100|[1-9]?\d)%$/, { message: 'must be a whole number, or a percentage from "0%" to "100%"' }),
]);
export type Amount = z.infer<typeof Amount>;

/**
 * The new replace the old batch by batch; weights follow the share that is ready. maxSurge: how many may run beyond the wanted
 * number (draining ones apart); by default all start beside the old, as room allows, since that is the quickest and gives up
 * nothing. maxUnavailable: how many of the wanted number may be missing meanwhile. pauseMs: after each batch is ready.
 */
export const Rolling = z
  .strictObject({
    kind: z.literal("rolling"),
    maxSurge: Amount.default("100%"),
    maxUnavailable: Amount.default(0),
    pauseMs: z.int().min(0).max(DAY_MS).default(0),
  })
  .refine(({ maxSurge, maxUnavailable }) => !isNone(maxSurge) || !isNone(maxUnavailable), {
    message: "maxSurge and maxUnavailable cannot both be 0: nothing could ever be replaced",
    path: ["maxSurge"],
  });
const isNone = (amount: Amount): boolean => amount === 0 || amount === "0%";

/**
 * All of the new (green) beside all of the old (blue), without traffic, reachable under its preview hostname; checked; then all
 * traffic at once. promote manual: the switch waits for `promote`. watchMs: for so long after the switch green is on trial: if it dies
 * or breaks a threshold, blue gets everything back at once. warmMs: for so long after the switch blue stays warm for a rollback.
 */
export const BlueGreen = z.strictObject({
  kind: z.literal("blue_green"),
  promote: z.enum(["automatic", "manual"]).default("automatic"),
  watchMs: z.int().min(0).max(DAY_MS).default(MINUTE_MS),
  warmMs: z
    .int()
    .min(0)
    .max(DAY_MS)
    .default(10 * MINUTE_MS),
});

/** weight: percent of the traffic. durationMs absent: until promoted. Instances of the new in proportion, the old kept whole. */
export const CanaryStep = z.strictObject({
  weight: z.int().min(1).max(99),
  durationMs: z
    .int()
    .min(1_000)
    .max(7 * DAY_MS)
    .optional(),
});
export type CanaryStep = z.infer<typeof CanaryStep>;

/** Small first, since most faults show with few requests; ten minutes in all. After the last step: everything. */
export const CANARY_STEPS: readonly CanaryStep[] = [
  { weight: 5, durationMs: 2 * MINUTE_MS },
  { weight: 20, durationMs: 3 * MINUTE_MS },
  { weight: 50, durationMs: 5 * MINUTE_MS },
];
export const Canary = z.strictObject({
  kind: z.literal("canary"),
  steps: z
    .array(CanaryStep)
    .min(1)
    .max(20)
    .refine((steps) => steps.every(({ weight }, at) => at === 0 || weight > steps[at - 1]!.weight), {
      message: "weights must rise from step to step",
    })
    .default([...CANARY_STEPS]),
});

/** Everything at once, and all traffic to the new as soon as one of it is ready: what a rollback does. */
export const Immediate = z.strictObject({ kind: z.literal("immediate") });

export const Strategy = z.discriminatedUnion("kind", [Rolling, BlueGreen, Canary, Immediate]);
export type Strategy = z.infer<typeof Strategy>;
export const STRATEGY_KINDS = ["rolling", "blue_green", "canary", "immediate"] as const;

/** A one-off instance of the release, with its environment and image; exit code 0 within timeoutMs, or the rollout fails. */
export const ReleaseCommand = z.strictObject({
  command: Command,
  timeoutMs: z
    .int()
    .min(1_000)
    .max(60 * MINUTE_MS)
    .default(5 * MINUTE_MS),
});
export type ReleaseCommand = z.infer<typeof ReleaseCommand>;

/** GET path through the edge's own code, at every new instance, before any of them gets traffic. */
export const SmokeCheck = z
  .strictObject({
    path: z
      .string()
      .max(1024)
      .regex(/^\/[\x21-\x7e]*$/, { message: "must begin with / and hold no spaces" }),
    /** Statuses that pass. */
    statusMin: z.int().min(100).max(599).default(200),
    statusMax: z.int().min(100).max(599).default(399),
  })
  .refine(({ statusMin, statusMax }) => statusMin <= statusMax, {
    message: "statusMin must not be above statusMax",
    path: ["statusMin"],
  });
export type SmokeCheck = z.infer<typeof SmokeCheck>;

/**
 * With each release, and remembered for what rolls the same app without one (changed variables). before: run once before any
 * instance of the release starts (migrations). after: once it has all traffic. analysis: null switches judging off; by default
 * canaries and a green on trial are judged.
 */
export const RolloutPlan = z.strictObject({
  strategy: Strategy.default(Rolling.parse({ kind: "rolling" })),
  analysis: AnalysisConfig.nullable().default(AnalysisConfig.parse({})),
  smoke: SmokeCheck.optional(),
  before: ReleaseCommand.optional(),
  after: ReleaseCommand.optional(),
});
export type RolloutPlan = z.infer<typeof RolloutPlan>;

/** What a rollout by this plan waits for in any case, promoted or not: no deadline may be shorter. */
export function waitsMsOf({ strategy }: RolloutPlan): number {
  if (strategy.kind === "blue_green") return strategy.watchMs;
  if (strategy.kind !== "canary") return 0;
  return strategy.steps.reduce((sum, { durationMs = 0 }) => sum + durationMs, 0);
}

/** Bring back also what its smoke check or its judge refused; never what its command before was not run for. */
export const Force = z.boolean().optional();

/** `berth traffic v7=10 v6=90`: all that shall serve, summing to 100. */
export const TrafficPut = z.strictObject({
  weights: z
    .array(z.strictObject({ version: z.int().positive(), weight: z.int().min(1).max(100) }))
    .min(1)
    .max(8)
    .refine((weights) => weights.reduce((sum, { weight }) => sum + weight, 0) === 100, { message: "must sum to 100" })
    .refine((weights) => new Set(weights.map(({ version }) => version)).size === weights.length, {
      message: "names a version twice",
    }),
  force: Force,
});
export type TrafficPut = z.infer<typeof TrafficPut>;

/** POST /v1/apps/{app}/rollouts/{rollout}/{command}. With If-Match: only if the rollout is still as the ETag has it, else 412. */
export const ROLLOUT_COMMANDS = ["pause", "resume", "promote", "abort", "cancel"] as const;
export type RolloutCommand = (typeof ROLLOUT_COMMANDS)[number];
/** full: of promote alone: all that is left of the plan at once. */
export const RolloutCommandBody = z.strictObject({
  reason: z.string().max(500).optional(),
  full: z.boolean().optional(),
});
