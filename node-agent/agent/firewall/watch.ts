// Hears of changes to this host's rules as they are made, where iptables can tell of them. The periodic look does without it.
import { spawn } from "node:child_process";

const AGAIN_MS = 30_000;

/**
 * Line by line (stdbuf), and not outliving the agent (setpriv). Of an iptables that has no such program, or that keeps its rules
 * in the older way, nothing is heard.
 */
const COMMAND = ["setpriv", "--pdeathsig", "KILL", "stdbuf", "-oL", "xtables-monitor", "-e"] as const;

export function watchTables(signal: AbortSignal, changed: () => void): void {
  const [program, ...args] = COMMAND;
  const begin = () => {
    if (signal.aborted) return;
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "ignore"] });
    const end = () => child.kill("SIGKILL");
    signal.addEventListener("abort", end, { once: true });
    child.stdout.on("data", changed);
    child.once("error", () => undefined);
    child.once("close", () => {
      signal.removeEventListener("abort", end);
      const again = setTimeout(begin, AGAIN_MS).unref();
      signal.addEventListener("abort", () => clearTimeout(again), { once: true });
    });
  };
  begin();
}
