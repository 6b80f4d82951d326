// One engine's speed, measured here: in a process of its own, so that no other engine's code has shaped what the compiler makes.
import { ENGINES } from "./engines.ts";
import { churnOf, speedOf, type Speed } from "./speed.ts";
import { readShapes } from "./traces.ts";

/** What the benchmark tells the process, as JSON. nodes, pods: paths of traces. churnTurns 0: not measured. */
export interface SpeedAsked {
  readonly engine: string;
  readonly nodes: string;
  readonly pods: string;
  readonly size: number;
  readonly seed: number;
  readonly secondsMax: number;
  readonly churnTurns: number;
}
export interface SpeedFound extends Speed {
  readonly churn: number | null;
}

const WARM_UP_SECONDS = 1;

export function measureHere({ engine, nodes, pods, size, seed, secondsMax, churnTurns }: SpeedAsked): SpeedFound {
  const kind = ENGINES[engine];
  if (!kind) throw new Error(`no engine is called ${engine}`);
  const makes = readShapes(nodes);
  const shapes = readShapes(pods);
  const fleetOf = (count: number) => ({
    nodes: Array.from({ length: count }, (_, node) => makes[node % makes.length]!),
    domains: 1,
  });
  // For the compiler, and so that memory is there: other draws on the smallest fleet of the trace, and on this one.
  for (let round = 1; round <= 3; round += 1) speedOf(kind, fleetOf(makes.length), shapes, seed + round, 1);
  speedOf(kind, fleetOf(size), shapes, seed + 1, WARM_UP_SECONDS);
  const speed = speedOf(kind, fleetOf(size), shapes, seed, secondsMax);
  return { ...speed, churn: churnTurns === 0 ? null : churnOf(kind, fleetOf(size), shapes, seed, churnTurns) };
}
