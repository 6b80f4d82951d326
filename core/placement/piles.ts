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
  pile: Pile | null;
  /** Where in its pile's heap. */
  at: number;
}

export interface Pile {
  cpu: number;
  memory: number;
  disk: number;
  pids: number;
  /** A binary heap by comesBefore. */
  readonly seats: Seat[];
}

/** Of a seat, or of a pile that is in no cell. */
export function setRoom(of: Seat | Pile, cpu: number, memory: number, disk: number, pids: number): void {
  of.cpu = cpu;
  of.memory = memory;
  of.disk = disk;
  of.pids = pids;
}

export function comesBefore(a: Seat, b: Seat): boolean {
  return a.tie !== b.tie ? a.tie < b.tie : idOf(a) < idOf(b);
}
const idOf = (seat: Seat): NodeId => seat.node.id;

export function pushSeat(pile: Pile, seat: Seat): void {
  seat.pile = pile;
  pile.seats.push(seat);
  rise(pile.seats, pile.seats.length - 1, seat);
}

export function takeSeat(pile: Pile, seat: Seat): void {
  const { seats } = pile;
  const last = seats.pop()!;
  seat.pile = null;
  if (last === seat) return;
  const at = seat.at;
  rise(seats, at, last);
  if (last.at === at) sink(seats, at, last);
}

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
