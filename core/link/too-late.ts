// Which heartbeats come too late to be worth an answer (ADR 9), whatever way they came; and which upgrades to a socket.
import { AGENT_LIMITS } from "../converge/limits.ts";

/**
 * A heartbeat that waited this long would be answered too late: its node gives up on it. A second below that, because a queue
 * under overload settles at exactly this age, and what comes out of it must still be worth its work.
 */
const TOO_LATE_MS = AGENT_LIMITS.heartbeatGiveUpMs - 1_000;

/** What clocks and queues may be off by; a proof within it is told apart from a replay by the Cell's rising sequence. */
export const PROOF_WINDOW_MS = 30_000;

/** Why not; null where it is in time. Beyond the window of proofs it is the clock that is wrong: that is for others to refuse. */
export function tooLateText(sentAtMs: number, nowMs: number): string | null {
  const ageMs = nowMs - sentAtMs;
  if (ageMs <= TOO_LATE_MS || ageMs > PROOF_WINDOW_MS) return null;
  return `This heartbeat was sent ${ageMs} ms ago by its own time: too long ago to be answered in time.`;
}

/** Of an upgrade to a socket: its agent gives up on it at socketOpenMs. */
export const isUpgradeTooLate = (ageMs: number): boolean =>
  ageMs > AGENT_LIMITS.socketOpenMs - 1_000 && ageMs <= PROOF_WINDOW_MS;
