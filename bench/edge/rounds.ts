// Contenders under closed-loop load, one after the other, round after round, so that all share the machine's moods.
import { request } from "node:http";
import { median, rounded, spreadOf } from "../shared/report.ts";
import { cpuUsOf } from "./cpu.ts";
import { ANSWER } from "./peers.ts";
import { load, type LoadResult } from "./wrk.ts";

export interface Contender {
  readonly name: string;
  readonly url: string;
  readonly headers: Record<string, string>;
  /** Of the process that is measured. */
  readonly pid: number;
}

/** perCpuSecond: requests per second of the measured process's own processor time, whatever else the machine does. */
type Round = LoadResult & { readonly perCpuSecond: number };
export type Rounds = ReadonlyMap<string, readonly Round[]>;

export interface Interleaving {
  /** Called for each round: tickets in headers expire. */
  readonly contenders: () => Promise<readonly Contender[]>;
  readonly connections: number;
  readonly rounds: number;
  readonly seconds: number;
  /** Pins the load. */
  readonly cpu?: number;
}

/** One short unmeasured round first. */
export async function interleave({ contenders, connections, rounds, seconds, cpu }: Interleaving): Promise<Rounds> {
  const measured = new Map<string, Round[]>();
  for (const contender of await contenders()) await check(contender);
  for (let round = 0; round <= rounds; round++) {
    for (const { name, url, headers, pid } of await contenders()) {
      const beforeUs = cpuUsOf(pid);
      const pinned = cpu === undefined ? {} : { cpu };
      const result = await load({ url, headers, connections, seconds: round === 0 ? 1 : seconds, ...pinned });
      if (result.failed > 0) throw new Error(`${name}: ${result.failed} requests failed; this is no measurement`);
      const perCpuSecond = (result.requests * 1e6) / (cpuUsOf(pid) - beforeUs);
      if (round > 0) measured.set(name, [...(measured.get(name) ?? []), { ...result, perCpuSecond }]);
    }
  }
  return measured;
}

/** Who answers by itself, instead of passing the upstream's answer on, is not measured. */
export async function check({ name, url, headers }: Contender): Promise<void> {
  const { hostname, port } = new URL(url);
  const body = await new Promise<string>((resolve, reject) => {
    const asked = request({ host: hostname, port, headers, agent: false }, (answer) => {
      let text = "";
      answer.setEncoding("utf8").on("data", (part: string) => (text += part));
      answer.on("end", () => resolve(text));
    });
    asked.on("error", reject).end();
  });
  if (body !== ANSWER) throw new Error(`${name} does not pass the upstream's answer on, but: ${body}`);
}

export function figuresOf(rounds: Rounds): Record<string, object> {
  return Object.fromEntries(
    [...rounds].map(([name, results]) => [
      name,
      {
        requestsPerSecond: spreadOf(results.map(({ requestsPerSecond }) => requestsPerSecond)),
        p99Ms: spreadOf(results.map(({ p99Ms }) => p99Ms)),
        requestsPerCpuSecond: spreadOf(results.map(({ perCpuSecond }) => perCpuSecond)),
      },
    ]),
  );
}

/** The median of the rounds' ratios: both were measured within seconds of each other. */
export function ratioOf(
  rounds: Rounds,
  figure: "requestsPerSecond" | "perCpuSecond",
  one: string,
  other: string,
): number {
  const [ours, theirs] = [rounds.get(one) ?? [], rounds.get(other) ?? []];
  return rounded(median(ours.map((result, index) => result[figure] / (theirs[index]?.[figure] ?? Number.NaN))));
}
