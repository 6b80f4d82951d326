// Other schedulers' rules from their published formulas, each a full scan over all nodes in flat arrays: the best case for them.
import { domainName, type EngineKind } from "./engine.ts";

/** Lower is better. Shares of the node's own capacity: what would be used, and what would be left. */
type Score = (cpuUsed: number, memoryUsed: number, cpuLeft: number, memoryLeft: number, ask: Ask) => number;

/** The request as shares of the node. */
interface Ask {
  cpu: number;
  memory: number;
}

const SCORES = {
  /** Kubernetes NodeResourcesFit, MostAllocated: the mean of the used shares. */
  kubernetesMostAllocated: (cpuUsed, memoryUsed) => -(cpuUsed + memoryUsed) / 2,
  /** Kubernetes NodeResourcesFit, LeastAllocated (its default). */
  kubernetesLeastAllocated: (cpuUsed, memoryUsed) => (cpuUsed + memoryUsed) / 2,
  /** Nomad ScoreFitBinPack: 20 - (10^freeCpu + 10^freeMemory), more is better (BestFit v3, after Google's). */
  nomadBestFit: (_cpuUsed, _memoryUsed, cpuLeft, memoryLeft) => 10 ** cpuLeft + 10 ** memoryLeft,
  /** Tetris: the dot product of the request and what is free before it comes; more is better. */
  tetrisDotProduct: (_cpuUsed, _memoryUsed, cpuLeft, memoryLeft, ask) =>
    -(ask.cpu * (cpuLeft + ask.cpu) + ask.memory * (memoryLeft + ask.memory)),
  /** Best fit by what is left of both, and how uneven it is. */
  bestFitShapeBalance: (_cpuUsed, _memoryUsed, cpuLeft, memoryLeft) =>
    cpuLeft + memoryLeft + Math.abs(cpuLeft - memoryLeft),
} satisfies Record<string, Score>;

export const PEERS: Readonly<Record<string, EngineKind>> = {
  firstFit: (fleet, shapes) => scanning(fleet, shapes, null),
  ...Object.fromEntries(
    Object.entries(SCORES).map(([name, score]) => [
      name,
      ((fleet, shapes) => scanning(fleet, shapes, score)) satisfies EngineKind,
    ]),
  ),
};

function scanning(
  { nodes, domains }: Parameters<EngineKind>[0],
  shapes: Parameters<EngineKind>[1],
  score: Score | null,
): ReturnType<EngineKind> {
  const cpuCapacity = Float64Array.from(nodes, ({ cpuMilli }) => cpuMilli);
  const memoryCapacity = Float64Array.from(nodes, ({ memoryMib }) => memoryMib);
  const cpuFree = Float64Array.from(cpuCapacity);
  const memoryFree = Float64Array.from(memoryCapacity);
  const ask: Ask = { cpu: 0, memory: 0 };
  const take = (node: number, shape: number, sign: 1 | -1): void => {
    cpuFree[node]! -= sign * shapes[shape]!.cpuMilli;
    memoryFree[node]! -= sign * shapes[shape]!.memoryMib;
  };
  return {
    place(shape) {
      const { cpuMilli, memoryMib } = shapes[shape]!;
      let best = -1;
      let least = Infinity;
      for (let node = 0; node < cpuFree.length; node += 1) {
        if (cpuFree[node]! < cpuMilli || memoryFree[node]! < memoryMib) continue;
        if (score === null) {
          best = node;
          break;
        }
        const cpuLeft = (cpuFree[node]! - cpuMilli) / cpuCapacity[node]!;
        const memoryLeft = (memoryFree[node]! - memoryMib) / memoryCapacity[node]!;
        ask.cpu = cpuMilli / cpuCapacity[node]!;
        ask.memory = memoryMib / memoryCapacity[node]!;
        const value = score(1 - cpuLeft, 1 - memoryLeft, cpuLeft, memoryLeft, ask);
        if (value >= least) continue;
        least = value;
        best = node;
      }
      if (best >= 0) take(best, shape, 1);
      return best;
    },
    release: (node, shape) => take(node, shape, -1),
    domainOf: (node) => domainName(node, domains),
  };
}
