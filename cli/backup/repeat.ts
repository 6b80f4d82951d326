// Backups on a schedule of the command's own, where no timer of a system starts it: again and again until it is told to end.
import { InvalidArgumentError } from "@commander-js/extra-typings";
import { duration } from "../duration.ts";

const MINUTE_MS = 60_000;
const EVERY_MS_MAX = 7 * 24 * 60 * MINUTE_MS;
/** One that failed is tried again before its next turn: what was in its way is often gone by then. */
const RETRY_MS = 10 * MINUTE_MS;

export function everyOf(text: string): number {
  const everyMs = duration(text);
  if (everyMs >= MINUTE_MS && everyMs <= EVERY_MS_MAX) return everyMs;
  throw new InvalidArgumentError("It must lie between 1min and 168h.");
}

export interface Repeat {
  readonly everyMs: number;
  readonly work: () => Promise<void>;
  readonly failed: (error: unknown, againInMs: number) => void;
  readonly nowMs: () => number;
  /** Ends early, without an error, where it is told to end. */
  readonly sleep: (ms: number) => Promise<void>;
  readonly isOver: () => boolean;
}

/** Counted from begin to begin, so that turns do not wander with how long each takes; a turn that was missed is not made up for. */
export async function repeat({ everyMs, work, failed, nowMs, sleep, isOver }: Repeat): Promise<void> {
  while (!isOver()) {
    const beganMs = nowMs();
    let againInMs = everyMs;
    try {
      await work();
    } catch (error) {
      againInMs = Math.min(everyMs, RETRY_MS);
      failed(error, againInMs);
    }
    if (!isOver()) await sleep(Math.max(0, beganMs + againInMs - nowMs()));
  }
}
