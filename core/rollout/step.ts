// Decides what becomes of a rollout. Pure and total: every phase takes every event; final phases stay as they are.
import { instanceKey } from "../../contracts/desired.ts";
import type { InstanceFailure, Refusal, RolloutFailure } from "../../contracts/failures.ts";
import { refusalText } from "../../contracts/refusal-text.ts";
import type { InstanceId, NodeId } from "../../contracts/ids.ts";
import type { Limits } from "../limits.ts";
import { assertNever } from "../step.ts";
import type { RolloutPhase, RolloutRow } from "./types.ts";

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
interface Placed {
  readonly instance: InstanceId;
  readonly generation: number;
  readonly node: NodeId | null;
}

export interface VerifyResult {
  readonly instance: InstanceId;
  readonly generation: number;
  readonly ok: boolean;
  readonly message: string;
}

export type RolloutEvent =
  | { readonly kind: "look"; readonly slots: readonly SlotView[] }
  | { readonly kind: "verified"; readonly slots: readonly SlotView[]; readonly results: readonly VerifyResult[] }
  | { readonly kind: "cancel" }
  | { readonly kind: "supersede" };

export const isActive = (phase: RolloutPhase): boolean => phase.kind === "rolling" || phase.kind === "verifying";

/** The next phase; the very same object when nothing changed. */
export function stepRollout(row: RolloutRow, event: RolloutEvent, nowMs: number, limits: Limits): RolloutPhase {
  const { phase } = row;
  if (phase.kind !== "rolling" && phase.kind !== "verifying") return phase;
  switch (event.kind) {
    case "cancel":
      return { kind: "cancelled", ready: phase.ready, endedAtMs: nowMs };
    case "supersede":
      return { kind: "superseded", ready: phase.ready, endedAtMs: nowMs };
    case "look":
    case "verified":
      return unlessSame(phase, lookAgain(row, phase, event, nowMs, limits));
    default:
      return assertNever(event);
  }
}

type Active = Extract<RolloutPhase, { kind: "rolling" | "verifying" }>;
type Look = Extract<RolloutEvent, { kind: "look" | "verified" }>;

function lookAgain(row: RolloutRow, phase: Active, event: Look, nowMs: number, limits: Limits): RolloutPhase {
  const { slots } = event;
  const ready = slots.filter((slot) => slot.kind === "ready");
  const failure = failureOf(row, phase, slots, nowMs, limits);
  if (failure) return { kind: "failed", ready: ready.length, failure, endedAtMs: nowMs };
  if (ready.length < slots.length) return { kind: "rolling", ready: ready.length, waitingFor: waitingForOf(slots) };

  const results = event.kind === "verified" ? event.results : [];
  const before = phase.kind === "verifying" ? phase : null;
  const now = new Map(ready.map((slot) => [instanceKey(slot), slot]));
  const answered = results.filter((result) => result.ok).map(instanceKey);
  const verified = [...new Set([...(before?.verified ?? []), ...answered])].filter((key) => now.has(key)).sort();
  if (verified.length === slots.length) return { kind: "completed", ready: ready.length, endedAtMs: nowMs };
  const miss = results.find((result) => !result.ok && now.has(instanceKey(result)));
  const lastMiss = miss
    ? { instance: miss.instance, node: now.get(instanceKey(miss))?.node ?? null, message: miss.message }
    : (before?.lastMiss ?? null);
  const sinceMs = before?.sinceMs ?? nowMs;
  if (lastMiss && nowMs >= sinceMs + limits.verifyPatienceMs) {
    return { kind: "failed", ready: ready.length, failure: { kind: "verification", ...lastMiss }, endedAtMs: nowMs };
  }
  return { kind: "verifying", ready: ready.length, sinceMs, verified, lastMiss };
}

/** The first reason to give up, or null. An instance's own reason is worth more than a deadline's. */
function failureOf(
  row: RolloutRow,
  phase: Active,
  slots: readonly SlotView[],
  nowMs: number,
  limits: Limits,
): RolloutFailure | null {
  for (const slot of slots) {
    const failure = slotFailure(slot, nowMs, limits);
    if (failure) return failure;
  }
  if (nowMs < row.deadlineAtMs) return null;
  if (phase.kind === "verifying" && phase.lastMiss) return { kind: "verification", ...phase.lastMiss };
  return { kind: "deadline", waitedMs: nowMs - row.startedAtMs, waitingFor: waitingForOf(slots) ?? "verification" };
}

const noCapacity = (refusal: Refusal): RolloutFailure => ({
  kind: "no_capacity",
  refusal,
  message: refusalText(refusal),
});

function slotFailure(slot: SlotView, nowMs: number, limits: Limits): RolloutFailure | null {
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

/** When time alone can change the answer, or null. */
export function rolloutWakeAtMs(row: RolloutRow, slots: readonly SlotView[], limits: Limits): number | null {
  if (!isActive(row.phase)) return null;
  const times = [row.deadlineAtMs];
  for (const slot of slots) {
    if (slot.kind === "starting" && slot.startedAtMs !== null) times.push(slot.startedAtMs + limits.startupBudgetMs);
    if (slot.kind === "placing" && slot.refusedSinceMs !== null && !slot.roomComing) {
      times.push(slot.refusedSinceMs + limits.placementPatienceMs);
    }
  }
  if (row.phase.kind === "verifying" && row.phase.lastMiss) times.push(row.phase.sinceMs + limits.verifyPatienceMs);
  return Math.min(...times);
}

/** `2 of 3 ready; 1 pulling` */
function waitingForOf(slots: readonly SlotView[]): string | null {
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

function unlessSame(before: RolloutPhase, after: RolloutPhase): RolloutPhase {
  return JSON.stringify(before) === JSON.stringify(after) ? before : after;
}
