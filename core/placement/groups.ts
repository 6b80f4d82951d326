// Nodes of one kind, in one failure domain, by what is free of them: a grid of levels of cpu by levels of memory.
import type { RuntimeKind } from "../../contracts/agent-protocol.ts";
import { bitFrom, clearBit, setBit, wordsFor } from "./bits.ts";
import { memoryUnits } from "./rank.ts";
import { pushSeat, setRoom, takeSeat, type Pile, type Seat } from "./piles.ts";
import type { PlacementNode } from "./types.ts";

/**
 * Levels of each resource by the group's size: a small group is scanned; a large one is looked up, and has a few piles in most
 * of its places, so that what a search looks at hardly grows with the group. More levels were tried: rows then cost more
 * than piles.
 */
const GRIDS = [
  { sizeMin: 32_000, levels: 256 },
  { sizeMin: 500, levels: 128 },
  { sizeMin: 64, levels: 32 },
  { sizeMin: 0, levels: 1 },
] as const;

export interface Group {
  readonly failureDomain: string;
  readonly runtime: RuntimeKind;
  readonly labels: PlacementNode["labels"];
  /** The highest level ends here: no node has more, and it is a power of two, so that it seldom changes and levels are exact. */
  cpuMax: number;
  memoryMax: number;
  size: number;
  /** Sums over its nodes; memory in units of rank.ts. */
  cpuFree: number;
  memoryFree: number;
  /** Beyond it the grid grows. */
  sizeMax: number;
  levels: number;
  cpuStep: number;
  memoryStep: number;
  /** Words of one row of bits. */
  words: number;
  /** Piles by [cpu level * levels + memory level], those with the most cpu first. */
  cells: (Pile[] | undefined)[];
  /** The cpu levels that have piles; and of each cpu level the memory levels that have. */
  rowsUsed: Int32Array;
  columnsUsed: Int32Array;
  /** The memory levels that any of a block of rows has. */
  blocksUsed: Int32Array;
}

/** Rows of a block, as a power of two. */
export const BLOCK_BITS = 4;

export function groupFor({ failureDomain, runtime, labels }: PlacementNode): Group {
  return {
    ...{ failureDomain, runtime, labels },
    cpuMax: 1,
    memoryMax: 1,
    size: 0,
    cpuFree: 0,
    memoryFree: 0,
    sizeMax: -1,
    levels: 1,
    cpuStep: 1,
    memoryStep: 1,
    words: 1,
    cells: [],
    rowsUsed: new Int32Array(1),
    columnsUsed: new Int32Array(1),
    blocksUsed: new Int32Array(1),
  };
}

/** Which nodes share a group. */
export const groupKey = ({ failureDomain, runtime, labels }: PlacementNode): string =>
  `${runtime} ${failureDomain} ${labelsKey(labels)}`;

/** The same for the same labels, in whatever order they were given. */
export function labelsKey(labels: PlacementNode["labels"]): string {
  const names = Object.keys(labels);
  return names.length === 0 ? "" : JSON.stringify(names.sort().map((name) => [name, labels[name]]));
}

export function enter(group: Group, seat: Seat): void {
  const { cpuMilli, memoryBytes } = seat.node.capacity;
  group.size += 1;
  group.cpuFree += seat.cpu;
  group.memoryFree += memoryUnits(seat.memory);
  if (group.size > group.sizeMax || cpuMilli > group.cpuMax || memoryBytes > group.memoryMax) {
    while (cpuMilli > group.cpuMax) group.cpuMax *= 2;
    while (memoryBytes > group.memoryMax) group.memoryMax *= 2;
    regrow(group);
  }
  join(group, seat, null);
}

export function leave(group: Group, seat: Seat): void {
  group.size -= 1;
  group.cpuFree -= seat.cpu;
  group.memoryFree -= memoryUnits(seat.memory);
  const pile = seat.pile!;
  takeSeat(pile, seat);
  if (pile.seats.length === 0) takeOut(group, pile);
}

/** Its free room changes. A pile that was its alone goes with it. */
export function shift(group: Group, seat: Seat, cpu: number, memory: number, disk: number, pids: number): void {
  group.cpuFree += cpu - seat.cpu;
  group.memoryFree += memoryUnits(memory) - memoryUnits(seat.memory);
  const pile = seat.pile!;
  const alone = pile.seats.length === 1;
  if (alone) takeOut(group, pile);
  else takeSeat(pile, seat);
  setRoom(seat, cpu, memory, disk, pids);
  join(group, seat, alone ? pile : null);
}

/** Onto the pile of its like. own: a pile that nobody else is on and that is in no cell, to be used where there is none. */
function join(group: Group, seat: Seat, own: Pile | null): void {
  const { cpu, memory, disk, pids } = seat;
  const { levels } = group;
  const row = levelOf(cpu, group.cpuStep, levels);
  const column = levelOf(memory, group.memoryStep, levels);
  const at = row * levels + column;
  const cell = (group.cells[at] ??= []);
  const first = firstUpTo(cell, cpu);
  for (let next = first; next < cell.length && cell[next]!.cpu === cpu; next += 1) {
    const pile = cell[next]!;
    if (pile.memory !== memory || pile.disk !== disk || pile.pids !== pids) continue;
    pushSeat(pile, seat);
    return;
  }
  let pile = own;
  if (pile) setRoom(pile, cpu, memory, disk, pids);
  else pushSeat((pile = { cpu, memory, disk, pids, seats: [] }), seat);
  insertAt(cell, first, pile);
  if (cell.length > 1) return;
  setBit(group.columnsUsed, row * group.words, column);
  setBit(group.blocksUsed, (row >> BLOCK_BITS) * group.words, column);
  setBit(group.rowsUsed, 0, row);
}

/** In a cell the piles with the most cpu come first: the place of the first that has no more than this. */
export function firstUpTo(cell: readonly Pile[], cpu: number): number {
  let low = 0;
  let high = cell.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (cell[middle]!.cpu > cpu) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** splice makes an array of what it took out; this is called for every change of every node. */
function insertAt(cell: Pile[], index: number, pile: Pile): void {
  cell.push(pile);
  for (let at = cell.length - 1; at > index; at -= 1) cell[at] = cell[at - 1]!;
  cell[index] = pile;
}

function removeAt(cell: Pile[], index: number): void {
  for (let at = index; at < cell.length - 1; at += 1) cell[at] = cell[at + 1]!;
  cell.pop();
}

function takeOut(group: Group, pile: Pile): void {
  const { levels, words, columnsUsed } = group;
  const row = levelOf(pile.cpu, group.cpuStep, levels);
  const column = levelOf(pile.memory, group.memoryStep, levels);
  const cell = group.cells[row * levels + column]!;
  removeAt(cell, cell.indexOf(pile, firstUpTo(cell, pile.cpu)));
  if (cell.length > 0) return;
  clearBit(columnsUsed, row * words, column);
  if (!isUsedInBlock(group, row, column)) clearBit(group.blocksUsed, (row >> BLOCK_BITS) * words, column);
  if (bitFrom(columnsUsed, row * words, 0, levels - 1) < 0) clearBit(group.rowsUsed, 0, row);
}

function isUsedInBlock({ levels, words, columnsUsed }: Group, row: number, column: number): boolean {
  const first = (row >> BLOCK_BITS) << BLOCK_BITS;
  const end = Math.min(levels, first + (1 << BLOCK_BITS));
  for (let other = first; other < end; other += 1) {
    if (bitFrom(columnsUsed, other * words, column, column) >= 0) return true;
  }
  return false;
}

function regrow(group: Group): void {
  const at = GRIDS.findIndex(({ sizeMin }) => group.size > sizeMin);
  const { levels } = GRIDS[at]!;
  const seats = group.cells.flatMap((cell) => (cell ?? []).flatMap((pile) => pile.seats));
  group.sizeMax = GRIDS[at - 1]?.sizeMin ?? Infinity;
  group.levels = levels;
  group.cpuStep = group.cpuMax / levels;
  group.memoryStep = group.memoryMax / levels;
  group.words = wordsFor(levels);
  group.cells = Array.from({ length: levels * levels }, () => undefined);
  group.rowsUsed = new Int32Array(group.words);
  group.columnsUsed = new Int32Array(levels * group.words);
  group.blocksUsed = new Int32Array(Math.ceil(levels / (1 << BLOCK_BITS)) * group.words);
  for (const seat of seats) join(group, seat, null);
}

/** Level l holds from l steps up to (l+1) steps; what is over-committed is on level 0. */
function levelOf(free: number, step: number, levels: number): number {
  const level = Math.floor(free / step);
  return level < 0 ? 0 : level >= levels ? levels - 1 : level;
}
