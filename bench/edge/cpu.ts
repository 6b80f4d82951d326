// Processor time of processes, from /proc: what a request costs even when the machine is busy with other things.
import { readdirSync, readFileSync } from "node:fs";

const US_PER_TICK = 10_000;

/** User and system time of a process and of its children that still run (nginx works in one), in microseconds. */
export function cpuUsOf(pid: number): number {
  let total = 0;
  for (const other of processes()) {
    if (other.pid === pid || other.parent === pid) total += other.ticks * US_PER_TICK;
  }
  return total;
}

/** workerd is a child of this process: Miniflare started it. */
export function workerdPid(): number {
  const found = processes().find(({ command, parent }) => command.includes("workerd") && parent === process.pid);
  if (found === undefined) throw new Error("no workerd was started");
  return found.pid;
}

interface Process {
  readonly pid: number;
  readonly command: string;
  readonly parent: number;
  readonly ticks: number;
}

function processes(): Process[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => readProcess(Number(name)) ?? []);
}

/** null: it has ended meanwhile. The command is in parentheses and may hold any character. */
function readProcess(pid: number): Process | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const end = stat.lastIndexOf(")");
    const fields = stat.slice(end + 2).split(" ");
    const [parent, user, system] = [fields[1], fields[11], fields[12]].map(Number) as [number, number, number];
    return { pid, command: stat.slice(0, end), parent, ticks: user + system };
  } catch {
    return null;
  }
}
