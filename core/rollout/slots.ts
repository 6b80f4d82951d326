// How the slots of a rollout's target stand, which of them are a reason to give up, and what is waited for, in words.
import type { InstanceFailure, Refusal, RolloutFailure } from "../../contracts/failures.ts";
import { refusalText } from "../../contracts/refusal-text.ts";
import type { InstanceId, NodeId } from "../../contracts/ids.ts";
import type { Limits } from "../limits.ts";
import { assertNever } from "../step.ts";

/** How one wanted slot of the rollout's target stands now. waitsForOld: nothing is placed before the old is known stopped. roomComing: instances of the same app are about to give back room. */
export type SlotView =
  | { readonly kind: "missing"; readonly waitsForOld?: boolean }
  | {
      readonly kind: "placing";
      readonly refusal: Refusal | null;
      readonly refusedSinceMs: number | null;
      readonly roomComing: boolean;
    }
  | ({ readonly kind: "starting"; readonly status: string; readonly startedAtMs: number | null } & Placed)
  | ({
      readonly kind: "crashing";
      readonly crashes: number;
      readonly everReady: boolean;
      readonly failure: InstanceFailure;
    } & Placed)
  | ({ readonly kind: "failed"; readonly failure: InstanceFailure } & Placed)
  | ({ readonly kind: "ready" } & Placed);
export interface Placed {
  readonly instance: InstanceId;
  readonly generation: number;
  readonly node: NodeId | null;
}
export type ReadySlot = Extract<SlotView, { kind: "ready" }>;
export const isReadySlot = (slot: SlotView): slot is ReadySlot => slot.kind === "ready";

const noCapacity = (refusal: Refusal): RolloutFailure => ({
  kind: "no_capacity",
  refusal,
  message: refusalText(refusal),
});

/** Why this slot ends its rollout, or null. */
export function slotFailure(slot: SlotView, nowMs: number, limits: Limits): RolloutFailure | null {
  switch (slot.kind) {
    case "failed":
      return { kind: "instance", instance: slot.instance, node: slot.node, failure: slot.failure };
    case "crashing":
      if (slot.everReady || slot.crashes < limits.crashesMax) return null;
      return { kind: "instance", instance: slot.instance, node: slot.node, failure: slot.failure };
    case "starting": {
      if (slot.startedAtMs === null || nowMs < slot.startedAtMs + limits.startupBudgetMs) return null;
      const seconds = Math.round((nowMs - slot.startedAtMs) / 1_000);
      const message = `It was not ready ${seconds} s after it was first started.`;
      const failure: InstanceFailure = { code: "never_ready", message, exitCode: null, signal: null, logTail: [] };
      return { kind: "instance", instance: slot.instance, node: slot.node, failure };
    }
    case "placing":
      if (!slot.refusal || slot.refusedSinceMs === null) return null;
      if (slot.refusal.impossible) return noCapacity(slot.refusal);
      if (slot.roomComing) return null;
      return nowMs >= slot.refusedSinceMs + limits.placementPatienceMs ? noCapacity(slot.refusal) : null;
    case "missing":
    case "ready":
      return null;
    default:
      return assertNever(slot);
  }
}

/** When time alone makes it a reason to give up, or null. */
export function slotWakeAtMs(slot: SlotView, limits: Limits): number | null {
  if (slot.kind === "starting" && slot.startedAtMs !== null) return slot.startedAtMs + limits.startupBudgetMs;
  if (slot.kind !== "placing" || slot.refusedSinceMs === null || slot.roomComing) return null;
  return slot.refusedSinceMs + limits.placementPatienceMs;
}

/** `2 of 3 ready; 1 pulling` */
export function waitingForOf(slots: readonly SlotView[]): string | null {
  const counts = new Map<string, number>();
  let ready = 0;
  for (const slot of slots) {
    if (slot.kind === "ready") ready += 1;
    else {
      const word = wordFor(slot);
      counts.set(word, (counts.get(word) ?? 0) + 1);
    }
  }
  if (counts.size === 0) return null;
  return [`${ready} of ${slots.length} ready`, ...[...counts].map(([word, count]) => `${count} ${word}`)].join("; ");
}

function wordFor(slot: SlotView): string {
  if (slot.kind === "starting") return slot.status;
  if (slot.kind === "placing" && slot.refusal) return "without room";
  return slot.kind === "missing" && slot.waitsForOld ? "waiting for the old one to be known stopped" : slot.kind;
}
