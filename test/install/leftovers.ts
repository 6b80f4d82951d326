// What bare systems leave on this machine: nothing. Those of a run that was killed are removed by the next one, by their labels.
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { promisify } from "node:util";

const run = promisify(execFile);
const LABEL = "berth.bare-system";

/** Which process it is, also once its number is another's: beside it, when it was started. Null: there is none. */
function processName(pid: number): string | null {
  try {
    // After the command's name, which may hold anything, in parentheses: state is the third field, the start the 22nd.
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return `${pid}-${stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]}`;
  } catch {
    return null;
  }
}

/** For `docker run` and `docker network create`. */
export const ownedByThisRun: readonly string[] = ["--label", `${LABEL}=${processName(process.pid)}`];

/** Containers first, because a network goes only when it is empty. */
export async function removeLeftovers(): Promise<void> {
  for (const [list, remove] of [
    [
      ["ps", "-a"],
      ["rm", "-f", "-v"],
    ],
    [
      ["network", "ls"],
      ["network", "rm"],
    ],
  ] as const) {
    const format = `{{.ID}} {{.Label "${LABEL}"}}`;
    const { stdout } = await run("docker", [...list, "--filter", `label=${LABEL}`, "--format", format]);
    const left = stdout.split("\n").flatMap((line) => {
      const [id = "", owner = ""] = line.split(" ");
      return id === "" || processName(Number.parseInt(owner, 10)) === owner ? [] : [id];
    });
    if (left.length > 0) await run("docker", [...remove, ...left]);
  }
}

/** The kernel's hierarchies of control groups. One that a bare system made would stay, and the Engine would then tell neither usage nor out-of-memory. */
export const hierarchies = (): string[] =>
  readFileSync("/proc/self/cgroup", "utf8")
    .split("\n")
    .flatMap((line) => (line === "" ? [] : [line.split(":")[1] ?? ""]))
    .toSorted();
