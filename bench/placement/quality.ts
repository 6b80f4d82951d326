// How well a rule packs: the utilisation at its first refusal, and the fewest equal nodes on which a trace finds room.
import { randomFrom } from "../../core/random.ts";
import { domainName, type Engine, type EngineKind, type Fleet } from "./engine.ts";
import { fluidBound, type Arrivals, type Shape } from "./traces.ts";

/** Requests drawn by the seed until one cannot be placed: the utilisation of the fuller resource at that moment. */
export function firstRefusal(kind: EngineKind, fleet: Fleet, shapes: readonly Shape[], seed: number): number {
  const engine = kind(fleet, shapes);
  const next = randomFrom(seed.toString(16).padStart(8, "0").repeat(4));
  let cpu = 0;
  let memory = 0;
  for (;;) {
    const shape = next() % shapes.length;
    if (engine.place(shape, []) < 0) break;
    cpu += shapes[shape]!.cpuMilli;
    memory += shapes[shape]!.memoryMib;
  }
  const total = (of: (node: Shape) => number): number => fleet.nodes.reduce((sum, node) => sum + of(node), 0);
  return Math.max(cpu / total((node) => node.cpuMilli), memory / total((node) => node.memoryMib));
}

/** Replicas of one app that came together, at most this many, each in a failure domain of its own. */
const REPLICAS = 3;

/** Whether every arrival finds room. domains > 1: alike arrivals of one moment are apps, and spread over them. */
function placesAll(kind: EngineKind, fleet: Fleet, distinct: Distinct, { events, apps }: Arrivals): boolean {
  const engine: Engine = kind(fleet, distinct.shapes);
  const at = new Int32Array(apps.length).fill(-1);
  let app = "";
  let taken: string[] = [];
  for (const { kind: what, request } of events) {
    const shape = distinct.of[request]!;
    if (what === "depart") {
      engine.release(at[request]!, shape);
      continue;
    }
    if (fleet.domains > 1 && (apps[request] !== app || taken.length === REPLICAS)) {
      app = apps[request]!;
      taken = [];
    }
    const node = engine.place(shape, taken);
    if (node < 0) return false;
    at[request] = node;
    if (fleet.domains > 1) taken = [...taken, domainName(node, fleet.domains)];
  }
  return true;
}

interface Distinct {
  readonly shapes: readonly Shape[];
  /** By request: which of the shapes. */
  readonly of: Int32Array;
}

function distinctShapes(shapes: readonly Shape[]): Distinct {
  const known = new Map<string, number>();
  const distinct: Shape[] = [];
  const of = Int32Array.from(shapes, (shape) => {
    const key = `${shape.cpuMilli}/${shape.memoryMib}`;
    const at = known.get(key);
    if (at !== undefined) return at;
    known.set(key, distinct.length);
    return distinct.push(shape) - 1;
  });
  return { shapes: distinct, of };
}

export interface Compaction {
  readonly nodes: number;
  readonly bound: number;
  readonly overPercent: number;
}

/** The smallest number of nodes found by halving between the bound and a quarter above it. Throws where that is not enough. */
export function compaction(kind: EngineKind, trace: Arrivals, node: Shape, domains: number): Compaction {
  const bound = fluidBound(trace, node);
  const distinct = distinctShapes(trace.shapes);
  const fleet = (count: number): Fleet => ({ nodes: Array.from({ length: count }, () => node), domains });
  let low = bound;
  let high = bound;
  for (let step = Math.ceil(bound * 0.02); !placesAll(kind, fleet(high), distinct, trace); step *= 2) {
    low = high + 1;
    high += step;
    if (high > bound * 3) return { nodes: high, bound, overPercent: Infinity };
  }
  while (low < high) {
    const middle = (low + high) >> 1;
    if (placesAll(kind, fleet(middle), distinct, trace)) high = middle;
    else low = middle + 1;
  }
  return { nodes: high, bound, overPercent: ((high - bound) / bound) * 100 };
}
