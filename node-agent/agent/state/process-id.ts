// A process by pid and start time: a pid alone may be another process by the time it is looked at again.
import { readFile } from "node:fs/promises";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { readJsonFile, writeAtomically } from "./durable-file.ts";

/** startTicks: field 22 of /proc/<pid>/stat, clock ticks since boot; bootId tells boots apart. */
export const ProcessId = z.object({ pid: z.int().positive(), startTicks: z.int().nonnegative(), bootId: z.string() });
export type ProcessId = z.infer<typeof ProcessId>;

export interface ProcessStat {
  readonly pid: number;
  readonly state: string;
  readonly session: number;
  readonly startTicks: number;
  /** User and system time, in clock ticks. */
  readonly cpuTicks: number;
  readonly residentPages: number;
}

/** The command (field 2) may hold spaces and brackets: fields are counted from the last bracket (proc_pid_stat(5)). */
export function parseStat(pid: number, text: string): ProcessStat {
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const numberAt = (field: number) => Number(fields[field - 3]);
  return {
    pid,
    state: fields[0] ?? "?",
    session: numberAt(6),
    startTicks: numberAt(22),
    cpuTicks: numberAt(14) + numberAt(15),
    residentPages: numberAt(24),
  };
}

/** Null when there is no such process; a zombie counts as none. */
export async function readStat(pid: number): Promise<ProcessStat | null> {
  try {
    const stat = parseStat(pid, await readFile(`/proc/${pid}/stat`, "utf8"));
    return stat.state === "Z" || stat.state === "X" ? null : stat;
  } catch {
    return null;
  }
}

export function bootId(): string {
  return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
}

export async function identifyProcess(pid: number): Promise<ProcessId | null> {
  const stat = await readStat(pid);
  return stat === null ? null : { pid, startTicks: stat.startTicks, bootId: bootId() };
}

export async function isAlive(id: ProcessId): Promise<boolean> {
  if (id.bootId !== bootId()) return false;
  return (await readStat(id.pid))?.startTicks === id.startTicks;
}

/** Who holds a pid file, if that process still lives. */
export async function livingOwner(path: string): Promise<ProcessId | null> {
  const owner = await readJsonFile(path, ProcessId).catch(() => null);
  return owner !== null && (await isAlive(owner)) ? owner : null;
}

/** Throws when another living process holds the file. */
export async function claimPidFile(dir: string, name: string): Promise<void> {
  const path = join(dir, name);
  const owner = await livingOwner(path);
  if (owner !== null && owner.pid !== process.pid) throw new Error(`process ${owner.pid} already runs on ${dir}`);
  await takePidFile(dir, name);
}

/** For a process that is asked to take the place of the one before, and for what is under another name. */
export async function takePidFile(dir: string, name: string, pid = process.pid): Promise<void> {
  await writeAtomically(join(dir, name), JSON.stringify(await identifyProcess(pid)));
}

/** Signals a process, unless its pid belongs to another one by now. */
export async function signal(id: ProcessId, name: NodeJS.Signals): Promise<boolean> {
  if (!(await isAlive(id))) return false;
  try {
    process.kill(id.pid, name);
    return true;
  } catch {
    return false;
  }
}

/** Resolves to whether it ended within timeoutMs. */
export async function waitForEnd(id: ProcessId, timeoutMs: number): Promise<boolean> {
  const untilMs = performance.now() + timeoutMs;
  while (await isAlive(id)) {
    if (performance.now() >= untilMs) return false;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return true;
}
