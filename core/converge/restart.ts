// When an ended instance is started again, and when it is given up.
import type { InstanceFailure } from "../../contracts/failures.ts";
import type { AgentLimits } from "./limits.ts";

/** Milliseconds from the end of run number `crashes` (counted from 1) to the next start: 0, 1 s, 2 s, 4 s … 5 min. */
export function restartDelayMs(crashes: number, limits: AgentLimits): number {
  if (crashes <= 1) return 0;
  return Math.min(limits.restartBackoffMinMs * 2 ** Math.min(crashes - 2, 40), limits.restartBackoffMaxMs);
}

/** What no further try on this node can mend. */
const PERMANENT: readonly InstanceFailure["code"][] = [
  "image_not_found",
  "image_wrong_platform",
  "start_failed",
  "never_ready",
];

/** An instance that was ready once is retried for ever: what it needs was there, and may be again. */
export function isGivenUp(failure: InstanceFailure, everReady: boolean): boolean {
  return !everReady && PERMANENT.includes(failure.code);
}

/** What a run can end of. One-off instances run once: none of these is followed by another run. */
const OF_A_RUN: readonly InstanceFailure["code"][] = [
  "exited",
  "out_of_memory",
  "out_of_disk",
  "log_flood",
  "timed_out",
];
export const hasRun = ({ code }: InstanceFailure): boolean => OF_A_RUN.includes(code);

/** How many ends in a row this one makes. readyForMs: how long the run that ended had been ready, 0 if it never was. */
export function crashesAfter(crashesBefore: number, readyForMs: number, limits: AgentLimits): number {
  return readyForMs >= limits.restartResetAfterReadyMs ? 1 : crashesBefore + 1;
}

/** cause: what ended it, where it was not the instance's own doing. */
export interface End {
  readonly code: InstanceFailure["code"];
  readonly cause: "engine" | "missing" | "disk" | "logs" | "memory" | null;
  readonly readyForMs: number;
}

/**
 * The count after this end, and how long until the next start. What went down with its Engine did not crash, and is started
 * as soon as it can be; a fetch that a full disk refused was not even tried, and is asked for again when the disk was looked at.
 */
export function afterEnd(crashesBefore: number, end: End, limits: AgentLimits): { crashes: number; delayMs: number } {
  if (end.cause === "engine") return { crashes: crashesBefore, delayMs: 0 };
  if (end.code === "disk_pressure") return { crashes: crashesBefore, delayMs: limits.diskRetryMs };
  const crashes = crashesAfter(crashesBefore, end.readyForMs, limits);
  return { crashes, delayMs: restartDelayMs(crashes, limits) };
}
