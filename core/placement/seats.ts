// The seats of a pool: its nodes as they are now, each in the group of its kind, with the sums over all of them.
import type { NodeId } from "../../contracts/ids.ts";
import type { Resources } from "../../contracts/release.ts";
import { enter, groupFor, groupKey, leave, shift, type Group } from "./groups.ts";
import type { Shunned } from "./neighbours.ts";
import { NO_PILE, setRoom, type Seat } from "./piles.ts";
import { memoryUnits, type Totals } from "./rank.ts";
import type { Search } from "./search.ts";
import type { PlacementNode } from "./types.ts";

/** What a pick looks at. */
export interface PoolState {
  readonly seats: Map<NodeId, Seat>;
  readonly groups: Map<string, Group>;
  /** Open nodes by an image that they have. */
  readonly byImage: Map<string, Set<Seat>>;
  /** On how many nodes something stays away from an app. */
  readonly shunned: Map<string, number>;
  readonly totals: Totals;
  /** By what leftovers are measured: the totals, or what the owner says instead. */
  readonly measure: Totals;
  readonly unexplained: boolean;
  /** The last one: all decisions share it. */
  readonly search: Search;
  /** The groups, in a list. */
  groupList: readonly Group[];
  /** Whom the last decision was about: its owner will speak of it next. */
  last: Seat | null;
}

export const seatOf = ({ seats, last }: PoolState, id: NodeId): Seat | undefined =>
  last !== null && last.node.id === id ? last : seats.get(id);

export function addSeat(state: PoolState, node: PlacementNode, tie: number): void {
  const seat: Seat = { node, tie, cpu: 0, memory: 0, disk: 0, pids: 0, ports: [], group: null, pile: NO_PILE, at: 0 };
  state.seats.set(node.id, seat);
  countShunned(state, node.shunned, 1);
  readNode(seat, node);
  open(state, seat);
}

export function changeSeat(state: PoolState, seat: Seat, node: PlacementNode): void {
  const before = seat.node;
  const { group } = seat;
  if (before.shunned !== node.shunned) {
    countShunned(state, before.shunned, -1);
    countShunned(state, node.shunned, 1);
  }
  const sameMake =
    group !== null &&
    node.closed === null &&
    before.failureDomain === node.failureDomain &&
    before.runtime === node.runtime &&
    before.labels === node.labels &&
    before.capacity === node.capacity &&
    before.images === node.images;
  if (sameMake) {
    const { cpuMilli, memoryBytes, diskBytes, pids } = node.free;
    seat.node = node;
    seat.ports = node.hostPorts;
    if (cpuMilli === seat.cpu && memoryBytes === seat.memory && diskBytes === seat.disk && pids === seat.pids) return;
    move(state, seat, cpuMilli, memoryBytes, diskBytes, pids);
    return;
  }
  close(state, seat);
  readNode(seat, node);
  open(state, seat);
}

export function removeSeat(state: PoolState, seat: Seat): void {
  close(state, seat);
  countShunned(state, seat.node.shunned, -1);
  state.seats.delete(seat.node.id);
  if (state.last === seat) state.last = null;
}

function countShunned({ shunned }: PoolState, keys: Shunned | undefined, by: 1 | -1): void {
  for (const key of keys?.keys() ?? []) {
    const now = (shunned.get(key) ?? 0) + by;
    if (now === 0) shunned.delete(key);
    else shunned.set(key, now);
  }
}

function readNode(seat: Seat, node: PlacementNode): void {
  seat.node = node;
  setRoom(seat, node.free.cpuMilli, node.free.memoryBytes, node.free.diskBytes, node.free.pids);
  seat.ports = node.hostPorts;
}

function open(state: PoolState, seat: Seat): void {
  const { node } = seat;
  if (node.closed !== null) return;
  const group = groupOf(state, node);
  seat.group = group;
  enter(group, seat);
  sum(state.totals, seat, 1);
  for (const image of node.images) {
    const having = state.byImage.get(image);
    if (having) having.add(seat);
    else state.byImage.set(image, new Set([seat]));
  }
}

function groupOf(state: PoolState, node: PlacementNode): Group {
  const { groups } = state;
  const key = groupKey(node);
  let group = groups.get(key);
  if (!group) {
    groups.set(key, (group = groupFor(node)));
    state.groupList = [...groups.values()];
  }
  return group;
}

function close(state: PoolState, seat: Seat): void {
  const { group, node } = seat;
  if (group === null) return;
  leave(group, seat);
  if (group.size === 0) {
    state.groups.delete(groupKey(node));
    state.groupList = [...state.groups.values()];
  }
  seat.group = null;
  sum(state.totals, seat, -1);
  for (const image of node.images) {
    const having = state.byImage.get(image)!;
    having.delete(seat);
    if (having.size === 0) state.byImage.delete(image);
  }
}

function sum(totals: Totals, seat: Seat, sign: 1 | -1): void {
  totals.nodes += sign;
  totals.cpuFree += sign * seat.cpu;
  totals.cpuCapacity += sign * seat.node.capacity.cpuMilli;
  totals.memoryFree += sign * memoryUnits(seat.memory);
  totals.memoryCapacity += sign * memoryUnits(seat.node.capacity.memoryBytes);
}

export function move(state: PoolState, seat: Seat, cpu: number, memory: number, disk: number, pids: number): void {
  state.totals.cpuFree += cpu - seat.cpu;
  state.totals.memoryFree += memoryUnits(memory) - memoryUnits(seat.memory);
  shift(seat.group!, seat, cpu, memory, disk, pids);
}

export function changeRoom(
  state: PoolState,
  id: NodeId,
  { cpuMilli, memoryBytes, diskBytes, pids }: Resources,
  sign: 1 | -1,
): void {
  const seat = seatOf(state, id);
  if (!seat) throw new Error(`the pool has no node ${id}`);
  const cpu = seat.cpu + sign * cpuMilli;
  const memory = seat.memory + sign * memoryBytes;
  const disk = seat.disk + sign * diskBytes;
  const left = seat.pids + sign * pids;
  if (seat.group !== null) move(state, seat, cpu, memory, disk, left);
  else setRoom(seat, cpu, memory, disk, left);
}
