// Rank and pick within one group: branch and bound over its grid. Exact: what it passes over cannot be better.
import { bitFrom, bitUpTo } from "./bits.ts";
import { BLOCK_BITS, measureBy, type Group } from "./groups.ts";
import { levelOf } from "./levels.ts";
import { comesBefore, NO_PILE, ROOM, type Piles, type Seat } from "./piles.ts";
import { packScore, scaleOf, scoreOf, spreadScore, type Scale } from "./rank.ts";

/** What is looked for, and the best found so far; passed from group to group. A pool has one, for all its decisions. */
export interface Search {
  scale: Scale;
  cpu: number;
  memory: number;
  disk: number;
  pids: number;
  /** What keeps single nodes out: ports, apps, siblings, avoidance. null: nothing does. */
  allows: ((seat: Seat) => boolean) | null;
  /** What any node of the group that is being searched is worse by. */
  penalty: number;
  score: number;
  seat: Seat | null;
}

export const noSearch = (): Search => ({
  ...{ scale: scaleOf("pack", { nodes: 1, cpuFree: 0, cpuCapacity: 1, memoryFree: 0, memoryCapacity: 1 }), cpu: 0.5 },
  ...{ memory: 0.5, disk: 0.5, pids: 0.5, allows: null, penalty: 0.5, score: Infinity, seat: null },
});

/** Bounds are computed another way than scores, so the last bits may differ. */
const SLACK = 1e-9;

export function searchGroup(search: Search, group: Group): void {
  const { scale } = search;
  if (group.rows.last === 0) searchAll(search, group.piles);
  else if (scale.strategy === "spread") searchSpread(search, group);
  else {
    measureBy(group, scale);
    searchPacked(search, group);
  }
}

/** Least cpu first, block by block, until cpu alone says that no other can be better. */
function searchPacked(search: Search, group: Group): void {
  const { rows, columns, words, used, rowShares, columnShares } = group;
  const { cpuScarce, cpuUnit, memoryUnit } = search.scale;
  const cpuAsked = search.cpu / cpuUnit;
  const memoryAsked = search.memory / memoryUnit;
  const columnMin = levelOf(columns, search.memory);
  const { last } = columns;
  let row = levelOf(rows, search.cpu);
  let step = stepAt(row);
  while (row <= rows.last) {
    const enough = search.score - search.penalty + SLACK;
    const cpuLow = atLeast0(rowShares[row]! - cpuAsked);
    if ((cpuScarce ? 2 * cpuLow : cpuLow) > enough) return;
    const column = bitFrom(used[step]!, (row >> (step * BLOCK_BITS)) * words, columnMin, last);
    const memoryMost = cpuScarce || enough <= 2 * cpuLow ? enough - cpuLow : enough / 2;
    if (column < 0 || columnShares[column]! - memoryAsked > memoryMost) {
      row += 1 << (step * BLOCK_BITS);
      step = stepAt(row);
    } else if (step > 0) step -= 1;
    else {
      searchRow(search, group, row, column);
      row += 1;
      step = stepAt(row);
    }
  }
}

/** From its first column with enough memory on, as far as the score lets. */
function searchRow(search: Search, group: Group, row: number, first: number): void {
  const { columns, words, used, cells, piles, rowShares, columnShares } = group;
  const { cpuScarce, cpuUnit, memoryUnit } = search.scale;
  const memoryAsked = search.memory / memoryUnit;
  const cpuAsked = search.cpu / cpuUnit;
  const cpuLow = atLeast0(rowShares[row]! - cpuAsked);
  const cpuHigh = rowShares[row + 1]! - cpuAsked;
  const place = row * (columns.last + 1);
  for (let column = first; column >= 0; column = bitFrom(used[0], row * words, column + 1, columns.last)) {
    const enough = search.score - search.penalty + SLACK;
    const low = atLeast0(columnShares[column]! - memoryAsked);
    const high = columnShares[column + 1]! - memoryAsked;
    if (cpuScarce) {
      if (cpuLow + low > enough) return;
      if (high < cpuLow && packScore(cpuLow, high) > enough) continue;
    } else if (packScore(low, low < cpuLow ? cpuLow : low < cpuHigh ? low : cpuHigh) > enough) return;
    searchCell(search, piles, cells[place + column]!);
  }
}

/** How large a block begins at the row. */
const stepAt = (row: number): 0 | 1 | 2 =>
  (row & ((1 << (2 * BLOCK_BITS)) - 1)) === 0 ? 2 : (row & ((1 << BLOCK_BITS) - 1)) === 0 ? 1 : 0;

/** Most cpu first, and there most memory. */
function searchSpread(search: Search, group: Group): void {
  const { rows, columns, words, used, cells, piles } = group;
  const { cpu, memory, scale } = search;
  const columnMin = levelOf(columns, memory);
  for (let row = rows.last; row >= levelOf(rows, cpu); row -= 1) {
    const cpuHigh = (rows.lows[row + 1]! - cpu) / scale.cpuUnit;
    if (spreadScore(cpuHigh, Infinity) + search.penalty > search.score + SLACK) return;
    let column = bitUpTo(used[0], row * words, columns.last, columnMin);
    for (; column >= 0; column = bitUpTo(used[0], row * words, column - 1, columnMin)) {
      const memoryHigh = (columns.lows[column + 1]! - memory) / scale.memoryUnit;
      if (spreadScore(cpuHigh, memoryHigh) + search.penalty > search.score + SLACK) break;
      searchCell(search, piles, cells[row * (columns.last + 1) + column]!);
    }
  }
}

const atLeast0 = (share: number): number => (share > 0 ? share : 0);

function searchCell(search: Search, piles: Piles, first: number): void {
  const { next } = piles;
  for (let pile = first; pile !== NO_PILE; pile = next[pile]!) tryPile(search, piles, pile);
}

/** Of a group without a grid. */
function searchAll(search: Search, piles: Piles): void {
  for (let pile = piles.tops.length - 1; pile >= 0; pile -= 1) tryPile(search, piles, pile);
}

function tryPile(search: Search, { room, tops, heaps }: Piles, pile: number): void {
  const base = ROOM * pile;
  const cpuLeft = room[base]! - search.cpu;
  const memoryLeft = room[base + 1]! - search.memory;
  if (!(cpuLeft >= 0 && memoryLeft >= 0)) return;
  const score = scoreOf(search.scale, cpuLeft, memoryLeft) + search.penalty;
  if (score > search.score || search.disk > room[base + 2]! || search.pids > room[base + 3]!) return;
  const top = tops[pile]!;
  if (search.allows === null || search.allows(top)) offer(search, score, top);
  else offerAllowed(search, score, heaps[pile] ?? NOBODY, 0);
}

const NOBODY: readonly Seat[] = [];

/** Below a seat that will do, the heap has only later ones. */
function offerAllowed(search: Search, score: number, heap: readonly Seat[], at: number): void {
  const seat = heap[at];
  if (seat === undefined) return;
  if (search.allows!(seat)) {
    offer(search, score, seat);
    return;
  }
  offerAllowed(search, score, heap, 2 * at + 1);
  offerAllowed(search, score, heap, 2 * at + 2);
}

export function offer(search: Search, score: number, seat: Seat): void {
  if (score > search.score) return;
  if (score === search.score && search.seat !== null && !comesBefore(seat, search.seat)) return;
  search.score = score;
  search.seat = seat;
}
