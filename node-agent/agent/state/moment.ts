// Moments that count on while the host is suspended: CLOCK_MONOTONIC stands still then, the time since boot goes on.
import { uptime } from "node:os";
import { monotonicMs } from "../link/control-clock.ts";

/** Both are the same for every process of this boot. uptimeMs: CLOCK_BOOTTIME, in steps of 10 ms. */
export interface Clocks {
  readonly monotonicMs: () => number;
  readonly uptimeMs: () => number;
}

export const HOST_CLOCKS: Clocks = { monotonicMs, uptimeMs: () => uptime() * 1_000 };

/** uptimeMs: null in what was written before it was kept. */
export interface Moment {
  readonly monotonicMs: number;
  readonly uptimeMs: number | null;
}

export function momentOf(clocks: Clocks): Moment {
  return { monotonicMs: clocks.monotonicMs(), uptimeMs: clocks.uptimeMs() };
}

/** The longer of what the two clocks say: a host that slept was silent for as long as everybody else says. */
export function sinceMs(moment: Moment, clocks: Clocks): number {
  const awakeMs = clocks.monotonicMs() - moment.monotonicMs;
  return moment.uptimeMs === null ? awakeMs : Math.max(awakeMs, clocks.uptimeMs() - moment.uptimeMs);
}

/** Of two moments of one boot; neither clock ever goes back. */
export function isLater(moment: Moment, than: Moment | null): boolean {
  return than === null || moment.monotonicMs > than.monotonicMs;
}
