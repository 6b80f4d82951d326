// Processor time and memory of another process, from /proc.
import { readFileSync } from "node:fs";

/** USER_HZ: 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;
const PAGE_BYTES = 4_096;

export interface Usage {
  readonly cpuMs: number;
  readonly residentBytes: number;
}

/** null: it is gone. proc_pid_stat(5): utime and stime are fields 14 and 15, rss is field 24; the command before them may hold spaces. */
export function usageOf(pid: number): Usage | null {
  const text = statOf(pid);
  if (text === null) return null;
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const numberAt = (field: number) => Number(fields[field - 3]);
  return {
    cpuMs: ((numberAt(14) + numberAt(15)) * 1_000) / TICKS_PER_SECOND,
    residentBytes: numberAt(24) * PAGE_BYTES,
  };
}

/** ENOENT: it was gone already. ESRCH: it went while it was read. */
function statOf(pid: number): string | null {
  try {
    return readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch (error) {
    if (["ENOENT", "ESRCH"].includes((error as NodeJS.ErrnoException).code ?? "")) return null;
    throw error;
  }
}

/** Processor time between two looks at a process; null where it was gone at one of them. */
export const spentMs = (before: Usage | null, after: Usage | null): number | null =>
  before === null || after === null ? null : after.cpuMs - before.cpuMs;

/** Milliseconds of all cores that were not idle, and of all cores there are, since boot. */
export function machineUsage(): { readonly busyMs: number; readonly totalMs: number } {
  const [line = ""] = readFileSync("/proc/stat", "utf8").split("\n");
  const ticks = line.trim().split(/\s+/).slice(1, 9).map(Number);
  const total = ticks.reduce((sum, value) => sum + value, 0);
  const idle = (ticks[3] ?? 0) + (ticks[4] ?? 0);
  return {
    busyMs: ((total - idle) * 1_000) / TICKS_PER_SECOND,
    totalMs: (total * 1_000) / TICKS_PER_SECOND,
  };
}
