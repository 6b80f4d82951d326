// Berth's own engines on the benchmark's streams: one pool over all nodes, and cells that are chosen by what a Region says of them.
import type { CellName, InstanceId, NodeId } from "../../contracts/ids.ts";
import { PlacementPolicy } from "../../contracts/release.ts";
import { DEFAULT_LIMITS } from "../../core/limits.ts";
import type { CellSummary, Occupied, ReserveSlot } from "../../core/messages.ts";
import { cellChoice } from "../../core/placement/choose-cell.ts";
import { createPool } from "../../core/placement/pool.ts";
import { kindsOf } from "../../core/placement/rooms.ts";
import { NONE, type PlacementNode, type PlacementRequest, type Pool } from "../../core/placement/types.ts";
import { domainName, type Engine, type Fleet } from "./engine.ts";
import type { Shape } from "./traces.ts";

const MIB = 1_048_576;
const SEED = "0123456789abcdef0123456789abcdef";
/** More than any trace asks for: only cpu and memory decide. */
const AMPLE = 1e9;
const LABELS = {};
const PORTS: readonly number[] = [];
const APART = PlacementPolicy.parse({ failureDomains: "required" });
const NO_CELLS: readonly CellName[] = [];
const NOWHERE: readonly Occupied[] = [];

/** Where it is in the fleet, so that the benchmark need not look it up. */
interface FleetNode extends PlacementNode {
  readonly number: number;
}

const idOf = (node: number): NodeId => `node_${node}` as NodeId;

function placementNode(node: number, shape: Shape, domains: number): FleetNode {
  const capacity = { cpuMilli: shape.cpuMilli, memoryBytes: shape.memoryMib * MIB, diskBytes: AMPLE, pids: AMPLE };
  return {
    number: node,
    id: idOf(node),
    failureDomain: domainName(node, domains),
    runtime: "docker",
    labels: LABELS,
    closed: null,
    capacity,
    free: capacity,
    hostPorts: PORTS,
    apps: NONE,
    images: NONE,
  };
}

function slotsFor(shapes: readonly Shape[], apart: boolean): ReserveSlot[] {
  return shapes.map(({ cpuMilli, memoryMib }, n) => ({
    instance: `ins_${n}` as InstanceId,
    generation: 1,
    ordinal: 0,
    resources: { cpuMilli, memoryBytes: memoryMib * MIB, diskBytes: 0, pids: 1 },
    runtimes: ["docker"],
    ...(apart ? { placement: APART } : {}),
  }));
}

const occupiedIn = (domains: readonly string[]): readonly Occupied[] =>
  domains.length === 0
    ? NOWHERE
    : domains.map((failureDomain) => ({ failureDomain, node: "node_sibling" as NodeId, ordinal: 1 }));

export function onePool({ nodes, domains }: Fleet, shapes: readonly Shape[]): Engine {
  const slots = slotsFor(shapes, domains > 1);
  const pool = createPool(
    nodes.map((shape, node) => placementNode(node, shape, domains)),
    SEED,
  );
  return {
    place(shape, takenDomains) {
      const slot = slots[shape]!;
      const [placed] = pool.place({ slots: [slot], occupied: occupiedIn(takenDomains) }).placements;
      if (!placed) return -1;
      pool.take(placed.node, slot.resources);
      return pool.nodeOf(placed.node)!.number;
    },
    release: (node, shape) => pool.give(idOf(node), slots[shape]!.resources),
    domainOf: (node) => domainName(node, domains),
  };
}

export interface CellCounts {
  asked: number;
  refused: number;
  reports: number;
}

export interface Cells {
  readonly nodesPerCell: number;
  /** The list of cells is this many decisions old at the most; then every cell that changed has said so. */
  readonly reportEvery: number;
  /** one: all requests are one App's, which knows what it was granted. many: each is another App's, with the same old list. */
  readonly apps: "one" | "many";
}

export function cellsBehindRegion(
  { nodes, domains }: Fleet,
  shapes: readonly Shape[],
  { nodesPerCell, reportEvery, apps }: Cells,
  counts: CellCounts = { asked: 0, refused: 0, reports: 0 },
): Engine {
  const slots = slotsFor(shapes, domains > 1);
  const count = Math.ceil(nodes.length / nodesPerCell);
  const names = Array.from({ length: count }, (_, cell) => `bench.${cell}` as CellName);
  const numbers = new Map(names.map((name, cell) => [name, cell]));
  const members = names.map((_, cell) =>
    nodes
      .slice(cell * nodesPerCell, (cell + 1) * nodesPerCell)
      .map((shape, at) => placementNode(cell * nodesPerCell + at, shape, domains)),
  );
  const pools = members.map((own) => createPool(own, SEED));
  const told = pools.map((pool, cell) => summaryOf(names[cell]!, pool, members[cell]!));
  const choice = cellChoice(told, nodesPerCell);
  const changed = new Set<number>();
  let decisions = 0;
  const askCell = (cell: number, request: PlacementRequest): number => {
    counts.asked += 1;
    const [placed] = pools[cell]!.place(request).placements;
    if (!placed) {
      counts.refused += 1;
      return -1;
    }
    pools[cell]!.take(placed.node, placed.slot.resources);
    changed.add(cell);
    return pools[cell]!.nodeOf(placed.node)!.number;
  };
  const report = (): void => {
    for (const cell of changed) {
      told[cell] = summaryOf(names[cell]!, pools[cell]!, members[cell]!);
      choice.update(told[cell]);
    }
    counts.reports += changed.size;
    changed.clear();
  };
  return {
    place(shape, takenDomains) {
      decisions += 1;
      if (decisions % reportEvery === 0) report();
      const slot = slots[shape]!;
      const occupied = occupiedIn(takenDomains);
      const request = { slots: [slot], occupied };
      let refused = NO_CELLS;
      for (let [plan] = choice.plan(request, refused); plan; [plan] = choice.plan(request, refused)) {
        const { cell } = plan;
        const number = numbers.get(cell)!;
        const node = askCell(number, request);
        if (apps === "many") choice.update(told[number]!);
        if (node >= 0) return node;
        refused = [...refused, cell];
      }
      // By the summaries nobody else has room; as they may be old, everybody is asked.
      for (const name of names) {
        const node = refused.includes(name) ? -1 : askCell(numbers.get(name)!, request);
        if (node >= 0) return node;
      }
      return -1;
    },
    release(node, shape) {
      const cell = Math.floor(node / nodesPerCell);
      pools[cell]!.give(idOf(node), slots[shape]!.resources);
      changed.add(cell);
    },
    domainOf: (node) => domainName(node, domains),
  };
}

function summaryOf(cell: CellName, pool: Pool<FleetNode>, members: readonly FleetNode[]): CellSummary {
  const nodes = members.map(({ id }) => pool.get(id)!);
  const total = (of: (node: PlacementNode) => PlacementNode["free"]) => ({
    cpuMilli: nodes.reduce((sum, node) => sum + of(node).cpuMilli, 0),
    memoryBytes: nodes.reduce((sum, node) => sum + of(node).memoryBytes, 0),
    diskBytes: AMPLE,
    pids: AMPLE,
  });
  const free = total((node) => node.free);
  return {
    cell,
    nodes: nodes.length,
    readyNodes: nodes.length,
    capacity: total((node) => node.capacity),
    free,
    largestFree: free,
    runtimes: ["docker"],
    kinds: kindsOf(nodes, DEFAULT_LIMITS.summaryRoomsMax),
    atMs: 0,
  };
}
