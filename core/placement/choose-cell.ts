// Which Cell to ask, by what the Region's summaries say: the same pool as in a Cell, over the rooms of all cells.
import type { NodeCapacity } from "../../contracts/agent-protocol.ts";
import type { CellName, NodeId } from "../../contracts/ids.ts";
import type { CellSummary, NodeKind, ReserveSlot, Room } from "../messages.ts";
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
   * By slot: the cell that has room, but for the refused, as far as the summaries know; null where none has. What is planned
   * counts as taken until the cell says how it is.
   */
  plan(request: PlacementRequest, refused: readonly CellName[]): readonly (Planned | null)[];
}

/** A room in the pool: as its cell told it, and whose it is. */
interface RoomNode extends PlacementNode {
  /** Between rooms that rank equal the least goes first: by cells, and there the largest first. */
  readonly order: number;
  readonly planned: Planned;
  /** Rooms of the same cell that something was planned for since it said how they are. */
  readonly used: RoomNode[];
  /** It is one of them. */
  isUsed: boolean;
}

interface Known {
  readonly summary: CellSummary;
  /** By kind, in the order in which the cell told them. */
  readonly kinds: ReadonlyMap<string, readonly RoomNode[]>;
  readonly used: RoomNode[];
}

/** copiesMax: how many slots of one request may go to alike nodes of a cell. Between equals the first cell wins: it fills up. */
export function cellChoice(summaries: Iterable<CellSummary>, copiesMax: number): CellChoice {
  const totals: Totals = { nodes: 0, cpuFree: 0, cpuCapacity: 0, memoryFree: 0, memoryCapacity: 0 };
  const pool = createPool<RoomNode>([], "", { tieOf: ({ order }) => order, totals, unexplained: true });
  const known = new Map<CellName, Known>();
  const choice: CellChoice = {
    update(summary) {
      const before = known.get(summary.cell);
      if (before?.summary === summary) {
        for (const room of before.used) asTold(pool, room);
        before.used.length = 0;
        return;
      }
      if (before) sum(totals, before.summary, -1);
      sum(totals, summary, 1);
      known.set(summary.cell, follow(pool, summary, before, copiesMax));
    },
    plan(request, refused) {
      const isFree = refused.length === 0 && request.slots.every(namesNoNodes);
      const { placements } = pool.place(isFree ? request : without(request, refused, known));
      let at = 0;
      return request.slots.map(({ instance, resources }) => {
        const placed = placements[at];
        if (placed?.slot.instance !== instance) return null;
        at += 1;
        const room = pool.nodeOf(placed.node)!;
        pool.take(room.id, resources);
        if (!room.isUsed) room.used.push(room);
        room.isUsed = true;
        return room.planned;
      });
    },
  };
  for (const summary of summaries) choice.update(summary);
  return choice;
}

/** The nodes that a slot avoids are names within a cell: the cell itself sees to them. */
const namesNoNodes = ({ avoid }: ReserveSlot): boolean => avoid === undefined;

function without(
  request: PlacementRequest,
  refused: readonly CellName[],
  known: ReadonlyMap<CellName, Known>,
): PlacementRequest {
  const kinds = refused.flatMap((cell) => [...(known.get(cell)?.kinds.values() ?? [])]);
  const avoid = kinds.flatMap((rooms) => rooms.map(({ id }) => id));
  return { ...request, slots: request.slots.map((slot) => ({ ...slot, avoid })) };
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
const cellNumber = (cell: CellName): number => Number(cell.slice(cell.lastIndexOf(".") + 1));

function sum(totals: Totals, { readyNodes, free, capacity }: CellSummary, sign: 1 | -1): void {
  totals.nodes += sign * readyNodes;
  totals.cpuFree += sign * free.cpuMilli;
  totals.cpuCapacity += sign * capacity.cpuMilli;
  totals.memoryFree += sign * memoryUnits(free.memoryBytes);
  totals.memoryCapacity += sign * memoryUnits(capacity.memoryBytes);
}

function asTold(pool: Pool<RoomNode>, room: RoomNode): void {
  room.isUsed = false;
  pool.update(room);
}

/** Each kind's rooms by their place in its list; what is as it was stays as it is. */
function follow(pool: Pool<RoomNode>, summary: CellSummary, before: Known | undefined, copiesMax: number): Known {
  const kinds = new Map<string, readonly RoomNode[]>();
  const used = before?.used ?? [];
  for (const kind of kindsIn(summary)) {
    const { failureDomain, runtime, labels, hostPorts, offeredPorts = [], agentTooOld = false, classes = "" } = kind;
    const make = `${runtime} ${failureDomain} ${labelsKey(labels)} ${agentTooOld} ${classes} ${offeredPorts.join(";")}`;
    const key = `${summary.cell} ${make} ${hostPorts.join(",")}`;
    const old = before?.kinds.get(key) ?? [];
    const like = old[0] ?? nodeOfKind(key as NodeId, kind, { cell: summary.cell, failureDomain }, used);
    kinds.set(key, roomsOf(pool, like, key, kind.rooms, old, copiesMax));
  }
  for (const [key, rooms] of before?.kinds ?? []) if (!kinds.has(key)) for (const { id } of rooms) pool.remove(id);
  used.length = 0;
  return { summary, kinds, used };
}

/** like: a room of the kind, but for its size. */
function roomsOf(
  pool: Pool<RoomNode>,
  like: RoomNode,
  key: string,
  rooms: readonly Room[],
  before: readonly RoomNode[],
  copiesMax: number,
): RoomNode[] {
  const now: RoomNode[] = [];
  for (const room of rooms) {
    const free = freeIn(room);
    for (let copy = 0; copy < Math.min(room[4], copiesMax); copy += 1) {
      const old = before[now.length];
      if (old && isAlike(old.free, free)) {
        if (old.isUsed) asTold(pool, old);
        now.push(old);
        continue;
      }
      const id = old?.id ?? (`${key} ${now.length}` as NodeId);
      const node = { ...like, id, order: old?.order ?? like.order + now.length, isUsed: false, free };
      pool.update(node);
      now.push(node);
    }
  }
  for (const { id } of before.slice(now.length)) pool.remove(id);
  return now;
}

const isAlike = (a: NodeCapacity, b: NodeCapacity): boolean =>
  a.cpuMilli === b.cpuMilli && a.memoryBytes === b.memoryBytes && a.diskBytes === b.diskBytes && a.pids === b.pids;

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

/** Of a kind, without a room. What it could hold if it were empty nobody asks. */
const nodeOfKind = (id: NodeId, kind: NodeKind, planned: Planned, used: RoomNode[]): RoomNode => ({
  id,
  order: ROOMS_OF_CELL * cellNumber(planned.cell),
  failureDomain: kind.failureDomain,
  runtime: kind.runtime,
  labels: kind.labels,
  closed: null,
  capacity: NO_ROOM,
  free: NO_ROOM,
  hostPorts: kind.hostPorts,
  ...(kind.offeredPorts ? { offeredPorts: kind.offeredPorts } : {}),
  ...(kind.agentTooOld ? { agentTooOld: true } : {}),
  ...(kind.classes ? { classes: kind.classes } : {}),
  apps: NONE,
  images: NONE,
  planned,
  used,
  isUsed: false,
});
/** More than any cell can name, whatever the copies. */
const ROOMS_OF_CELL = 2 ** 20;
const NO_ROOM: NodeCapacity = { cpuMilli: 0, memoryBytes: 0, diskBytes: 0, pids: 0 };
