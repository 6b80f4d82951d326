// Open-loop load from a process of its own: requests leave on time whether or not answers come.
import { execFile } from "node:child_process";
import { promisify } from "node:util";

export interface OpenLoop {
  readonly port: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly ratePerSecond: number;
  readonly seconds: number;
  readonly cpu: number;
  /** It stands for other machines, whose processors nobody here takes: it goes before everything else on its core. */
  readonly first?: boolean;
}

export interface OpenLoopResult {
  readonly answered: number;
  /** Answers other than 200 and connections that broke. */
  readonly failed: number;
  /** From the moment a request was to be sent to the last byte of its answer. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** How late the generator itself was with sending: above a fraction of p50 the machine is too busy to measure. */
  readonly lateP99Ms: number;
}

const run = promisify(execFile);

export async function openLoop({ cpu, first = false, ...wish }: OpenLoop): Promise<OpenLoopResult> {
  const entry = new URL("./open-loop-process.ts", import.meta.url).pathname;
  const command = ["-c", String(cpu), process.execPath, entry, JSON.stringify(wish)];
  const [program, ...rest] = first ? ["nice", "-n", "-15", "taskset", ...command] : ["taskset", ...command];
  const { stdout } = await run(program as string, rest, { timeout: (wish.seconds + 30) * 1_000 });
  return JSON.parse(stdout) as OpenLoopResult;
}
