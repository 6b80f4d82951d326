// Processor time of processes and their children that live, such as Postgres' backends.
import { readFileSync } from "node:fs";
import { usageOf } from "../sim-fleet/process-usage.ts";

export const cpuMsOf = (pids: readonly number[]): number => pids.reduce((sum, pid) => sum + withChildren(pid), 0);

function withChildren(pid: number): number {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
    return (usageOf(pid)?.cpuMs ?? 0) + cpuMsOf(children === "" ? [] : children.split(" ").map(Number));
  } catch {
    // A backend that ended just now.
    return 0;
  }
}
