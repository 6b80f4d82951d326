// The pool: filter, rank, pick over an index that follows its nodes by what changed.
import type { NodeCapacity } from "../../contracts/agent-protocol.ts";
import type { Refusal } from "../../contracts/failures.ts";
import type { InstanceId, NodeId } from "../../contracts/ids.ts";
import type { Occupied, ReserveSlot } from "../messages.ts";
import { rankOf } from "../random.ts";
import { askOf, type Ask } from "./ask.ts";
import { pick } from "./pick.ts";
import type { Seat } from "./piles.ts";
import type { Totals } from "./rank.ts";
import { cellFull, refusalOf } from "./refusal.ts";
import { noSearch } from "./search.ts";
import { addSeat, changeRoom, changeSeat, move, removeSeat, seatOf, type PoolState } from "./seats.ts";
import type { PlacementDecision, PlacementNode, PlacementRequest, Pool } from "./types.ts";

/** What is otherwise found from the seed and the nodes themselves. */
interface Overrides<Node> {
  /** Between nodes that rank equal the least goes first. */
  readonly tieOf: (node: Node) => number;
  /** By what leftovers are measured; the owner keeps it. */
  readonly totals: Totals;
  /** As in a request, for all of them. */
  readonly unexplained: boolean;
}

/** seed: 32 hexadecimal digits; it alone decides between nodes that rank equal. */
export function createPool<Node extends PlacementNode>(
  nodes: Iterable<Node>,
  seed: string,
  overrides?: Overrides<Node>,
): Pool<Node> {
  const tieOf = overrides?.tieOf ?? (({ id }: Node) => rankOf(seed, id));
  const totals: Totals = { nodes: 0, cpuFree: 0, cpuCapacity: 0, memoryFree: 0, memoryCapacity: 0 };
  const state: PoolState = {
    seats: new Map(),
    groups: new Map(),
    byImage: new Map(),
    shunned: new Map(),
    totals,
    measure: overrides?.totals ?? totals,
    unexplained: overrides?.unexplained ?? false,
    search: noSearch(),
    groupList: [],
    last: null,
  };
  const pool: Pool<Node> = {
    get nodesTotal() {
      return state.seats.size;
    },
    // What is on a seat came by update.
    nodeOf: (id) => seatOf(state, id)?.node as Node | undefined,
    get(id) {
      const seat = seatOf(state, id);
      return seat && { ...seat.node, free: freeOf(seat) };
    },
    update(node) {
      const seat = state.seats.get(node.id);
      if (!seat) addSeat(state, node, tieOf(node));
      else changeSeat(state, seat, node);
    },
    remove(id) {
      const seat = state.seats.get(id);
      if (seat) removeSeat(state, seat);
    },
    take: (id, resources) => changeRoom(state, id, resources, -1),
    give: (id, resources) => changeRoom(state, id, resources, 1),
    place: (request) => decide(state, request),
  };
  for (const node of nodes) pool.update(node);
  return pool;
}

/** Slots in their order; each sees what the ones before it took. At the end everything is as it was. */
function decide(state: PoolState, request: PlacementRequest): PlacementDecision {
  const { slots, slotsMax = Infinity } = request;
  const [only] = slots;
  if (only !== undefined && slots.length === 1 && slotsMax > 0) return decideOne(state, request, only);
  const placements: { slot: ReserveSlot; node: NodeId }[] = [];
  const refusals: { instance: InstanceId; refusal: Refusal }[] = [];
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
      refusals.push(refusedIn(state, request, ask));
      continue;
    }
    placements.push({ slot, node: seat.node.id });
    taken.push(takeForNow(state, seat, ask));
    const { failureDomain, id } = seat.node;
    occupied = [...occupied, { failureDomain, node: id, ordinal: slot.ordinal }];
  }
  for (const before of taken.reverse()) giveBack(state, before);
  return { placements, refusals };
}

const NOTHING: readonly never[] = [];

/** The same for one slot, which nobody has to give back. */
function decideOne(state: PoolState, request: PlacementRequest, slot: ReserveSlot): PlacementDecision {
  const ask = askOf(slot, request, request.occupied);
  const seat = pick(state, ask);
  if (seat === null) return { placements: NOTHING, refusals: [refusedIn(state, request, ask)] };
  state.last = seat;
  return { placements: [{ slot, node: seat.node.id }], refusals: NOTHING };
}

function refusedIn(state: PoolState, request: PlacementRequest, ask: Ask) {
  const { unexplained = state.unexplained } = request;
  return { instance: ask.slot.instance, refusal: refusalOf(unexplained ? [] : lookAtAll(state), ask) };
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
