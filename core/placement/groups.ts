// Nodes of one kind, in one failure domain, by what is free of them: a grid of levels of cpu by levels of memory.
import type { RuntimeKind } from "../../contracts/agent-protocol.ts";
import { clearBit, setBit, wordsFor } from "./bits.ts";
import { levelOf, levelsUpTo, ONE_LEVEL, type Levels } from "./levels.ts";
import {
  giveUp,
  isRoomOf,
  newPile,
  NO_PILE,
  noPiles,
  pushSeat,
  seatsOn,
  setPileRoom,
  setRoom,
  takeSeat,
  type Piles,
  type Seat,
} from "./piles.ts";
import { memoryUnits, type Scale } from "./rank.ts";
import type { PlacementNode } from "./types.ts";

/**
 * How finely each doubling is cut, by the group's size: a small group is scanned; a large one is looked up, and has a few piles
 * in each of its places, so that what a search looks at hardly grows with the group.
 */
const GRIDS = [
  { sizeMin: 32_000, bits: 5 },
  { sizeMin: 2_000, bits: 3 },
  { sizeMin: 16, bits: 1 },
  { sizeMin: 0, bits: 0 },
] as const;
/** Leftovers below these are all alike, and so are those of the largest and above: in thousandths of a core, and in bytes. */
const CPU_UNIT = 16;
const CPU_MAX = 1_024_000;
const MEMORY_UNIT = 2 ** 24;
const MEMORY_MAX = 2 ** 43;

export interface Group {
  readonly failureDomain: string;
  readonly runtime: RuntimeKind;
  readonly labels: PlacementNode["labels"];
  size: number;
  /** Sums over its nodes; memory in units of rank.ts. */
  cpuFree: number;
  memoryFree: number;
  /** Beyond it the grid grows. */
  sizeMax: number;
  /** Of cpu, and of memory. */
  rows: Levels;
  columns: Levels;
  /** Their lows as shares of what an average node has, by the scale that a search used last. */
  rowShares: Float64Array;
  columnShares: Float64Array;
  cpuUnit: number;
  memoryUnit: number;
  readonly piles: Piles;
  /** The first pile by [row * columns + column]; NO_PILE: none. */
  cells: Int32Array;
  /** Words of one set of columns. */
  words: number;
  /** Which columns have piles: of each row, of each block of rows, of each block of blocks. */
  readonly used: [Int32Array, Int32Array, Int32Array];
  /** In how many of its rows, or blocks, a block has the column. */
  readonly counts: [Uint8Array, Uint8Array];
}

/** Rows of a block, and blocks of a block of these, as a power of two. */
export const BLOCK_BITS = 3;

export function groupFor({ failureDomain, runtime, labels }: PlacementNode): Group {
  return {
    ...{ failureDomain, runtime, labels },
    size: 0,
    cpuFree: 0,
    memoryFree: 0,
    sizeMax: -1,
    rows: ONE_LEVEL,
    columns: ONE_LEVEL,
    rowShares: new Float64Array(0),
    columnShares: new Float64Array(0),
    cpuUnit: 0,
    memoryUnit: 0,
    piles: noPiles(),
    cells: Int32Array.of(NO_PILE),
    words: 1,
    used: [new Int32Array(1), new Int32Array(1), new Int32Array(1)],
    counts: [new Uint8Array(1), new Uint8Array(1)],
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
  group.size += 1;
  group.cpuFree += seat.cpu;
  group.memoryFree += memoryUnits(seat.memory);
  join(group, seat, NO_PILE);
  if (group.size > group.sizeMax) remake(group);
}

/** The units of a scale seldom change. */
export function measureBy(group: Group, { cpuUnit, memoryUnit }: Scale): void {
  if (group.cpuUnit === cpuUnit && group.memoryUnit === memoryUnit) return;
  group.cpuUnit = cpuUnit;
  group.memoryUnit = memoryUnit;
  group.rowShares = group.rows.lows.map((low) => low / cpuUnit);
  group.columnShares = group.columns.lows.map((low) => low / memoryUnit);
}

export function leave(group: Group, seat: Seat): void {
  group.size -= 1;
  group.cpuFree -= seat.cpu;
  group.memoryFree -= memoryUnits(seat.memory);
  const { pile } = seat;
  if (takeSeat(group.piles, seat)) return;
  unlink(group, pile, seat);
  giveUp(group.piles, pile);
}

/** Its free room changes. A pile that was its alone goes with it. */
export function shift(group: Group, seat: Seat, cpu: number, memory: number, disk: number, pids: number): void {
  group.cpuFree += cpu - seat.cpu;
  group.memoryFree += memoryUnits(memory) - memoryUnits(seat.memory);
  const { pile } = seat;
  const alone = !takeSeat(group.piles, seat);
  if (alone) unlink(group, pile, seat);
  setRoom(seat, cpu, memory, disk, pids);
  join(group, seat, alone ? pile : NO_PILE);
}

/** Onto the pile of its like. own: an empty pile that is in no list, to be used where there is none. */
function join(group: Group, seat: Seat, own: number): void {
  const { rows, columns, piles, cells } = group;
  if (rows.last === 0) {
    putOn(piles, likeAnywhere(piles, seat), own, seat);
    return;
  }
  const row = levelOf(rows, seat.cpu);
  const column = levelOf(columns, seat.memory);
  const at = row * (columns.last + 1) + column;
  const first = cells[at]!;
  const like = likeInList(piles, first, seat);
  const pile = putOn(piles, like, own, seat);
  if (like !== NO_PILE) return;
  piles.next[pile] = first;
  piles.previous[pile] = NO_PILE;
  cells[at] = pile;
  if (first === NO_PILE) use(group, row, column);
  else piles.previous[first] = pile;
}

/** like: the pile of its like; NO_PILE: there is none. Answers on which pile it is now. */
function putOn(piles: Piles, like: number, own: number, seat: Seat): number {
  if (like !== NO_PILE && own !== NO_PILE) giveUp(piles, own);
  const pile = like !== NO_PILE ? like : own !== NO_PILE ? own : newPile(piles);
  if (like === NO_PILE) setPileRoom(piles, pile, seat);
  pushSeat(piles, pile, seat);
  return pile;
}

function likeInList(piles: Piles, first: number, seat: Seat): number {
  const { next } = piles;
  let pile = first;
  while (pile !== NO_PILE && !isRoomOf(piles, pile, seat)) pile = next[pile]!;
  return pile;
}

/** Of a group without a grid. */
function likeAnywhere(piles: Piles, seat: Seat): number {
  let pile = piles.tops.length - 1;
  while (pile >= 0 && !isRoomOf(piles, pile, seat)) pile -= 1;
  return pile;
}

function use({ words, used, counts, columns }: Group, row: number, column: number): void {
  const [rows, blocks, bigBlocks] = used;
  const width = columns.last + 1;
  const block = row >> BLOCK_BITS;
  const bigBlock = block >> BLOCK_BITS;
  setBit(rows, row * words, column);
  if (counts[0][block * width + column]!++ > 0) return;
  setBit(blocks, block * words, column);
  if (counts[1][bigBlock * width + column]!++ > 0) return;
  setBit(bigBlocks, bigBlock * words, column);
}

function disuse({ words, used, counts, columns }: Group, row: number, column: number): void {
  const [rows, blocks, bigBlocks] = used;
  const width = columns.last + 1;
  const block = row >> BLOCK_BITS;
  const bigBlock = block >> BLOCK_BITS;
  clearBit(rows, row * words, column);
  if (--counts[0][block * width + column]! > 0) return;
  clearBit(blocks, block * words, column);
  if (--counts[1][bigBlock * width + column]! > 0) return;
  clearBit(bigBlocks, bigBlock * words, column);
}

/** The pile, which has the room of the seat, out of its list. */
function unlink(group: Group, pile: number, seat: Seat): void {
  if (group.rows.last === 0) return;
  const { next, previous } = group.piles;
  const after = next[pile]!;
  const before = previous[pile]!;
  if (after !== NO_PILE) previous[after] = before;
  if (before !== NO_PILE) {
    next[before] = after;
    return;
  }
  const { rows, columns, cells } = group;
  const row = levelOf(rows, seat.cpu);
  const column = levelOf(columns, seat.memory);
  cells[row * (columns.last + 1) + column] = after;
  if (after === NO_PILE) disuse(group, row, column);
}

function remake(group: Group): void {
  const at = GRIDS.findIndex(({ sizeMin }) => group.size > sizeMin);
  const { sizeMin, bits } = GRIDS[at]!;
  const seats = seatsOn(group.piles);
  Object.assign(group.piles, noPiles());
  group.sizeMax = GRIDS[at - 1]?.sizeMin ?? Infinity;
  group.rows = sizeMin === 0 ? ONE_LEVEL : levelsUpTo(CPU_MAX, CPU_UNIT, bits);
  group.columns = sizeMin === 0 ? ONE_LEVEL : levelsUpTo(MEMORY_MAX, MEMORY_UNIT, bits);
  group.cpuUnit = 0;
  const [height, width] = [group.rows.last + 1, group.columns.last + 1];
  group.words = wordsFor(width);
  group.cells = new Int32Array(height * width).fill(NO_PILE);
  const blocks = 1 + (group.rows.last >> BLOCK_BITS);
  const bigBlocks = 1 + (group.rows.last >> (2 * BLOCK_BITS));
  [height, blocks, bigBlocks].forEach((count, at) => (group.used[at] = new Int32Array(count * group.words)));
  [blocks, bigBlocks].forEach((count, at) => (group.counts[at] = new Uint8Array(count * width)));
  for (const seat of seats) join(group, seat, NO_PILE);
}
