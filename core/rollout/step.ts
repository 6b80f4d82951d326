// Decides what becomes of a rollout. Pure and total: every phase takes every event; final phases stay as they are.
import { instanceKey } from "../../contracts/desired.ts";
import type { Limits } from "../limits.ts";
import { assertNever } from "../step.ts";
import { nextBatch } from "./batches.ts";
import { nextStage, rolledAgain } from "./commands.ts";
import { withFallen } from "./fall.ts";
import { failureOf } from "./give-up.ts";
import { isJudged, isVerified, wantedSlots, type Seen, type VerifyResult } from "./seen.ts";
import { isReadySlot, waitingForOf, type ReadySlot, type SlotView } from "./slots.ts";
import { stageOf, stagesOf } from "./stages.ts";
import { isActive, planOf, type ActivePhase, type RolloutRow } from "./types.ts";

export type RolloutEvent =
  | { readonly kind: "look"; readonly seen: Seen; readonly results?: readonly VerifyResult[] | null }
  | { readonly kind: "cancel" }
  | { readonly kind: "supersede" };

/** Stages, and the phases of each, are far fewer: beyond that it is a fault, not a rollout. */
const TRANSITIONS_MAX = 200;

/** The row as it is now; the very same object when nothing changed. */
export function stepRollout(row: RolloutRow, event: RolloutEvent, nowMs: number, limits: Limits): RolloutRow {
  const { phase } = row;
  if (!isActive(phase)) return row;
  switch (event.kind) {
    case "cancel":
      return { ...row, phase: { kind: "cancelled", ready: phase.ready, endedAtMs: nowMs } };
    case "supersede":
      return { ...row, phase: { kind: "superseded", ready: phase.ready, endedAtMs: nowMs } };
    case "look":
      return lookAgain(row, event.seen, event.results ?? [], nowMs, limits);
    default:
      return assertNever(event);
  }
}

function lookAgain(
  row: RolloutRow,
  seen: Seen,
  results: readonly VerifyResult[],
  nowMs: number,
  limits: Limits,
): RolloutRow {
  let now = withFallen(row, withResults(row, seen, results, nowMs), seen, nowMs, limits);
  for (let transitions = 0; transitions < TRANSITIONS_MAX && isActive(now.phase); transitions += 1) {
    const after = turned(now, seen, nowMs, limits);
    if (same(after, now)) break;
    now = after;
  }
  return same(now, row) ? row : now;
}

/** One transition at most: a look makes as many as there are to make. */
export function turned(row: RolloutRow, seen: Seen, nowMs: number, limits: Limits): RolloutRow {
  const counted = withReady(row, wantedSlots(row, seen));
  const failure = failureOf(counted, seen, nowMs, limits);
  const { ready } = counted.phase;
  return failure
    ? { ...counted, phase: { kind: "failed", ready, failure, endedAtMs: nowMs } }
    : advanced(counted, seen, nowMs);
}

/** What became of those that were asked. Who is ready no more has to answer again. */
function withResults(row: RolloutRow, seen: Seen, results: readonly VerifyResult[], nowMs: number): RolloutRow {
  const now = new Map(
    [...seen.slots, ...(seen.beside ?? [])].filter(isReadySlot).map((slot) => [instanceKey(slot), slot]),
  );
  const answered = results.filter(({ ok }) => ok).map(instanceKey);
  const verified = [...new Set([...(row.verified ?? []), ...answered])].filter((key) => now.has(key)).sort();
  return { ...row, verified, miss: missOf(row, now, verified, results, nowMs) };
}

function missOf(
  row: RolloutRow,
  now: ReadonlyMap<string, ReadySlot>,
  verified: readonly string[],
  results: readonly VerifyResult[],
  nowMs: number,
): RolloutRow["miss"] {
  // Not by generation: who was not asked at all, because the route leaves it out, is answered for without one.
  const asked = new Map([...now.values()].map((slot) => [slot.instance, slot]));
  const fresh = results.find(({ ok, instance }) => !ok && asked.has(instance));
  if (fresh) {
    const node = asked.get(fresh.instance)?.node ?? null;
    const { instance, message, smoke = false } = fresh;
    const sinceMs = row.miss?.smoke === smoke ? row.miss.sinceMs : nowMs;
    return { instance, node, message, smoke, sinceMs };
  }
  const { miss } = row;
  if (!miss) return null;
  const isThere = [...now].some(([key, { instance }]) => instance === miss.instance && !verified.includes(key));
  return isThere ? miss : null;
}

function withReady(row: RolloutRow, wanted: readonly SlotView[]): RolloutRow & { readonly phase: ActivePhase } {
  const phase = row.phase as ActivePhase;
  return { ...row, phase: { ...phase, ready: wanted.filter(isReadySlot).length } };
}

type ActiveRow = RolloutRow & { readonly phase: ActivePhase };

/** One transition, or none. Paused: nothing further begins, nothing ends. */
function advanced(row: ActiveRow, seen: Seen, nowMs: number): RolloutRow {
  const { phase } = row;
  switch (phase.kind) {
    case "preparing":
      return seen.job?.kind === "ended" && !row.paused ? begun({ ...row, prepared: true }) : row;
    case "rolling":
      return rolled(row, seen, nowMs);
    case "verifying":
      return verifiedOf(row, seen, nowMs);
    case "holding":
      return held(row, seen, nowMs);
    case "finishing":
      if (row.paused || seen.job?.kind !== "ended") return row;
      // Another size, or a lost instance, since they were asked.
      if (!isAllThere(row) || !wantedSlots(row, seen).every((slot) => isVerified(row, slot))) return rolledAgain(row);
      return { ...row, phase: { kind: "completed", ready: phase.ready, endedAtMs: nowMs } };
    default:
      return assertNever(phase);
  }
}

/** The first stage. A rolling one with little room begins with what its first batch may have. */
export function begun(row: RolloutRow): RolloutRow {
  const [first] = stagesOf(row);
  const isBatched = planOf(row).strategy.kind === "rolling" && first!.weight === "ready";
  return { ...row, slots: isBatched ? 0 : first!.slots, phase: { kind: "rolling", ready: 0, waitingFor: null } };
}

/** As many as the stage asks for are wanted, not only a batch of them. */
const isAllThere = (row: RolloutRow): boolean => (row.slots ?? row.to.replicas) >= stageOf(row).slots;

function rolled(row: ActiveRow, seen: Seen, nowMs: number): RolloutRow {
  const wanted = wantedSlots(row, seen);
  const isReady = wanted.every(isReadySlot);
  if (!row.paused) {
    const smoked = planOf(row).smoke !== undefined;
    const ready = seen.slots
      .slice(0, row.slots)
      .filter((slot) => isReadySlot(slot) && (!smoked || isVerified(row, slot)));
    const complete = isReady && (!smoked || wanted.every((slot) => isVerified(row, slot)));
    const next = nextBatch(row, { ready: ready.length, complete }, nowMs);
    if (next !== row) return next;
  }
  if (isReady && isAllThere(row))
    return { ...row, phase: { kind: "verifying", ready: row.phase.ready, sinceMs: nowMs } };
  const text = waitingForOf(wanted) ?? (row.paused ? "somebody to resume it" : "the pause between two batches");
  return { ...row, phase: { kind: "rolling", ready: row.phase.ready, waitingFor: text } };
}

function verifiedOf(row: ActiveRow, seen: Seen, nowMs: number): RolloutRow {
  const wanted = wantedSlots(row, seen);
  if (!isAllThere(row) || !wanted.every(isReadySlot)) return rolledAgain(row);
  if (row.paused && row.manualWeight == null) return row;
  return wanted.every((slot) => isVerified(row, slot)) ? passed(row, nowMs) : row;
}

/** All that the stage wants is there: it gets its weight, and keeps it for as long as the plan says. */
function passed(row: ActiveRow, nowMs: number): RolloutRow {
  const { weight, holdMs } = stageOf(row);
  const { ready } = row.phase;
  const stage = row.stage ?? 0;
  const share = typeof weight === "number" ? weight : 100;
  const switchedAtMs = share === 100 ? (row.switchedAtMs ?? nowMs) : null;
  const weighed = { ...reweighed(row, typeof weight === "number" ? weight : row.weight), switchedAtMs };
  if (holdMs !== 0 && (row.manualWeight != null || (row.heldStage ?? -1) < stage)) {
    const untilMs = holdMs === null ? null : nowMs + holdMs;
    return { ...weighed, phase: { kind: "holding", ready, weight: share, sinceMs: nowMs, untilMs } };
  }
  if (stage < stagesOf(row).length - 1) return nextStage(weighed);
  if (planOf(row).after) return { ...weighed, phase: { kind: "finishing", ready, sinceMs: nowMs } };
  return { ...weighed, phase: { kind: "completed", ready, endedAtMs: nowMs } };
}

/** By another weight it is judged anew: what was said of the one before is over. */
function reweighed(row: ActiveRow, weight: number | undefined): ActiveRow {
  if (weight === undefined || weight === row.weight) return row;
  return { ...row, weight, verdict: null, lastVerdict: row.verdict ?? row.lastVerdict ?? null };
}

function held(row: ActiveRow, seen: Seen, nowMs: number): RolloutRow {
  const { phase } = row;
  if (phase.kind !== "holding") return row;
  // Lost with their nodes: others come, and the hold begins anew with them.
  if (phase.ready === 0 && wantedSlots(row, seen).length > 0) return rolledAgain(row);
  if (row.paused || phase.untilMs === null || nowMs < phase.untilMs) return row;
  return mayGoOn(row) ? nextStage(row) : row;
}

/** By its judge, if it has one. A green on trial that nobody visits has done nothing wrong. */
function mayGoOn(row: RolloutRow): boolean {
  const stage = stageOf(row);
  if (!isJudged(row)) return true;
  const { verdict } = row;
  if (!verdict) return false;
  if (verdict.kind === "no_traffic") return stage.on === "trial" || verdict.rule === "pass";
  return verdict.kind === "pass";
}

/** Field by field: most are the very same, and the judge's state is long. */
function same(one: RolloutRow, other: RolloutRow): boolean {
  if (one === other) return true;
  const fields = new Set([...Object.keys(one), ...Object.keys(other)]) as Set<keyof RolloutRow>;
  for (const field of fields) {
    if (one[field] !== other[field] && JSON.stringify(one[field]) !== JSON.stringify(other[field])) return false;
  }
  return true;
}
