// Processor time of processes, from /proc: what a request costs even when the machine is busy with other things.
import { execFileSync } from "node:child_process";
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

/** All threads of a process that runs already. */
export function pin(pid: number, cpu: number): void {
  execFileSync("taskset", ["-a", "-c", "-p", String(cpu), String(pid)], { stdio: "ignore" });
}

/** Processor time of a process alone, all its threads, in nanoseconds: ticks of 10 ms are too coarse for short measurements. */
export function cpuNsOf(pid: number): number {
  let total = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    try {
      total += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ", 1)[0]);
    } catch {
      // It has ended meanwhile.
    }
  }
  return total;
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
