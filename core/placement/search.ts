// Rank and pick within one group: branch and bound over its grid. Exact: what it passes over cannot be better.
import { bitFrom, bitUpTo } from "./bits.ts";
import { BLOCK_BITS, firstUpTo, type Group } from "./groups.ts";
import { comesBefore, type Pile, type Seat } from "./piles.ts";
import { otherLeftMin, packScore, scoreOf, spreadScore, type Scale } from "./rank.ts";

/** What is looked for, and the best found so far; passed from group to group. */
export interface Search {
  readonly scale: Scale;
  readonly cpu: number;
  readonly memory: number;
  readonly disk: number;
  readonly pids: number;
  /** What keeps single nodes out: ports, apps, siblings, avoidance. null: nothing does. */
  readonly allows: ((seat: Seat) => boolean) | null;
  /** What any node of the group that is being searched is worse by. */
  penalty: number;
  score: number;
  seat: Seat | null;
}

/** Bounds are computed another way than scores, so the last bits may differ. */
const SLACK = 1e-9;

export function searchGroup(search: Search, group: Group): void {
  const { levels, rowsUsed } = group;
  if (search.cpu > group.cpuMax || search.memory > group.memoryMax) return;
  const last = levels - 1;
  const rowMin = Math.min(last, Math.floor(search.cpu / group.cpuStep));
  const columnMin = Math.min(last, Math.floor(search.memory / group.memoryStep));
  if (search.scale.strategy === "pack") {
    let row = bitFrom(rowsUsed, 0, rowMin, last);
    while (row >= 0) row = searchBlock(search, group, row, columnMin);
  } else {
    let row = bitUpTo(rowsUsed, 0, last, rowMin);
    while (row >= 0 && searchRow(search, group, row, columnMin, last)) row = bitUpTo(rowsUsed, 0, row - 1, rowMin);
  }
}

/** The row and those above it in its block. Answers the next row to look at, -1 when no later one can hold anything better. */
function searchBlock(search: Search, group: Group, first: number, columnMin: number): number {
  const { levels, words, rowsUsed, cpuStep, memoryStep } = group;
  const { cpuUnit, memoryUnit } = search.scale;
  const last = levels - 1;
  const block = first >> BLOCK_BITS;
  const end = Math.min(last, ((block + 1) << BLOCK_BITS) - 1);
  const cpuLow = atLeast0((first * cpuStep - search.cpu) / cpuUnit);
  if (boundOf(search, cpuLow, Infinity, 0, Infinity) > search.score + SLACK) return -1;
  const step = memoryStep / memoryUnit;
  const asked = search.memory / memoryUnit;
  const from = Math.max(columnMin, Math.floor((memoryLeftMin(search, cpuLow) + asked) / step));
  const to = Math.min(last, Math.floor((memoryLeftMax(search, cpuLow) + asked) / step));
  if (bitFrom(group.blocksUsed, block * words, from, to) >= 0) {
    for (let row = first; row >= 0; row = bitFrom(rowsUsed, 0, row + 1, end)) {
      if (!searchRow(search, group, row, from, to)) return -1;
    }
  }
  return bitFrom(rowsUsed, 0, end + 1, last);
}

/** From the column where the bound is least to both sides, as far as it lets. false: nor does it let any later row. */
function searchRow(search: Search, group: Group, row: number, from: number, to: number): boolean {
  const { levels, words, columnsUsed, cpuStep, memoryStep } = group;
  const { cpuUnit, memoryUnit } = search.scale;
  const cpuLow = atLeast0((row * cpuStep - search.cpu) / cpuUnit);
  const cpuHigh = ((row + 1) * cpuStep - search.cpu) / cpuUnit;
  if (boundOf(search, cpuLow, cpuHigh, 0, Infinity) > search.score + SLACK) return false;
  const step = memoryStep / memoryUnit;
  const asked = search.memory / memoryUnit;
  const base = row * words;
  const start = Math.max(from, Math.min(to, Math.floor((startAt(search.scale, cpuLow) + asked) / step)));
  for (let column = bitFrom(columnsUsed, base, start, to); column >= 0;) {
    const low = atLeast0(column * step - asked);
    if (boundOf(search, cpuLow, cpuHigh, low, (column + 1) * step - asked) > search.score + SLACK) break;
    searchCell(search, group, row * levels + column);
    column = bitFrom(columnsUsed, base, column + 1, to);
  }
  for (let column = bitUpTo(columnsUsed, base, start - 1, from); column >= 0;) {
    const low = atLeast0(column * step - asked);
    if (boundOf(search, cpuLow, cpuHigh, low, (column + 1) * step - asked) > search.score + SLACK) break;
    searchCell(search, group, row * levels + column);
    column = bitUpTo(columnsUsed, base, column - 1, from);
  }
  return true;
}

/** Packing: as much memory left as cpu, or, if memory is scarce, the least. Spreading: the most. There the bound is least. */
function startAt({ strategy, cpuScarce }: Scale, cpuLow: number): number {
  if (strategy === "spread") return Infinity;
  return cpuScarce ? cpuLow : 0;
}

/** Packing: beyond these nothing in this row, or in a later one, can be good enough. */
function memoryLeftMax({ scale, score, penalty }: Search, cpuLow: number): number {
  const enough = score - penalty + SLACK;
  return scale.cpuScarce || enough <= 2 * cpuLow ? enough - cpuLow : enough / 2;
}
function memoryLeftMin({ scale, score, penalty }: Search, cpuLow: number): number {
  return scale.cpuScarce ? otherLeftMin(cpuLow, score - penalty + SLACK) : 0;
}

/** Piles with the most cpu come first. From the better end, until cpu alone says that no other can be better. */
function searchCell(search: Search, group: Group, cell: number): void {
  const piles = group.cells[cell]!;
  const { strategy, cpuUnit } = search.scale;
  let enough = firstUpTo(piles, search.cpu);
  while (enough < piles.length && piles[enough]!.cpu === search.cpu) enough += 1;
  for (let n = 0; n < enough; n += 1) {
    const pile = piles[strategy === "pack" ? enough - 1 - n : n]!;
    const cpuLeft = (pile.cpu - search.cpu) / cpuUnit;
    if (boundOf(search, cpuLeft, cpuLeft, 0, Infinity) > search.score + SLACK) return;
    searchPile(search, pile);
  }
}

/** The least score that anything within these leftovers can have. */
function boundOf(search: Search, cpuLow: number, cpuHigh: number, memoryLow: number, memoryHigh: number): number {
  const { strategy, cpuScarce } = search.scale;
  if (strategy === "spread") return spreadScore(cpuHigh, memoryHigh) + search.penalty;
  const best = cpuScarce
    ? packScore(cpuLow, within(cpuLow, memoryLow, memoryHigh))
    : packScore(memoryLow, within(memoryLow, cpuLow, cpuHigh));
  return best + search.penalty;
}

const within = (value: number, low: number, high: number): number => (value < low ? low : value > high ? high : value);
const atLeast0 = (share: number): number => (share > 0 ? share : 0);

function searchPile(search: Search, pile: Pile): void {
  if (search.memory > pile.memory || search.disk > pile.disk || search.pids > pile.pids) return;
  const score = scoreOf(search.scale, pile.cpu - search.cpu, pile.memory - search.memory) + search.penalty;
  if (score > search.score) return;
  if (search.allows === null) offer(search, score, pile.seats[0]!);
  else offerAllowed(search, score, pile.seats, 0);
}

/** Below a seat that will do, the heap has only later ones. */
function offerAllowed(search: Search, score: number, seats: readonly Seat[], at: number): void {
  const seat = seats[at];
  if (seat === undefined) return;
  if (search.allows!(seat)) {
    offer(search, score, seat);
    return;
  }
  offerAllowed(search, score, seats, 2 * at + 1);
  offerAllowed(search, score, seats, 2 * at + 2);
}

export function offer(search: Search, score: number, seat: Seat): void {
  if (score > search.score) return;
  if (score === search.score && search.seat !== null && !comesBefore(seat, search.seat)) return;
  search.score = score;
  search.seat = seat;
}
