// Which Cell to ask, by what the Region's summaries say: the same pool as in a Cell, over the rooms of all cells.
import type { NodeCapacity } from "../../contracts/agent-protocol.ts";
import type { CellName, InstanceId, NodeId } from "../../contracts/ids.ts";
import type { CellSummary, NodeKind, ReserveSlot } from "../messages.ts";
import { RESOURCE_NAMES } from "./constraints.ts";
import { labelsKey } from "./groups.ts";
import { createPool } from "./pool.ts";
import { memoryUnits, type Totals } from "./rank.ts";
import { freeIn } from "./rooms.ts";
import { NONE, type PlacementNode, type PlacementRequest, type Pool } from "./types.ts";

export interface Planned {
  readonly cell: CellName;
  readonly failureDomain: string;
}

export interface CellChoice {
  /** Takes in what a cell says now. */
  update(summary: CellSummary): void;
  /**
   * Slots for which some cell but the refused has room, by instance, as far as the summaries know. What is planned counts as
   * taken until the cell says how it is.
   */
  plan(request: PlacementRequest, refused: readonly CellName[]): ReadonlyMap<InstanceId, Planned>;
}

interface Known {
  readonly summary: CellSummary;
  readonly rooms: readonly NodeId[];
}

/** A room in the pool: as its cell told it, and whose it is. */
interface RoomSeat {
  readonly node: PlacementNode;
  readonly planned: Planned;
}

/** copiesMax: how many slots of one request may go to alike nodes of a cell. Between equals the first cell wins: it fills up. */
export function cellChoice(summaries: Iterable<CellSummary>, copiesMax: number): CellChoice {
  const totals: Totals = { nodes: 0, cpuFree: 0, cpuCapacity: 0, memoryFree: 0, memoryCapacity: 0 };
  const pool = createPool([], "", { tieOf: cellNumber, totals });
  const known = new Map<CellName, Known>();
  const seats = new Map<NodeId, RoomSeat>();
  const choice: CellChoice = {
    update(summary) {
      const before = known.get(summary.cell);
      if (before) sum(totals, before.summary, -1);
      sum(totals, summary, 1);
      known.set(summary.cell, { summary, rooms: enterRooms(pool, seats, summary, before?.rooms ?? [], copiesMax) });
    },
    plan(request, refused) {
      const planned = new Map<InstanceId, Planned>();
      // The nodes to avoid are names within a cell: the cell itself sees to them.
      const named = refused.length > 0 || request.slots.some((slot) => slot.avoid !== undefined);
      const avoid = refused.flatMap((cell) => known.get(cell)?.rooms ?? []);
      const slots = named ? request.slots.map((slot) => ({ ...slot, avoid })) : request.slots;
      for (const { slot, node } of pool.place({ ...request, slots, unexplained: true }).placements) {
        planned.set(slot.instance, seats.get(node)!.planned);
        pool.take(node, slot.resources);
      }
      return planned;
    },
  };
  for (const summary of summaries) choice.update(summary);
  return choice;
}

/** What the cells say, without the rooms in which none of the slots fits: of a full fleet that leaves little to look at. */
export function withRoomFor(slots: readonly ReserveSlot[], summaries: readonly CellSummary[]): CellSummary[] {
  const fits = (free: NodeCapacity): boolean =>
    slots.some(({ resources }) => RESOURCE_NAMES.every((name) => resources[name] <= free[name]));
  return summaries.map((summary) => ({
    ...summary,
    kinds: kindsIn(summary).map((kind) => ({ ...kind, rooms: kind.rooms.filter((room) => fits(freeIn(room))) })),
  }));
}

/** Cells are numbered within their region: fra.12 → 12. */
function cellNumber(id: string): number {
  const end = id.indexOf(" ");
  return Number(id.slice(id.lastIndexOf(".", end) + 1, end));
}

function sum(totals: Totals, { readyNodes, free, capacity }: CellSummary, sign: 1 | -1): void {
  totals.nodes += sign * readyNodes;
  totals.cpuFree += sign * free.cpuMilli;
  totals.cpuCapacity += sign * capacity.cpuMilli;
  totals.memoryFree += sign * memoryUnits(free.memoryBytes);
  totals.memoryCapacity += sign * memoryUnits(capacity.memoryBytes);
}

/** A room that is as it was keeps its place; what is gone goes. */
function enterRooms(
  pool: Pool,
  seats: Map<NodeId, RoomSeat>,
  summary: CellSummary,
  before: readonly NodeId[],
  copiesMax: number,
): NodeId[] {
  const now: NodeId[] = [];
  for (const kind of kindsIn(summary)) {
    const { failureDomain, runtime, labels, hostPorts } = kind;
    const head = `${summary.cell} ${runtime} ${failureDomain} ${labelsKey(labels)} ${hostPorts.join(",")}`;
    const planned = { cell: summary.cell, failureDomain };
    for (const room of kind.rooms) {
      for (let copy = 0; copy < Math.min(room[4], copiesMax); copy += 1) {
        const id = `${head} ${room[0]} ${room[1]} ${room[2]} ${room[3]} ${copy}` as NodeId;
        now.push(id);
        const seat = seats.get(id) ?? { node: roomNode(id, kind, freeIn(room)), planned };
        seats.set(id, seat);
        pool.update(seat.node);
      }
    }
  }
  const kept = new Set(now);
  for (const id of before) {
    if (kept.has(id)) continue;
    pool.remove(id);
    seats.delete(id);
  }
  return now;
}

/** What an older cell says: that there is somewhere up to so much of each resource. */
const kindsIn = ({ kinds, readyNodes, runtimes, largestFree }: CellSummary): readonly NodeKind[] =>
  kinds ??
  runtimes.map((runtime) => ({
    failureDomain: "",
    runtime,
    labels: {},
    hostPorts: [],
    rooms: [
      [
        largestFree.cpuMilli,
        Math.floor(largestFree.memoryBytes / 1_048_576),
        Math.floor(largestFree.diskBytes / 1_048_576),
        largestFree.pids,
        readyNodes,
      ],
    ],
  }));

const roomNode = (id: NodeId, kind: NodeKind, free: PlacementNode["free"]): PlacementNode => ({
  id,
  failureDomain: kind.failureDomain,
  runtime: kind.runtime,
  labels: kind.labels,
  closed: null,
  capacity: free,
  free,
  hostPorts: kind.hostPorts,
  apps: NONE,
  images: NONE,
});
