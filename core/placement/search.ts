// Rank and pick within one group: branch and bound over its grid. Exact: what it passes over cannot be better.
import type { Group } from "./groups.ts";
import { comesBefore, type Pile, type Seat } from "./piles.ts";
import { packScore, scoreOf, spreadScore, type Strategy } from "./rank.ts";

/** What is looked for, and the best found so far; passed from group to group. */
export interface Search {
  readonly strategy: Strategy;
  readonly cpuScarce: boolean;
  readonly cpu: number;
  readonly memory: number;
  readonly disk: number;
  readonly pids: number;
  /** What keeps single nodes out: ports, apps, siblings, avoidance. null: nothing does. */
  readonly allows: ((seat: Seat) => boolean) | null;
  score: number;
  seat: Seat | null;
}

/** Bounds are computed another way than scores, so the last bits may differ. */
const SLACK = 1e-9;

export function searchGroup(search: Search, group: Group): void {
  const { side, cpuCapacity, memoryCapacity } = group;
  const cpuShare = search.cpu / cpuCapacity;
  const memoryShare = search.memory / memoryCapacity;
  if (cpuShare > 1 || memoryShare > 1) return;
  const rowMin = Math.floor(cpuShare * side - SLACK);
  const columnMin = Math.floor(memoryShare * side - SLACK);
  const from = (level: number): number => (level <= 0 ? -1 : level >= side ? 1 << (side - 1) : -1 << level);
  const columns = from(columnMin);
  let rows = group.rowsUsed & from(rowMin);
  const pack = search.strategy === "pack";
  while (rows !== 0) {
    const row = pack ? 31 - Math.clz32(rows & -rows) : 31 - Math.clz32(rows);
    rows &= ~(1 << row);
    const cpuLow = atLeast0(row / side - cpuShare);
    const cpuHigh = (row + 1) / side - cpuShare;
    if (boundOf(search, cpuLow, cpuHigh, 0, Infinity) > search.score + SLACK) break;
    for (let cells = group.rows[row]! & columns; cells !== 0; cells &= cells - 1) {
      const column = 31 - Math.clz32(cells & -cells);
      const memoryLow = atLeast0(column / side - memoryShare);
      const memoryHigh = (column + 1) / side - memoryShare;
      if (boundOf(search, cpuLow, cpuHigh, memoryLow, memoryHigh) > search.score + SLACK) continue;
      for (const pile of group.cells[row * side + column]!) searchPile(search, group, pile);
    }
  }
}

/** The least score that anything within these shares left over can have. */
function boundOf(search: Search, cpuLow: number, cpuHigh: number, memoryLow: number, memoryHigh: number): number {
  if (search.strategy === "spread") return spreadScore(cpuHigh, memoryHigh);
  const scarce = search.cpuScarce ? cpuLow : memoryLow;
  const otherLow = search.cpuScarce ? memoryLow : cpuLow;
  const otherHigh = search.cpuScarce ? memoryHigh : cpuHigh;
  return packScore(scarce, Math.min(Math.max(scarce, otherLow), otherHigh));
}

const atLeast0 = (share: number): number => (share > 0 ? share : 0);

function searchPile(search: Search, group: Group, pile: Pile): void {
  if (search.cpu > pile.cpu || search.memory > pile.memory || search.disk > pile.disk || search.pids > pile.pids)
    return;
  const cpuLeft = (pile.cpu - search.cpu) / group.cpuCapacity;
  const memoryLeft = (pile.memory - search.memory) / group.memoryCapacity;
  const score = scoreOf(search.strategy, search.cpuScarce, cpuLeft, memoryLeft);
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
