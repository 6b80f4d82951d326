// Process trees as sessions: an instance is the leader of a session of its own, and all that it started is in it.
import { readdir, readFile } from "node:fs/promises";
import { execFileSync } from "node:child_process";
import type { RunRecord } from "./run-record.ts";
import { parseStat, type ProcessStat, readStat } from "../../state/process-id.ts";
import { pause } from "../../link/pause.ts";
import type { Usage } from "../runtime.ts";

/** Clock ticks per second and bytes per page of this kernel (sysconf). */
let units: { readonly ticksPerSecond: number; readonly pageBytes: number } | null = null;
function kernelUnits() {
  units ??= { ticksPerSecond: getconf("CLK_TCK", 100), pageBytes: getconf("PAGESIZE", 4_096) };
  return units;
}

function getconf(name: string, otherwise: number): number {
  try {
    return Number(execFileSync("getconf", [name], { encoding: "utf8" })) || otherwise;
  } catch {
    return otherwise;
  }
}

/** Every living process of the host, read once for any number of sessions. */
export async function readProcesses(): Promise<ProcessStat[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name)).map(Number);
  const stats = await Promise.all(pids.map(readStat));
  return stats.filter((stat) => stat !== null);
}

export function membersOf(leader: number, processes: readonly ProcessStat[]): ProcessStat[] {
  return processes.filter(({ session }) => session === leader);
}

/** cpuMs covers those alive now: what a dead child used is in its parent's children's time, which no other reads twice. */
export function usageOfSession(leader: number, processes: readonly ProcessStat[]): Usage {
  const { ticksPerSecond, pageBytes } = kernelUnits();
  let ticks = 0;
  let pages = 0;
  for (const { cpuTicks, residentPages } of membersOf(leader, processes)) {
    ticks += cpuTicks;
    pages += residentPages;
  }
  return { cpuMs: (ticks * 1_000) / ticksPerSecond, memoryBytes: pages * pageBytes };
}

/** Signals every process of the session; those that had left it are out of reach, which is why this is for trusted code. */
export async function signalSession(leader: number, name: NodeJS.Signals): Promise<void> {
  for (const { pid } of membersOf(leader, await readProcesses())) {
    try {
      process.kill(pid, name);
    } catch {
      // It ended in between.
    }
  }
}

/** Whether nothing of the session is left within timeoutMs. */
export async function sessionEnds(leader: number, timeoutMs: number): Promise<boolean> {
  const untilMs = performance.now() + timeoutMs;
  while (membersOf(leader, await readProcesses()).length > 0) {
    if (performance.now() >= untilMs) return false;
    await pause(20);
  }
  return true;
}

/** Session leaders whose first environment has all of these variables: the label of a process, whoever forgot its file. */
export async function findLeaders(
  marks: Readonly<Record<string, string>>,
): Promise<{ stat: ProcessStat; environment: Map<string, string> }[]> {
  const found: { stat: ProcessStat; environment: Map<string, string> }[] = [];
  for (const stat of await readProcesses()) {
    if (stat.session !== stat.pid || stat.pid === process.pid) continue;
    const environment = await environmentOf(stat.pid);
    if (environment === null || Object.entries(marks).some(([name, value]) => environment.get(name) !== value))
      continue;
    const again = await readFile(`/proc/${stat.pid}/stat`, "utf8").catch(() => null);
    if (again !== null && parseStat(stat.pid, again).startTicks === stat.startTicks) found.push({ stat, environment });
  }
  return found;
}

/** known: by the agent that started it. null: it had secrets, it has ended, and nobody knows them any more. */
export async function startedWith(
  record: Pick<RunRecord, "process" | "hasSecrets"> | undefined,
  known: Readonly<Record<string, string>> | undefined,
): Promise<ReadonlyMap<string, string> | null> {
  if (known !== undefined) return new Map(Object.entries(known));
  const read = record?.process ? await environmentOf(record.process.pid) : null;
  return read ?? (record?.hasSecrets === true ? null : new Map());
}

async function environmentOf(pid: number): Promise<Map<string, string> | null> {
  try {
    const text = await readFile(`/proc/${pid}/environ`, "utf8");
    return new Map(
      text.split("\0").flatMap((line): [string, string][] => {
        const at = line.indexOf("=");
        return at <= 0 ? [] : [[line.slice(0, at), line.slice(at + 1)]];
      }),
    );
  } catch {
    return null;
  }
}
