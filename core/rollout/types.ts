// What a rollout is, durably: where from, where to, by which plan, and the phase it is in.
import type { AnalysisVerdict } from "../../contracts/analysis.ts";
import type { Rollout } from "../../contracts/api.ts";
import type { RolloutFailure } from "../../contracts/failures.ts";
import type { InstanceId, NodeId, ReleaseId, RolloutId } from "../../contracts/ids.ts";
import { RolloutPlan } from "../../contracts/rollout-plan.ts";
import type { JudgeState } from "../analysis/state.ts";

/** A state the app can be in: how many of which release. cohort: which generation of instances counts for it (a restart is a new cohort of the same release). */
export interface Target {
  readonly release: ReleaseId;
  readonly version: number;
  readonly replicas: number;
  readonly cohort: string;
}

/** What serves beside the primary, and its percentage of all traffic; the primary has what the others leave. */
export interface Share {
  readonly target: Target;
  readonly weight: number;
}

export type RolloutReason = Rollout["reason"];

/**
 * preparing: the command before. rolling: instances come. verifying: each of them is asked through the edge's own code. holding: a
 * canary step, a green that waits to be promoted or is on trial. finishing: the command after. The others are final.
 */
export type RolloutPhase =
  | { readonly kind: "preparing"; readonly ready: number; readonly sinceMs: number }
  | { readonly kind: "rolling"; readonly ready: number; readonly waitingFor: string | null }
  | { readonly kind: "verifying"; readonly ready: number; readonly sinceMs: number }
  | {
      readonly kind: "holding";
      readonly ready: number;
      readonly weight: number;
      readonly sinceMs: number;
      /** null: until promoted. */
      readonly untilMs: number | null;
    }
  | { readonly kind: "finishing"; readonly ready: number; readonly sinceMs: number }
  | { readonly kind: "completed"; readonly ready: number; readonly endedAtMs: number }
  | { readonly kind: "failed"; readonly ready: number; readonly failure: RolloutFailure; readonly endedAtMs: number }
  | { readonly kind: "aborted"; readonly ready: number; readonly reason: string | null; readonly endedAtMs: number }
  | { readonly kind: "cancelled"; readonly ready: number; readonly endedAtMs: number }
  | { readonly kind: "superseded"; readonly ready: number; readonly endedAtMs: number };
export type ActivePhase = Extract<
  RolloutPhase,
  { kind: "preparing" | "rolling" | "verifying" | "holding" | "finishing" }
>;

export interface Paused {
  readonly sinceMs: number;
  readonly by: string;
  readonly reason: string | null;
}

/** An instance that did not answer, or not as the smoke check wants; sinceMs: since when there has been one. */
export interface Miss {
  readonly instance: InstanceId;
  readonly node: NodeId | null;
  readonly message: string;
  readonly smoke: boolean;
  readonly sinceMs: number;
}

/** All that had answered are down (backAtMs null), or were lately. again: for the second time within a short while. */
export interface Fall {
  readonly sinceMs: number;
  readonly backAtMs: number | null;
  readonly again: boolean;
}

/** Optional fields are absent in rows of older versions. */
export interface RolloutRow {
  readonly id: RolloutId;
  readonly reason: RolloutReason;
  /** What serves if this rollout does not complete, with what serves beside it; null before the first release that completed. */
  readonly from: Target | null;
  readonly fromAside?: readonly Share[];
  readonly to: Target;
  readonly toAside?: readonly Share[];
  readonly plan?: RolloutPlan;
  readonly startedAtMs: number;
  readonly deadlineAtMs: number;
  /** Nobody said when: it grows with the app. */
  readonly deadlineByPlan?: boolean;
  readonly startedBy: string;
  /** Instances of `from` given up early, because their room was needed or by plan; never more than the plan's policy allows. */
  readonly shed: number;
  /** Of these, by plan (maxSurge, maxUnavailable): they drain for as long as ever. */
  readonly shedByPlan?: number;
  /** Rises with each change of phase, stage or command: what If-Match is held against. */
  readonly revision?: number;
  readonly paused?: Paused | null;
  /** The command before has ended well. */
  readonly prepared?: boolean;
  /** Index in stagesOf; the last stage whose hold is over. */
  readonly stage?: number;
  readonly heldStage?: number;
  /** So many of `to` are wanted now; absent: all. */
  readonly slots?: number;
  /** Percent of the traffic that `to` has been let have, where the stage says it. */
  readonly weight?: number;
  /** Set by hand instead of the present stage's weight. */
  readonly manualWeight?: number | null;
  /** Since when all of a batch have been ready. */
  readonly batchReadySinceMs?: number | null;
  /** When all traffic went to `to`. */
  readonly switchedAtMs?: number | null;
  /** Keys (instanceKey) that answered through the edge's own code. */
  readonly verified?: readonly string[];
  readonly miss?: Miss | null;
  /** Keys that had answered and are down, in their place still. */
  readonly fallen?: readonly string[];
  readonly fall?: Fall | null;
  /** Promoted to the end: nothing is held any more. */
  readonly full?: boolean;
  /** Somebody insisted, knowing that a release of it had not passed its checks: they are not asked for again. */
  readonly forced?: boolean;
  readonly judge?: JudgeState | null;
  readonly verdict?: AnalysisVerdict | null;
  /** Of the step before, once that is over: what it went on by. */
  readonly lastVerdict?: AnalysisVerdict | null;
  readonly phase: RolloutPhase;
}

/** What an app without a plan is rolled by. */
export const DEFAULT_PLAN: RolloutPlan = RolloutPlan.parse({});
export const planOf = (row: Pick<RolloutRow, "plan">): RolloutPlan => row.plan ?? DEFAULT_PLAN;

export const isActive = (phase: RolloutPhase): phase is ActivePhase =>
  phase.kind === "preparing" ||
  phase.kind === "rolling" ||
  phase.kind === "verifying" ||
  phase.kind === "holding" ||
  phase.kind === "finishing";
