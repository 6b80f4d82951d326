// What a Cell says of its nodes to its Region: which kinds of nodes, and which rooms are left on them.
import { type HostPorts, offeredByAny } from "../../contracts/host-ports.ts";
import type { NodeKind, Room } from "../messages.ts";
import { labelsKey } from "./groups.ts";
import type { PlacementNode } from "./types.ts";

const MIB = 1_048_576;

/** Nodes of one kind, as they are gone through. */
interface Collected {
  readonly first: PlacementNode;
  readonly key: string;
  /** Ports held on all, and offered by any. */
  held: readonly number[];
  offered: HostPorts | undefined;
  /** Of one node each. */
  readonly rooms: Room[];
}

/** Nodes that take nothing now are left out. At most roomsMax rooms in all, the largest. */
export function kindsOf(nodes: Iterable<PlacementNode>, roomsMax: number): NodeKind[] {
  const kinds = new Map<string, Collected>();
  let kind: Collected | undefined;
  for (const node of nodes) {
    if (node.closed !== null) continue;
    if (!kind || !isOfMake(node, kind.first)) kind = kindFor(kinds, node);
    const { hostPorts: held, offeredPorts: offered } = node;
    if (kind.held !== held) kind.held = kind.held.filter((port) => held.includes(port));
    if (kind.offered !== offered) kind.offered = kind.offered && offered && offeredByAny(kind.offered, offered);
    addRoom(kind.rooms, node);
  }
  const counted = [...kinds.values()]
    .sort((a, b) => (a.key < b.key ? -1 : 1))
    .map((collected) => ({ collected, rooms: counting(collected.rooms) }));
  const all = counted.flatMap(({ rooms }) => rooms);
  const kept = all.length > roomsMax ? new Set(all.sort(bySize).slice(0, roomsMax)) : null;
  return counted.map(({ collected, rooms }) =>
    kindOf(collected, kept ? rooms.filter((room) => kept.has(room)) : rooms),
  );
}

/** Without a look at the labels themselves: most nodes of a cell have the very same. */
const isOfMake = (node: PlacementNode, first: PlacementNode): boolean =>
  node.labels === first.labels &&
  node.failureDomain === first.failureDomain &&
  node.runtime === first.runtime &&
  node.agentTooOld === first.agentTooOld &&
  node.classes === first.classes;

function kindFor(kinds: Map<string, Collected>, node: PlacementNode): Collected {
  const key = `${node.runtime} ${node.failureDomain} ${labelsKey(node.labels)} ${node.agentTooOld ?? false} ${node.classes ?? ""}`;
  const known = kinds.get(key);
  if (known) return known;
  const kind = { first: node, key, held: node.hostPorts, offered: node.offeredPorts, rooms: [] };
  kinds.set(key, kind);
  return kind;
}

function kindOf({ first, held, offered }: Collected, rooms: readonly Room[]): NodeKind {
  const { failureDomain, runtime, labels, agentTooOld, classes } = first;
  return {
    failureDomain,
    runtime,
    labels,
    hostPorts: held.toSorted((a, b) => a - b),
    ...(offered ? { offeredPorts: offered } : {}),
    ...(agentTooOld ? { agentTooOld } : {}),
    ...(classes ? { classes } : {}),
    rooms,
  };
}

/** Nodes without any cpu, memory or pids left have no room to speak of. */
function addRoom(rooms: Room[], { free: { cpuMilli, memoryBytes, diskBytes, pids } }: PlacementNode): void {
  const [memory, disk] = [Math.floor(memoryBytes / MIB), Math.floor(diskBytes / MIB)];
  if (cpuMilli > 0 && memory > 0 && disk >= 0 && pids > 0) rooms.push([cpuMilli, memory, disk, pids, 1]);
}

/** Largest first, equal ones as one. */
function counting(rooms: Room[]): Room[] {
  rooms.sort(bySize);
  const counted: Room[] = [];
  for (let at = 0, next = 0; at < rooms.length; at = next) {
    const room = rooms[at]!;
    while (next < rooms.length && bySize(rooms[next]!, room) === 0) next += 1;
    counted.push(next - at === 1 ? room : [room[0], room[1], room[2], room[3], next - at]);
  }
  return counted;
}

const bySize = (a: Room, b: Room): number => b[0] - a[0] || b[1] - a[1] || b[2] - a[2] || b[3] - a[3] || b[4] - a[4];

/** As bytes again. */
export const freeIn = ([cpuMilli, memoryMib, diskMib, pids]: Room): PlacementNode["free"] => ({
  cpuMilli,
  memoryBytes: memoryMib * MIB,
  diskBytes: diskMib * MIB,
  pids,
});
