// Whether this host's wall clock is wrong. Nothing here goes by it, but whoever checks a certificate of somebody else's does.
import type { ControlClock } from "../link/control-clock.ts";

/** Null: it is right, or the control plane was not heard yet. */
export function clockTrouble(
  clock: Pick<ControlClock, "known" | "nowMs">,
  wrongMs: number,
  wallMs = Date.now(),
): string | null {
  if (!clock.known) return null;
  const aheadMs = wallMs - clock.nowMs();
  if (Math.abs(aheadMs) < wrongMs) return null;
  const seconds = Math.round(Math.abs(aheadMs) / 1_000);
  const side = aheadMs > 0 ? "ahead of" : "behind";
  return `this server's clock is ${seconds} s ${side} the control plane's: certificates of others look expired or not yet valid; set it, and keep it by NTP`;
}
