// A rollout as the API shows it. Who reads it after its end reads it from history, where older ones lack what came later.
import { z } from "zod";
import { AnalysisVerdict } from "./analysis.ts";
import { RolloutFailure } from "./failures.ts";
import { AppId, AtMs, RolloutId } from "./ids.ts";
import { STRATEGY_KINDS } from "./rollout-plan.ts";

/** A version and its percentage of the traffic. */
export const WeightOf = z.object({ version: z.int(), weight: z.int() });

export const ACTIVE_ROLLOUT_PHASES = ["preparing", "rolling", "verifying", "holding", "finishing"] as const;
export const FINAL_ROLLOUT_PHASES = ["completed", "failed", "aborted", "cancelled", "superseded"] as const;
export const ROLLOUT_PHASES = [...ACTIVE_ROLLOUT_PHASES, ...FINAL_ROLLOUT_PHASES] as const;
/**
 * What is held now, or was last: index of `of`, from 1, and the weight that the step gives. untilMs null: until promoted. sinceMs null:
 * its weight is not there yet.
 */
export const RolloutStep = z.object({
  index: z.int(),
  of: z.int(),
  weight: z.int(),
  sinceMs: AtMs.nullable(),
  untilMs: AtMs.nullable(),
});
/**
 * preparing: the command before runs. rolling: instances come. verifying: they are asked through the edge. holding: a canary step, or a
 * green that waits for promote or is on trial. finishing: the command after. reason of a rollout: what started it. revision: the ETag,
 * which If-Match of a command is held against; it rises with each phase, step and command.
 */
export const Rollout = z.object({
  id: RolloutId,
  app: AppId,
  reason: z.enum(["release", "rollback", "environment", "scale", "restart", "traffic"]),
  strategy: z.enum(STRATEGY_KINDS).default("rolling"),
  revision: z.int().default(0),
  phase: z.enum(ROLLOUT_PHASES),
  fromVersion: z.int().nullable(),
  toVersion: z.int(),
  replicas: z.int(),
  ready: z.int(),
  verified: z.int(),
  /** Of a rollout with steps. */
  step: RolloutStep.nullable().default(null),
  paused: z.object({ sinceMs: AtMs, by: z.string(), reason: z.string().nullable() }).nullable().default(null),
  /** What serves while it is under way; afterwards empty. */
  weights: z.array(WeightOf).default([]),
  /** What the judge last said, with its numbers. */
  analysis: AnalysisVerdict.nullable().default(null),
  /** Why it was aborted, in the words of who did. */
  abortReason: z.string().nullable().default(null),
  failure: RolloutFailure.nullable(),
  waitingFor: z.string().nullable(),
  startedAtMs: AtMs,
  deadlineAtMs: AtMs,
  endedAtMs: AtMs.nullable(),
  startedBy: z.string(),
});
export type Rollout = z.infer<typeof Rollout>;
