// When the WebSockets of an instance that is to go are told so: spread, so that they do not all come back at once.
import type { DesiredInstance } from "../../../contracts/desired.ts";
import type { LeaveWindow } from "../../endpoint-file.ts";

/** The last part of a drain, and no more than this of it: nobody is cut short without need. */
const PART_OF_DRAIN = 1 / 3;
const SPREAD_MAX_MS = 30_000;
/** Of the grace: the rest is for the last ones to say good-bye. */
const PART_OF_GRACE = 0.8;

export function leaveOf(desired: DesiredInstance | null): LeaveWindow | undefined {
  if (desired?.intent !== "drain" || desired.drainSpan === undefined) return undefined;
  const { sinceMs, untilMs } = desired.drainSpan;
  return { fromMs: untilMs - Math.min(SPREAD_MAX_MS, (untilMs - sinceMs) * PART_OF_DRAIN), untilMs };
}

/** It is being stopped. */
export function leaveWithin(nowMs: number, graceMs: number): LeaveWindow {
  return { fromMs: nowMs, untilMs: nowMs + graceMs * PART_OF_GRACE };
}
