// Who a process is: its pid together with its start time, because pids come back; and what marks one as a stack's own.
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";

/** Every child of a stack carries these, and so do the children of those: the marks by which a later start knows them. */
export const STACK_VARIABLE = "BERTH_STACK";
export const ROLE_VARIABLE = "BERTH_STACK_ROLE";

export interface ProcessIdentity {
  readonly pid: number;
  readonly startTime: string;
}

/** The process's start time as an opaque text (clock ticks since boot on Linux), or null when there is no such process. */
export function startTimeOf(pid: number): string | null {
  if (process.platform !== "linux") {
    try {
      return execFileSync("ps", ["-o", "lstart=", "-p", String(pid)], { encoding: "utf8" }).trim() || null;
    } catch {
      return null;
    }
  }
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The second field is the name in parentheses and may hold spaces: count from the last parenthesis.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const [state, startTime] = [fields[0], fields[19]];
    return state === "Z" || startTime === undefined ? null : startTime;
  } catch {
    return null;
  }
}

export function identify(pid: number): ProcessIdentity | null {
  const startTime = startTimeOf(pid);
  return startTime === null ? null : { pid, startTime };
}

export function isAlive({ pid, startTime }: ProcessIdentity): boolean {
  return startTimeOf(pid) === startTime;
}

/** A variable of a process's environment as it was started with; null when it has none or it cannot be read. */
function environmentOf(pid: number): Map<string, string> {
  try {
    const entries = readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
    return new Map(entries.map((entry) => [entry.slice(0, entry.indexOf("=")), entry.slice(entry.indexOf("=") + 1)]));
  } catch {
    return new Map();
  }
}

export interface MarkedProcess extends ProcessIdentity {
  readonly role: string;
  readonly commandLine: readonly string[];
}

/** All processes that carry a stack's mark, whoever their parent is by now. Linux only; elsewhere the ledger alone knows. */
export function findMarked(stackId: string): MarkedProcess[] {
  if (process.platform !== "linux") return [];
  const marked: MarkedProcess[] = [];
  for (const entry of readdirSync("/proc")) {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    const environment = environmentOf(pid);
    if (environment.get(STACK_VARIABLE) !== stackId) continue;
    const identity = identify(pid);
    if (identity === null) continue;
    try {
      const commandLine = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").filter(Boolean);
      marked.push({ ...identity, role: environment.get(ROLE_VARIABLE) ?? "", commandLine });
    } catch {
      // It ended in between.
    }
  }
  return marked;
}
