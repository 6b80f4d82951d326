// A clock that stands: what is asserted of times must not hang on how long a busy machine took. The objects see it too.
import { afterEach, vi } from "vitest";

/** In the test that asks for it: `Date` stands until then, or goes on by hand. Timers run as ever. */
export function stillClock(): { pass(ms: number): void } {
  vi.useFakeTimers({ toFake: ["Date"] });
  return { pass: (ms) => void vi.setSystemTime(Date.now() + ms) };
}

/** At the top of a file that asks for it. */
export const clockGoesOn = (): void => afterEach(() => void vi.useRealTimers());

/** What Postgres counts by the day begins anew at midnight (UTC): not in the midst of a test. */
export async function notOverMidnight(needMs = 60_000): Promise<void> {
  const leftMs = 86_400_000 - (Date.now() % 86_400_000);
  if (leftMs < needMs) await new Promise((resolve) => setTimeout(resolve, leftMs + 1_000));
}
