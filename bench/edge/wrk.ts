// wrk as a child process: one round of load, and what it counted.
import { execFile } from "node:child_process";
import { promisify } from "node:util";

export interface Load {
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly connections: number;
  readonly seconds: number;
  /** Pins wrk, so that what is measured has another core for itself. */
  readonly cpu?: number;
}

export interface LoadResult {
  readonly requestsPerSecond: number;
  readonly p99Ms: number;
  readonly requests: number;
  /** Answers other than 2xx and 3xx, and connections that broke: a round with any of them is no measurement. */
  readonly failed: number;
}

const run = promisify(execFile);

export async function load({ url, headers = {}, connections, seconds, cpu }: Load): Promise<LoadResult> {
  const named = Object.entries(headers).flatMap(([name, value]) => ["-H", `${name}: ${value}`]);
  const wrk = ["wrk", "-t1", `-c${connections}`, `-d${seconds}s`, "--latency", ...named, url];
  const [command, ...args] = cpu === undefined ? wrk : ["taskset", "-c", String(cpu), ...wrk];
  const { stdout } = await run(command as string, args, { timeout: (seconds + 20) * 1_000 });
  const number = (pattern: RegExp): number => Number(pattern.exec(stdout)?.[1] ?? 0);
  const sockets = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(stdout)?.slice(1) ?? [];
  return {
    requestsPerSecond: number(/Requests\/sec:\s+([\d.]+)/),
    p99Ms: milliseconds(/99%\s+([\d.]+)(us|ms|s)/.exec(stdout)),
    requests: number(/(\d+) requests in/),
    failed: number(/Non-2xx or 3xx responses: (\d+)/) + sockets.reduce((sum, count) => sum + Number(count), 0),
  };
}

function milliseconds(found: RegExpExecArray | null): number {
  if (found === null) return Number.NaN;
  const factor = { us: 0.001, ms: 1, s: 1_000 }[found[2] as "us" | "ms" | "s"];
  return Number(found[1]) * factor;
}
