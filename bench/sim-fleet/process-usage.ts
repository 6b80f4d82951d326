// Processor time and memory of another process, from /proc.
import { readFileSync } from "node:fs";

/** USER_HZ: 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;
const PAGE_BYTES = 4_096;

export interface Usage {
  readonly cpuMs: number;
  readonly residentBytes: number;
}

/** proc_pid_stat(5): utime and stime are fields 14 and 15, rss is field 24; the command before them may hold spaces. */
export function usageOf(pid: number): Usage {
  const text = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const numberAt = (field: number) => Number(fields[field - 3]);
  return {
    cpuMs: ((numberAt(14) + numberAt(15)) * 1_000) / TICKS_PER_SECOND,
    residentBytes: numberAt(24) * PAGE_BYTES,
  };
}

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
