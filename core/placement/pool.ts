// The pool: filter, rank, pick over an index that follows its nodes by what changed.
import type { InstanceId, NodeId } from "../../contracts/ids.ts";
import type { Occupied, ReserveSlot } from "../messages.ts";
import { rankOf } from "../random.ts";
import { askOf, type Ask } from "./ask.ts";
import { enter, groupFor, groupKey, leave, shift, type Group } from "./groups.ts";
import { pick } from "./pick.ts";
import type { Seat } from "./piles.ts";
import { memoryUnits, type Totals } from "./rank.ts";
import { cellFull, refusalOf } from "./refusal.ts";
import type { PlacementDecision, PlacementNode, PlacementRequest, Pool } from "./types.ts";

/** What a pick looks at. */
export interface PoolState {
  readonly seats: Map<NodeId, Seat>;
  readonly groups: Map<string, Group>;
  /** Open nodes by an image that they have. */
  readonly byImage: Map<string, Set<Seat>>;
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
    scale: overrides?.totals ?? null,
    totals: { nodes: 0, cpuFree: 0, cpuCapacity: 0, memoryFree: 0, memoryCapacity: 0 },
  };
  const pool: Pool = {
    get nodesTotal() {
      return state.seats.size;
    },
    get: (id) => state.seats.get(id)?.node,
    update(node) {
      const seat = state.seats.get(node.id);
      if (!seat) addSeat(state, node, tieOf(node.id));
      else if (seat.node !== node) changeSeat(state, seat, node);
    },
    remove(id) {
      const seat = state.seats.get(id);
      if (!seat) return;
      close(state, seat);
      state.seats.delete(id);
    },
    place: (request) => decide(state, request),
  };
  for (const node of nodes) pool.update(node);
  return pool;
}

function addSeat(state: PoolState, node: PlacementNode, tie: number): void {
  const seat: Seat = { node, tie, cpu: 0, memory: 0, disk: 0, pids: 0, ports: [], group: null, pile: null, at: 0 };
  state.seats.set(node.id, seat);
  readNode(seat, node);
  open(state, seat);
}

function changeSeat(state: PoolState, seat: Seat, node: PlacementNode): void {
  const before = seat.node;
  const { group } = seat;
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

function readNode(seat: Seat, node: PlacementNode): void {
  seat.node = node;
  seat.cpu = node.free.cpuMilli;
  seat.memory = node.free.memoryBytes;
  seat.disk = node.free.diskBytes;
  seat.pids = node.free.pids;
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

/** Slots in their order; each sees what the ones before it took. At the end everything is as it was. */
function decide(state: PoolState, request: PlacementRequest): PlacementDecision {
  const { slots, slotsMax = Infinity } = request;
  const placements: { slot: ReserveSlot; node: NodeId }[] = [];
  const refusals: { instance: InstanceId; refusal: ReturnType<typeof refusalOf> }[] = [];
  const taken: Seat[] = [];
  let occupied: readonly Occupied[] = request.occupied;
  for (const slot of slots) {
    if (placements.length >= slotsMax) {
      refusals.push({ instance: slot.instance, refusal: cellFull(state.seats.size) });
      continue;
    }
    const ask = askOf(slot, request, occupied);
    const seat = pick(state, ask);
    if (seat === null) {
      refusals.push({ instance: slot.instance, refusal: refusalOf(lookAtAll(state), ask) });
      continue;
    }
    placements.push({ slot, node: seat.node.id });
    if (slots.length === 1) break;
    take(state, seat, ask);
    taken.push(seat);
    const { failureDomain, id } = seat.node;
    occupied = [...occupied, { failureDomain, node: id, ordinal: slot.ordinal }];
  }
  for (const seat of taken) giveBack(state, seat);
  return { placements, refusals };
}

function take(state: PoolState, seat: Seat, { slot, policy }: Ask): void {
  const { cpuMilli, memoryBytes, diskBytes, pids } = slot.resources;
  move(state, seat, seat.cpu - cpuMilli, seat.memory - memoryBytes, seat.disk - diskBytes, seat.pids - pids);
  if (policy.hostPorts.length > 0) seat.ports = [...seat.ports, ...policy.hostPorts];
}

function giveBack(state: PoolState, seat: Seat): void {
  const { cpuMilli, memoryBytes, diskBytes, pids } = seat.node.free;
  move(state, seat, cpuMilli, memoryBytes, diskBytes, pids);
  seat.ports = seat.node.hostPorts;
}

function* lookAtAll({ seats }: PoolState) {
  for (const { node, cpu, memory, disk, pids, ports } of seats.values()) {
    yield { node, free: { cpuMilli: cpu, memoryBytes: memory, diskBytes: disk, pids }, ports };
  }
}
