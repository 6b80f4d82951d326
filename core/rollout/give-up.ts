// When a rollout ends without completing, and why; and when time alone will make it look again.
import type { RolloutFailure } from "../../contracts/failures.ts";
import type { Limits } from "../limits.ts";
import { batchWakeAtMs } from "./batches.ts";
import { fallWakeAtMs, hasFallen } from "./fall.ts";
import { hasTraffic, isJudged, wantedSlots, type JobView, type Seen } from "./seen.ts";
import { isReadySlot, slotFailure, slotWakeAtMs, waitingForOf } from "./slots.ts";
import { stageOf, stagesOf } from "./stages.ts";
import { isActive, planOf, type RolloutRow } from "./types.ts";

/** The first reason to give up, or null. An instance's own reason is worth more than a deadline's. */
export function failureOf(row: RolloutRow, seen: Seen, nowMs: number, limits: Limits): RolloutFailure | null {
  const wanted = wantedSlots(row, seen);
  const died = diedOf(row, seen, nowMs, limits);
  if (died) return died;
  const command = commandFailure(row, seen.job ?? null, nowMs, limits);
  if (command) return command;
  if (row.phase.kind !== "preparing") {
    for (const slot of wanted) {
      const failure = slotFailure(slot, nowMs, limits);
      if (failure) return failure;
    }
  }
  if (row.verdict?.kind === "fail" && isJudged(row)) {
    return { kind: "analysis", message: row.verdict.reason, verdict: row.verdict };
  }
  const missed = missFailure(row, nowMs, limits);
  if (missed) return missed;
  if (nowMs < row.deadlineAtMs) return null;
  if (row.phase.kind === "verifying" && row.miss) return ofMiss(row.miss);
  return { kind: "deadline", waitedMs: nowMs - row.startedAtMs, waitingFor: waitingFor(row, seen) };
}

/** All of the new are down while they have traffic: those before serve on. On trial it does not matter why they are. */
function diedOf(row: RolloutRow, seen: Seen, nowMs: number, limits: Limits): RolloutFailure | null {
  const wanted = wantedSlots(row, seen);
  const isOnTrial = stageOf(row).on === "trial" && hasTraffic(row);
  const isGone = isOnTrial && wanted.length > 0 && !wanted.some(isReadySlot);
  if (!isGone && !hasFallen(row, nowMs, limits)) return null;
  const text = waitingForOf(wanted) ?? "none ready";
  const when = row.switchedAtMs ? "after the switch" : `at ${row.weight ?? 0} % of the traffic`;
  return { kind: "died", message: `No instance of v${row.to.version} was ready any more ${when}: ${text}.` };
}

function commandFailure(row: RolloutRow, job: JobView | null, nowMs: number, limits: Limits): RolloutFailure | null {
  const { phase } = row;
  if (phase.kind !== "preparing" && phase.kind !== "finishing") return null;
  const which = phase.kind === "preparing" ? "before" : "after";
  const timeoutMs = planOf(row)[which]?.timeoutMs ?? 0;
  if (!job) return null;
  if (job.kind === "ended") {
    if (job.exitCode === 0) return null;
    return { kind: "command", which, exitCode: job.exitCode, message: job.message, logTail: [...job.logTail] };
  }
  if (job.startedAtMs !== null && nowMs >= job.startedAtMs + timeoutMs + limits.jobSlackMs) {
    const message = `It had not ended ${Math.round((nowMs - job.startedAtMs) / 1_000)} s after it was started.`;
    return { kind: "command", which, exitCode: null, message, logTail: [] };
  }
  return job.slot.kind === "starting" ? null : slotFailure(job.slot, nowMs, limits);
}

function missFailure(row: RolloutRow, nowMs: number, limits: Limits): RolloutFailure | null {
  const { miss, phase } = row;
  if (!miss || nowMs < miss.sinceMs + patienceMs(row, limits)) return null;
  // Without a smoke check only a verification that everything waits for counts.
  return miss.smoke || phase.kind === "verifying" ? ofMiss(miss) : null;
}

const patienceMs = ({ miss }: RolloutRow, limits: Limits): number =>
  miss?.smoke ? limits.smokePatienceMs : limits.verifyPatienceMs;

function ofMiss({ instance, node, message, smoke }: NonNullable<RolloutRow["miss"]>): RolloutFailure {
  return { kind: smoke ? "smoke" : "verification", instance, node, message };
}

/** What the rollout is waiting for, in words. */
export function waitingFor(row: RolloutRow, seen: Seen | null): string {
  const { phase, paused } = row;
  if (paused) return `somebody to resume it: paused by ${paused.by}${paused.reason ? ` (${paused.reason})` : ""}`;
  switch (phase.kind) {
    case "preparing":
      return "the command before the release";
    case "rolling":
      return (seen && waitingForOf(wantedSlots(row, seen))) ?? phase.waitingFor ?? "its instances";
    case "verifying":
      return row.miss?.message ?? "an answer through the edge from every replica";
    case "finishing":
      return "the command after the release";
    case "holding":
      return holdingFor(row, phase.untilMs);
    default:
      return "nothing";
  }
}

function holdingFor(row: RolloutRow, untilMs: number | null): string {
  const { on, weight } = stageOf(row);
  if (on === "preview") return "somebody to promote it: all traffic to the new release";
  if (untilMs === null) return `somebody to promote it from ${weight} %`;
  const stages = stagesOf(row).length;
  const step =
    on === "trial" ? "the trial after the switch" : `step ${(row.stage ?? 0) + 1} of ${stages} (${weight} %)`;
  const { verdict } = row;
  return verdict && verdict.kind !== "pass" && isJudged(row) ? `${step}: ${verdict.reason}` : step;
}

/** When time alone can change the answer, or null. */
export function rolloutWakeAtMs(row: RolloutRow, seen: Seen, nowMs: number, limits: Limits): number | null {
  const { phase, miss } = row;
  if (!isActive(phase)) return null;
  const times: (number | null)[] = [row.deadlineAtMs, batchWakeAtMs(row), fallWakeAtMs(row, limits)];
  for (const slot of wantedSlots(row, seen)) times.push(slotWakeAtMs(slot, limits));
  if (miss && (miss.smoke || phase.kind === "verifying")) times.push(miss.sinceMs + patienceMs(row, limits));
  // What is over and still held waits for its judge, who is asked at his own times.
  if (phase.kind === "holding" && !row.paused && (phase.untilMs ?? 0) > nowMs) times.push(phase.untilMs);
  if (seen.job?.kind === "under_way") {
    const which = phase.kind === "preparing" ? "before" : "after";
    const { slot, startedAtMs } = seen.job;
    const timeoutMs = planOf(row)[which]?.timeoutMs ?? 0;
    times.push(startedAtMs === null ? null : startedAtMs + timeoutMs + limits.jobSlackMs, slotWakeAtMs(slot, limits));
  }
  return Math.min(...times.filter((time) => time !== null));
}
