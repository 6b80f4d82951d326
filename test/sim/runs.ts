// Runs many seeds, in this process or in several; each worker asks for the next piece when it is done with its last.
import { fork, type ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { AppKind } from "./app-kinds.ts";
import type { Manner } from "./customers.ts";
import { parseFaults, type Weather } from "./faults.ts";
import { simulate, type SimulationResult } from "./simulation.ts";

/** All that a run depends on beside its seed; plain, so that a process can be told. */
export interface Run {
  readonly nodes: number;
  readonly apps: number;
  readonly kinds?: readonly AppKind[];
  readonly minutes: number;
  readonly faults: string;
  readonly weather: Weather;
  readonly manner: Manner;
}

export interface Seeds {
  readonly from: number;
  readonly to: number;
  readonly run: Run;
  readonly jobs: number;
  readonly failuresMax: number;
}

/** Seeds handed to a worker at once: enough that asking costs nothing beside them. */
const PIECE = 10;

export const simulateOne = (seed: number, run: Run): SimulationResult => {
  const result = simulate({ ...run, seed, faults: parseFaults(run.faults) });
  // Nobody reads the trace of a run in which all was well.
  return result.violations.length > 0 ? result : { ...result, trace: [] };
};

export async function runSeeds(seeds: Seeds, take: (result: SimulationResult) => void): Promise<void> {
  let failures = 0;
  const note = (result: SimulationResult): void => {
    if (result.violations.length > 0) failures += 1;
    take(result);
  };
  if (seeds.jobs === 1) {
    for (let seed = seeds.from; seed <= seeds.to && failures < seeds.failuresMax; seed += 1) {
      note(simulateOne(seed, seeds.run));
    }
    return;
  }
  let next = seeds.from;
  const piece = (): number[] => {
    const chosen: number[] = [];
    while (chosen.length < PIECE && next <= seeds.to && failures < seeds.failuresMax) {
      chosen.push(next);
      next += 1;
    }
    return chosen;
  };
  await Promise.all(Array.from({ length: seeds.jobs }, () => worker(seeds.run, piece, note)));
}

function worker(run: Run, piece: () => number[], note: (result: SimulationResult) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const child: ChildProcess = fork(fileURLToPath(new URL("./worker.ts", import.meta.url)));
    const hand = (): void => {
      const seeds = piece();
      if (seeds.length === 0) child.disconnect();
      else child.send({ seeds, run });
    };
    child.on("message", (results: SimulationResult[]) => {
      for (const result of results) note(result);
      hand();
    });
    child.on("error", reject);
    child.on("exit", (code) => (code === 0 ? resolve() : reject(new Error(`a worker ended with ${code}`))));
    hand();
  });
}
