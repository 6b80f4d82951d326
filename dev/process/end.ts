// Ends processes for certain: a polite signal, a wait, then SIGKILL; never one whose start time is another's.
import { setTimeout as sleep } from "node:timers/promises";
import { isAlive, type ProcessIdentity } from "./identity.ts";

const POLL_MS = 20;

export function signal(identity: ProcessIdentity, name: NodeJS.Signals): boolean {
  if (!isAlive(identity)) return false;
  try {
    process.kill(identity.pid, name);
    return true;
  } catch {
    return false;
  }
}

/** Resolves true once the process is gone, false if it still lives after `withinMs`. */
export async function untilGone(identity: ProcessIdentity, withinMs: number): Promise<boolean> {
  const deadlineMs = performance.now() + withinMs;
  while (isAlive(identity)) {
    if (performance.now() > deadlineMs) return false;
    await sleep(POLL_MS);
  }
  return true;
}

export interface EndOptions {
  /** What to ask with first. SIGKILL asks nothing. */
  readonly politely?: NodeJS.Signals;
  readonly graceMs?: number;
}

export async function end(
  identity: ProcessIdentity,
  { politely = "SIGTERM", graceMs = 5_000 }: EndOptions = {},
): Promise<void> {
  if (!signal(identity, politely)) return;
  if (politely !== "SIGKILL" && (await untilGone(identity, graceMs))) return;
  signal(identity, "SIGKILL");
  await untilGone(identity, 5_000);
}

/** Kills a process group whose leader we started with `detached: true`, and which lives or has just been seen to end. */
export function killGroup(leaderPid: number): void {
  try {
    process.kill(-leaderPid, "SIGKILL");
  } catch {
    // Nobody is left in it.
  }
}
