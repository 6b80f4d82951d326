// What an operator may say to a rollout at any moment: pause, resume, promote, abort, cancel.
import type { RolloutCommand } from "../../contracts/rollout-plan.ts";
import { assertNever } from "../step.ts";
import { stageOf, stagesOf } from "./stages.ts";
import { isActive, planOf, type RolloutRow } from "./types.ts";

export interface Commanded {
  readonly command: RolloutCommand;
  /** Of promote: all that is left of the plan, not only the next of it. */
  readonly full?: boolean;
  readonly by: string;
  readonly reason: string | null;
}

/** refused: in words, why an active rollout cannot take the command now. The very same row where it is so already. */
export type CommandOutcome =
  { readonly kind: "taken"; readonly row: RolloutRow } | { readonly kind: "refused"; readonly message: string };

export function commandRollout(
  row: RolloutRow,
  { command, full, by, reason }: Commanded,
  nowMs: number,
): CommandOutcome {
  const { phase } = row;
  if (!isActive(phase)) return { kind: "taken", row };
  const { ready } = phase;
  switch (command) {
    case "pause":
      return { kind: "taken", row: row.paused ? row : { ...row, paused: { sinceMs: nowMs, by, reason } } };
    case "resume":
      return { kind: "taken", row: resumed(row, nowMs) };
    case "promote":
      return full ? promotedFully(row, nowMs) : promoted(row, nowMs);
    case "abort":
      return {
        kind: "taken",
        row: { ...row, paused: null, phase: { kind: "aborted", ready, reason, endedAtMs: nowMs } },
      };
    case "cancel":
      return { kind: "taken", row: { ...row, paused: null, phase: { kind: "cancelled", ready, endedAtMs: nowMs } } };
    default:
      return assertNever(command);
  }
}

/** The time of a hold, or between two batches, stood still meanwhile. A weight set by hand gives way to the plan's. */
function resumed(row: RolloutRow, nowMs: number): RolloutRow {
  const { paused, phase } = row;
  if (!paused) return row;
  if (hasManualWeight(row)) return rolledAgain({ ...row, paused: null, manualWeight: null });
  if (row.batchReadySinceMs) {
    const stoodMs = nowMs - Math.max(paused.sinceMs, row.batchReadySinceMs);
    return { ...row, paused: null, batchReadySinceMs: row.batchReadySinceMs + stoodMs };
  }
  if (phase.kind !== "holding" || phase.untilMs === null) return { ...row, paused: null };
  const stoodMs = nowMs - Math.max(paused.sinceMs, phase.sinceMs);
  return { ...row, paused: null, phase: { ...phase, untilMs: phase.untilMs + stoodMs } };
}

/** Ends the present hold: the next step of a canary, the switch of a green, the pause between batches. */
function promoted(row: RolloutRow, nowMs: number): CommandOutcome {
  const { phase } = row;
  if (phase.kind === "holding") return { kind: "taken", row: nextStage({ ...row, paused: null }) };
  if (row.batchReadySinceMs) {
    // As if it had been ready for ever: the pause is over.
    return { kind: "taken", row: { ...row, paused: null, batchReadySinceMs: Number.MIN_SAFE_INTEGER } };
  }
  if (row.paused && !hasManualWeight(row)) return { kind: "taken", row: resumed(row, nowMs) };
  return { kind: "refused", message: `There is nothing to promote yet: ${whereIs(row)}, and is held by nobody.` };
}

/**
 * All that is left at once: no step, trial or pause between batches is waited for. Everybody still has to be ready and to answer
 * before there is more traffic, and the commands are run.
 */
function promotedFully(row: RolloutRow, nowMs: number): CommandOutcome {
  const { phase } = row;
  if (phase.kind === "preparing") {
    return {
      kind: "refused",
      message: "There is nothing to promote yet: the command before the release has not ended.",
    };
  }
  if (phase.kind !== "finishing" && !row.full && isHeldSomewhere(row)) {
    const last = stagesOf(row).length - 1;
    const past = { manualWeight: null, batchReadySinceMs: null, stage: last, heldStage: last };
    return { kind: "taken", row: rolledAgain({ ...row, ...past, paused: null, full: true }) };
  }
  if (row.paused || row.full) return { kind: "taken", row: resumed(row, nowMs) };
  return {
    kind: "refused",
    message: `There is nothing left to promote: ${whereIs(row)}, and nothing is held after that.`,
  };
}

/** Now or later, unless somebody ends it: a step, a trial, a pause between batches, a weight set by hand. */
function isHeldSomewhere(row: RolloutRow): boolean {
  const { stage = 0, heldStage = -1 } = row;
  const { strategy } = planOf(row);
  if (hasManualWeight(row) || (strategy.kind === "rolling" && strategy.pauseMs > 0)) return true;
  return stagesOf(row).some(({ holdMs }, at) => at >= stage && at > heldStage && holdMs !== 0);
}

function whereIs(row: RolloutRow): string {
  const steps = stagesOf(row).length;
  const { kind } = row.phase;
  return steps > 1 ? `step ${(row.stage ?? 0) + 1} of ${steps} is ${kind}` : `it is ${kind}`;
}

const hasManualWeight = ({ manualWeight }: RolloutRow): boolean => manualWeight !== undefined && manualWeight !== null;

/** Back to bringing up what the present stage wants; what is ready and verified already passes at once. */
export function rolledAgain(row: RolloutRow): RolloutRow {
  const { phase } = row;
  if (!isActive(phase) || phase.kind === "preparing") return row;
  const stage = stageOf(row);
  const present = row.slots ?? row.to.replicas;
  // Batches grow by themselves.
  const slots = stage.weight === "ready" ? present : Math.max(present, stage.slots);
  return { ...row, slots, phase: { kind: "rolling", ready: phase.ready, waitingFor: null } };
}

/**
 * The present stage's hold is over: on to the next with more weight than was set by hand, if any was. After the last one the rollout
 * only has to see that all stand, and finish.
 */
export function nextStage(row: RolloutRow): RolloutRow {
  const stages = stagesOf(row);
  const stage = row.stage ?? 0;
  const manual = row.manualWeight ?? -1;
  const later = stages.findIndex(({ weight }, at) => at > stage && (typeof weight !== "number" || weight > manual));
  const next = later === -1 ? stages.length - 1 : later;
  const held = { heldStage: next > stage ? next - 1 : stage, manualWeight: null, batchReadySinceMs: null };
  return rolledAgain({ ...row, ...held, stage: next });
}
