// What a rollout is, durably: where from, where to, and the phase it is in.
import type { RolloutFailure } from "../../contracts/failures.ts";
import type { InstanceId, NodeId, ReleaseId, RolloutId } from "../../contracts/ids.ts";
import type { Rollout } from "../../contracts/api.ts";

/** A state the app can be in: how many of which release. cohort: which generation of instances counts for it (a restart is a new cohort of the same release). */
export interface Target {
  readonly release: ReleaseId;
  readonly version: number;
  readonly replicas: number;
  readonly cohort: string;
}

export type RolloutReason = Rollout["reason"];

/** verified: keys (instanceKey) that answered through the edge's own code. lastMiss: the newest answer that was none. */
export type RolloutPhase =
  | { readonly kind: "rolling"; readonly ready: number; readonly waitingFor: string | null }
  | {
      readonly kind: "verifying";
      readonly ready: number;
      readonly sinceMs: number;
      readonly verified: readonly string[];
      readonly lastMiss: {
        readonly instance: InstanceId;
        readonly node: NodeId | null;
        readonly message: string;
      } | null;
    }
  | { readonly kind: "completed"; readonly ready: number; readonly endedAtMs: number }
  | { readonly kind: "failed"; readonly ready: number; readonly failure: RolloutFailure; readonly endedAtMs: number }
  | { readonly kind: "cancelled"; readonly ready: number; readonly endedAtMs: number }
  | { readonly kind: "superseded"; readonly ready: number; readonly endedAtMs: number };

export interface RolloutRow {
  readonly id: RolloutId;
  readonly reason: RolloutReason;
  /** What serves if this rollout does not complete; null before the first release that completed. */
  readonly from: Target | null;
  readonly to: Target;
  readonly startedAtMs: number;
  readonly deadlineAtMs: number;
  readonly startedBy: string;
  /** Instances of `from` given up early because their room was needed; never more than instances of `to` were ready. */
  readonly shed: number;
  readonly phase: RolloutPhase;
}
