// Nodes of one make, in one failure domain, by what is free of them: a grid of levels of cpu by levels of memory.
import type { RuntimeKind } from "../../contracts/agent-protocol.ts";
import { pushSeat, takeSeat, type Pile, type Seat } from "./piles.ts";
import type { PlacementNode } from "./types.ts";

/** Levels of each resource by the group's size: a small group is scanned, a large one is looked up. Rows are one 32-bit word. */
const SIDES = [
  { seatsMin: 1_000, side: 32 },
  { seatsMin: 48, side: 8 },
  { seatsMin: 0, side: 1 },
];

export interface Group {
  readonly failureDomain: string;
  readonly runtime: RuntimeKind;
  readonly labels: PlacementNode["labels"];
  readonly cpuCapacity: number;
  readonly memoryCapacity: number;
  size: number;
  side: number;
  /** Piles by [cpu level * side + memory level]. */
  cells: Pile[][];
  /** Bits of the memory levels that have piles, for each cpu level; and of the cpu levels that have any. */
  rows: Uint32Array;
  rowsUsed: number;
}

export function groupFor(node: PlacementNode): Group {
  return {
    failureDomain: node.failureDomain,
    runtime: node.runtime,
    labels: node.labels,
    cpuCapacity: node.capacity.cpuMilli,
    memoryCapacity: node.capacity.memoryBytes,
    size: 0,
    side: 1,
    cells: [[]],
    rows: new Uint32Array(1),
    rowsUsed: 0,
  };
}

/** Which nodes share a group. */
export function groupKey({ failureDomain, runtime, labels, capacity }: PlacementNode): string {
  const names = Object.keys(labels);
  const sorted = names.length < 2 ? names : names.sort();
  const said = sorted.map((name) => [name, labels[name]]);
  return JSON.stringify([failureDomain, runtime, capacity.cpuMilli, capacity.memoryBytes, said]);
}

export function enter(group: Group, seat: Seat): void {
  group.size += 1;
  const { side } = SIDES.find(({ seatsMin }) => group.size > seatsMin) ?? SIDES[2]!;
  if (side > group.side) regrow(group, side);
  put(group, seat);
}

export function leave(group: Group, seat: Seat): void {
  group.size -= 1;
  const pile = seat.pile!;
  takeSeat(pile, seat);
  if (pile.seats.length > 0) return;
  const row = levelOf(pile.cpu, group.cpuCapacity, group.side);
  const column = levelOf(pile.memory, group.memoryCapacity, group.side);
  const cell = group.cells[row * group.side + column]!;
  const last = cell.pop()!;
  if (last !== pile) cell[cell.indexOf(pile)] = last;
  if (cell.length > 0) return;
  group.rows[row]! &= ~(1 << column);
  if (group.rows[row] === 0) group.rowsUsed &= ~(1 << row);
}

function put(group: Group, seat: Seat): void {
  const { side } = group;
  const row = levelOf(seat.cpu, group.cpuCapacity, side);
  const column = levelOf(seat.memory, group.memoryCapacity, side);
  const cell = group.cells[row * side + column]!;
  for (const pile of cell) {
    if (pile.cpu === seat.cpu && pile.memory === seat.memory && pile.disk === seat.disk && pile.pids === seat.pids) {
      pushSeat(pile, seat);
      return;
    }
  }
  const pile: Pile = { cpu: seat.cpu, memory: seat.memory, disk: seat.disk, pids: seat.pids, seats: [] };
  pushSeat(pile, seat);
  cell.push(pile);
  group.rows[row]! |= 1 << column;
  group.rowsUsed |= 1 << row;
}

function regrow(group: Group, side: number): void {
  const seats = group.cells.flatMap((cell) => cell.flatMap((pile) => pile.seats));
  group.side = side;
  group.cells = Array.from({ length: side * side }, () => []);
  group.rows = new Uint32Array(side);
  group.rowsUsed = 0;
  for (const seat of seats) put(group, seat);
}

/** Level l holds shares from l/side up to (l+1)/side; what is over-committed is on level 0. */
export function levelOf(free: number, capacity: number, side: number): number {
  const level = Math.floor((free / capacity) * side);
  return level < 0 ? 0 : level >= side ? side - 1 : level;
}
