// The pool: filter, rank, pick over an index that follows its nodes by what changed.
import type { NodeCapacity } from "../../contracts/agent-protocol.ts";
import type { InstanceId, NodeId } from "../../contracts/ids.ts";
import type { Resources } from "../../contracts/release.ts";
import type { Occupied, ReserveSlot } from "../messages.ts";
import { rankOf } from "../random.ts";
import { askOf, type Ask } from "./ask.ts";
import { enter, groupFor, groupKey, leave, shift, type Group } from "./groups.ts";
import type { Shunned } from "./neighbours.ts";
import { pick } from "./pick.ts";
import { setRoom, type Seat } from "./piles.ts";
import { memoryUnits, type Totals } from "./rank.ts";
import { cellFull, refusalOf } from "./refusal.ts";
import type { PlacementDecision, PlacementNode, PlacementRequest, Pool } from "./types.ts";

/** What a pick looks at. */
export interface PoolState {
  readonly seats: Map<NodeId, Seat>;
  readonly groups: Map<string, Group>;
  /** Open nodes by an image that they have. */
  readonly byImage: Map<string, Set<Seat>>;
  /** On how many nodes something stays away from an app. */
  readonly shunned: Map<string, number>;
  readonly totals: Totals;
  /** Measured by this instead of by the totals. */
  readonly scale: Totals | null;
}

/** What is otherwise found from the seed and the nodes themselves. */
interface Overrides {
  /** Between nodes that rank equal the least goes first. */
  readonly tieOf: (id: NodeId) => number;
  /** By what leftovers are measured; the owner keeps it. */
  readonly totals: Totals;
}

/** seed: 32 hexadecimal digits; it alone decides between nodes that rank equal. */
export function createPool(nodes: Iterable<PlacementNode>, seed: string, overrides?: Overrides): Pool {
  const tieOf = overrides?.tieOf ?? ((id: NodeId) => rankOf(seed, id));
  const state: PoolState = {
    seats: new Map(),
    groups: new Map(),
    byImage: new Map(),
    shunned: new Map(),
    scale: overrides?.totals ?? null,
    totals: { nodes: 0, cpuFree: 0, cpuCapacity: 0, memoryFree: 0, memoryCapacity: 0 },
  };
  const pool: Pool = {
    get nodesTotal() {
      return state.seats.size;
    },
    get(id) {
      const seat = state.seats.get(id);
      return seat && { ...seat.node, free: freeOf(seat) };
    },
    update(node) {
      const seat = state.seats.get(node.id);
      if (!seat) addSeat(state, node, tieOf(node.id));
      else changeSeat(state, seat, node);
    },
    remove(id) {
      const seat = state.seats.get(id);
      if (!seat) return;
      close(state, seat);
      countShunned(state, seat.node.shunned, -1);
      state.seats.delete(id);
    },
    take: (id, resources) => changeRoom(state, id, resources, -1),
    give: (id, resources) => changeRoom(state, id, resources, 1),
    place: (request) => decide(state, request),
  };
  for (const node of nodes) pool.update(node);
  return pool;
}

function addSeat(state: PoolState, node: PlacementNode, tie: number): void {
  const seat: Seat = { node, tie, cpu: 0, memory: 0, disk: 0, pids: 0, ports: [], group: null, pile: null, at: 0 };
  state.seats.set(node.id, seat);
  countShunned(state, node.shunned, 1);
  readNode(seat, node);
  open(state, seat);
}

function changeSeat(state: PoolState, seat: Seat, node: PlacementNode): void {
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
  const key = groupKey(node);
  let group = state.groups.get(key);
  if (!group) state.groups.set(key, (group = groupFor(node)));
  seat.group = group;
  enter(group, seat);
  sum(state.totals, seat, 1);
  for (const image of node.images) {
    const having = state.byImage.get(image);
    if (having) having.add(seat);
    else state.byImage.set(image, new Set([seat]));
  }
}

function close(state: PoolState, seat: Seat): void {
  const { group, node } = seat;
  if (group === null) return;
  leave(group, seat);
  if (group.size === 0) state.groups.delete(groupKey(node));
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

function move(state: PoolState, seat: Seat, cpu: number, memory: number, disk: number, pids: number): void {
  state.totals.cpuFree += cpu - seat.cpu;
  state.totals.memoryFree += memoryUnits(memory) - memoryUnits(seat.memory);
  shift(seat.group!, seat, cpu, memory, disk, pids);
}

function changeRoom(
  state: PoolState,
  id: NodeId,
  { cpuMilli, memoryBytes, diskBytes, pids }: Resources,
  sign: 1 | -1,
): void {
  const seat = state.seats.get(id);
  if (!seat) throw new Error(`the pool has no node ${id}`);
  const cpu = seat.cpu + sign * cpuMilli;
  const memory = seat.memory + sign * memoryBytes;
  const disk = seat.disk + sign * diskBytes;
  const left = seat.pids + sign * pids;
  if (seat.group !== null) move(state, seat, cpu, memory, disk, left);
  else setRoom(seat, cpu, memory, disk, left);
}

/** Slots in their order; each sees what the ones before it took. At the end everything is as it was. */
function decide(state: PoolState, request: PlacementRequest): PlacementDecision {
  const { slots, slotsMax = Infinity } = request;
  const placements: { slot: ReserveSlot; node: NodeId }[] = [];
  const refusals: { instance: InstanceId; refusal: ReturnType<typeof refusalOf> }[] = [];
  const taken: Taken[] = [];
  let occupied: readonly Occupied[] = request.occupied;
  for (const slot of slots) {
    if (placements.length >= slotsMax) {
      refusals.push({ instance: slot.instance, refusal: cellFull(state.seats.size) });
      continue;
    }
    const ask = askOf(slot, request, occupied);
    const seat = pick(state, ask);
    if (seat === null) {
      const seen = request.unexplained ? [] : lookAtAll(state);
      refusals.push({ instance: slot.instance, refusal: refusalOf(seen, ask) });
      continue;
    }
    placements.push({ slot, node: seat.node.id });
    if (slots.length === 1) break;
    taken.push(takeForNow(state, seat, ask));
    const { failureDomain, id } = seat.node;
    occupied = [...occupied, { failureDomain, node: id, ordinal: slot.ordinal }];
  }
  for (const before of taken.reverse()) giveBack(state, before);
  return { placements, refusals };
}

/** How a node was before a slot was put there for the length of a decision. */
interface Taken {
  readonly seat: Seat;
  readonly free: NodeCapacity;
  readonly ports: readonly number[];
}

function takeForNow(state: PoolState, seat: Seat, { slot, policy }: Ask): Taken {
  const before = { seat, free: freeOf(seat), ports: seat.ports };
  changeRoom(state, seat.node.id, slot.resources, -1);
  if (policy.hostPorts.length > 0) seat.ports = [...seat.ports, ...policy.hostPorts];
  return before;
}

function giveBack(state: PoolState, { seat, free, ports }: Taken): void {
  move(state, seat, free.cpuMilli, free.memoryBytes, free.diskBytes, free.pids);
  seat.ports = ports;
}

const freeOf = ({ cpu, memory, disk, pids }: Seat): NodeCapacity => ({
  cpuMilli: cpu,
  memoryBytes: memory,
  diskBytes: disk,
  pids,
});

function* lookAtAll({ seats }: PoolState) {
  for (const seat of seats.values()) yield { node: seat.node, free: freeOf(seat), ports: seat.ports };
}
