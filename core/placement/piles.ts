// Nodes that are alike to the last unit of free room lie on one pile, least tie-break on top: thousands of empty nodes are one look.
import type { NodeId } from "../../contracts/ids.ts";
import type { Group } from "./groups.ts";
import type { PlacementNode } from "./types.ts";

/** A node's place in the pool. Mutable, the pool's own. */
export interface Seat {
  node: PlacementNode;
  /** Chance by the pool's seed: orders what ranks equal. */
  readonly tie: number;
  cpu: number;
  memory: number;
  disk: number;
  pids: number;
  /** Ports held: the node's own, and those of slots placed earlier in the same decision. */
  ports: readonly number[];
  /** null: the node is closed. */
  group: Group | null;
  /** On which of the group's piles. */
  pile: number;
  /** Where in its pile's heap. */
  at: number;
}

/**
 * All piles of a group, by number, in flat arrays: a search looks at many, and what it looks at must lie close together. The
 * piles of one place in the grid are a list.
 */
export interface Piles {
  /** cpu, memory, disk and pids of pile n from ROOM * n on. */
  room: Float64Array;
  /** The neighbours in its list; NO_PILE at the ends. */
  next: Int32Array;
  previous: Int32Array;
  /** On top; null where the number is not in use. */
  readonly tops: (Seat | null)[];
  /** All of it where there are several, as a binary heap by comesBefore. */
  readonly heaps: (Seat[] | null)[];
  readonly unused: number[];
}
export const ROOM = 4;
export const NO_PILE = -1;

export const noPiles = (): Piles => ({
  room: new Float64Array(0),
  next: new Int32Array(0),
  previous: new Int32Array(0),
  tops: [],
  heaps: [],
  unused: [],
});

/** Nobody is on it any more, and it is in no list: no slot fits, and no seat is like it. */
export function giveUp({ room, unused }: Piles, pile: number): void {
  room[ROOM * pile] = Number.NaN;
  unused.push(pile);
}

/** An empty pile, in no list. */
export function newPile(piles: Piles): number {
  const known = piles.unused.pop();
  if (known !== undefined) return known;
  const pile = piles.tops.push(null) - 1;
  piles.heaps.push(null);
  if (pile >= piles.next.length) {
    const length = Math.max(16, 2 * piles.next.length);
    piles.room = copyOf(new Float64Array(ROOM * length), piles.room);
    piles.next = copyOf(new Int32Array(length), piles.next);
    piles.previous = copyOf(new Int32Array(length), piles.previous);
  }
  return pile;
}

function copyOf<Numbers extends Float64Array | Int32Array>(longer: Numbers, numbers: Numbers): Numbers {
  longer.set(numbers);
  return longer;
}

export function setPileRoom({ room }: Piles, pile: number, seat: Seat): void {
  const base = ROOM * pile;
  room[base] = seat.cpu;
  room[base + 1] = seat.memory;
  room[base + 2] = seat.disk;
  room[base + 3] = seat.pids;
}

export function isRoomOf({ room }: Piles, pile: number, { cpu, memory, disk, pids }: Seat): boolean {
  const base = ROOM * pile;
  return room[base] === cpu && room[base + 1] === memory && room[base + 2] === disk && room[base + 3] === pids;
}

export function setRoom(seat: Seat, cpu: number, memory: number, disk: number, pids: number): void {
  seat.cpu = cpu;
  seat.memory = memory;
  seat.disk = disk;
  seat.pids = pids;
}

export function comesBefore(a: Seat, b: Seat): boolean {
  return a.tie !== b.tie ? a.tie < b.tie : idOf(a) < idOf(b);
}
const idOf = (seat: Seat): NodeId => seat.node.id;

export function pushSeat({ tops, heaps }: Piles, pile: number, seat: Seat): void {
  const top = tops[pile]!;
  seat.pile = pile;
  if (top === null) {
    tops[pile] = seat;
    seat.at = 0;
    return;
  }
  const heap = (heaps[pile] ??= [top]);
  heap.push(seat);
  rise(heap, heap.length - 1, seat);
  tops[pile] = heap[0]!;
}

/** From its pile. false: that is empty now. */
export function takeSeat({ tops, heaps }: Piles, seat: Seat): boolean {
  const { pile, at } = seat;
  const heap = heaps[pile]!;
  seat.pile = NO_PILE;
  if (heap === null) {
    tops[pile] = null;
    return false;
  }
  const last = heap.pop()!;
  if (last !== seat) {
    rise(heap, at, last);
    if (last.at === at) sink(heap, at, last);
  }
  tops[pile] = heap[0]!;
  if (heap.length === 1) heaps[pile] = null;
  return true;
}

export const seatsOn = ({ tops, heaps }: Piles): Seat[] => tops.flatMap((top, pile) => heaps[pile] ?? top ?? []);

function rise(seats: Seat[], from: number, seat: Seat): void {
  let at = from;
  while (at > 0) {
    const above = (at - 1) >> 1;
    const parent = seats[above]!;
    if (!comesBefore(seat, parent)) break;
    seats[at] = parent;
    parent.at = at;
    at = above;
  }
  seats[at] = seat;
  seat.at = at;
}

function sink(seats: Seat[], from: number, seat: Seat): void {
  let at = from;
  for (;;) {
    let below = 2 * at + 1;
    if (below >= seats.length) break;
    if (below + 1 < seats.length && comesBefore(seats[below + 1]!, seats[below]!)) below += 1;
    const child = seats[below]!;
    if (!comesBefore(child, seat)) break;
    seats[at] = child;
    child.at = at;
    at = below;
  }
  seats[at] = seat;
  seat.at = at;
}
