// What a look at a rollout sees: its slots, its command's one-off instance, and the verifier's answers.
import { instanceKey } from "../../contracts/desired.ts";
import type { InstanceId } from "../../contracts/ids.ts";
import { isReadySlot, type SlotView } from "./slots.ts";
import { stagesOf, type Stage } from "./stages.ts";
import { isActive, planOf, type RolloutRow } from "./types.ts";

export interface VerifyResult {
  readonly instance: InstanceId;
  readonly generation: number;
  readonly ok: boolean;
  readonly message: string;
  /** It answered, but not as the smoke check wants. */
  readonly smoke?: boolean;
}

/** The one-off instance of the command that the phase waits for. exitCode null: nobody knows. */
export type JobView =
  | { readonly kind: "under_way"; readonly slot: SlotView; readonly startedAtMs: number | null }
  | {
      readonly kind: "ended";
      readonly exitCode: number | null;
      readonly message: string;
      readonly logTail: readonly string[];
    };

/** slots: all of `to`, by ordinal, wanted yet or not. beside: those of what is to serve beside it. */
export interface Seen {
  readonly slots: readonly SlotView[];
  readonly beside?: readonly SlotView[];
  readonly job?: JobView | null;
}

/** Of `to` and beside it: what is wanted now. */
export function wantedSlots(row: RolloutRow, { slots, beside = [] }: Seen): readonly SlotView[] {
  return [...slots.slice(0, row.slots ?? row.to.replicas), ...beside];
}

export const isVerified = (row: RolloutRow, slot: SlotView): boolean =>
  isReadySlot(slot) && (row.verified ?? []).includes(instanceKey(slot));

/** Whether its judge has, or will have, anything to compare: only then need anybody count for it. */
export function hasJudge(row: RolloutRow): boolean {
  if (!planOf(row).analysis || !row.from || row.from.release === row.to.release || row.reason === "traffic")
    return false;
  return stagesOf(row).some(isOnTrial);
}

const isOnTrial = ({ on }: Stage): boolean => on === "step" || on === "trial";

/** Whether it was let have any, by step, switch or hand. */
export const hasTraffic = (row: RolloutRow): boolean =>
  isActive(row.phase) && row.phase.kind !== "preparing" && ((row.weight ?? 0) > 0 || !!row.switchedAtMs);

/** Whether what was counted is compared now: as long as the new release has traffic, whatever is done meanwhile. */
export const isJudged = (row: RolloutRow): boolean => hasTraffic(row) && hasJudge(row);
