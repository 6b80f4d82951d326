// The watchdog's process: ends strict singletons whose lease ran out when the agent is dead, or hung. It needs no agent, no
// control plane and no Engine for it, and ends by itself once there is nothing to watch.
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import Docker from "dockerode";
import { pause } from "../link/pause.ts";
import { monotonicMs } from "../link/control-clock.ts";
import { containerName } from "../runtime/docker/labels.ts";
import { findLeaders, signalSession } from "../runtime/process/sessions.ts";
import { readCommitted } from "../state/contact.ts";
import { type Clocks, HOST_CLOCKS, sinceMs } from "../state/moment.ts";
import { AGENT_PID_FILE, WATCHDOG_PID_FILE } from "../state/pid-files.ts";
import { claimPidFile, isAlive, livingOwner, signal } from "../state/process-id.ts";
import { addFenced, readRoll, type Roll, type RollRow } from "./roll.ts";

/** With nothing on the roll it stays this long: the next start of a strict singleton need not wait for a process. */
const IDLE_MS = 10_000;

export async function runWatchdog(dir: string, watchMs: number, until: AbortSignal): Promise<void> {
  await claimPidFile(dir, WATCHDOG_PID_FILE);
  // The kernel, out of memory, should find others first.
  await writeFile("/proc/self/oom_score_adj", "-900").catch(() => undefined);
  const fenced = new Set<string>();
  let idleSinceMs = monotonicMs();
  while (!until.aborted) {
    const roll = await readRoll(dir);
    if (roll !== null && roll.rows.length > 0) {
      idleSinceMs = monotonicMs();
      await look(dir, roll, fenced);
    } else if (monotonicMs() - idleSinceMs > IDLE_MS && (await leaves(dir))) return;
    await pause(watchMs, until);
  }
  await rm(join(dir, WATCHDOG_PID_FILE), { force: true });
}

/** A row may have come while the pid file said that somebody watches. */
async function leaves(dir: string): Promise<boolean> {
  await rm(join(dir, WATCHDOG_PID_FILE), { force: true });
  const roll = await readRoll(dir);
  if (roll === null || roll.rows.length === 0) return true;
  await claimPidFile(dir, WATCHDOG_PID_FILE);
  return false;
}

/** How long ago the lease of this folder's strict singletons ran out; negative while it covers them. */
export async function overdueMs(dir: string, stopMs: number, clocks: Clocks = HOST_CLOCKS): Promise<number> {
  const committed = await readCommitted(dir);
  return (committed === null ? clocks.monotonicMs() : sinceMs(committed, clocks)) - stopMs;
}

async function look(dir: string, { stopMs, hungMs, rows }: Roll, fenced: Set<string>): Promise<void> {
  const overMs = await overdueMs(dir, stopMs);
  if (overMs < 0) return fenced.clear();
  const agentLives = (await livingOwner(join(dir, AGENT_PID_FILE))) !== null;
  // A living agent does it better: requests are turned away first, and the process is asked.
  if (agentLives && overMs < hungMs) return;
  for (const row of rows) {
    const ran = await end(row);
    const key = `${row.instance}/${row.generation}`;
    if (!ran || fenced.has(key)) continue;
    fenced.add(key);
    const why = agentLives ? "the agent did not" : "the agent is dead";
    const message = `the watchdog stopped it ${Math.round(stopMs + overMs)} ms after the last committed lease: ${why}`;
    await addFenced(dir, { instance: row.instance, generation: row.generation, message });
  }
}

/** By its process, and by its name or mark, each without the other. Whether anything ran. */
async function end(row: RollRow): Promise<boolean> {
  let ran = false;
  const { process: known } = row;
  if (known !== null && (await isAlive(known))) {
    ran = true;
    if (row.runtime === "process") await signalSession(known.pid, "SIGKILL");
    else await signal(known, "SIGKILL");
  }
  if (row.runtime === "process") {
    for (const { stat } of await findLeaders({ BERTH_INSTANCE: row.instance })) {
      ran = true;
      await signalSession(stat.pid, "SIGKILL");
    }
    return ran;
  }
  const killed = await new Docker({ timeout: 2_000 })
    .getContainer(containerName(row))
    .kill()
    .then(
      () => true,
      // It had ended, or the Engine is away: then the process was all that we could reach.
      () => false,
    );
  return ran || killed;
}
