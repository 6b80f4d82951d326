// What a Cell says of its nodes to its Region: which kinds of nodes, and which rooms are left on them.
import type { NodeKind, Room } from "../messages.ts";
import { labelsKey } from "./groups.ts";
import type { PlacementNode } from "./types.ts";

const MIB = 1_048_576;

/** Nodes that take nothing now are left out. At most roomsMax rooms in all, the largest. */
export function kindsOf(nodes: Iterable<PlacementNode>, roomsMax: number): NodeKind[] {
  const kinds = new Map<string, { first: PlacementNode; hostPorts: readonly number[]; rooms: Map<string, Room> }>();
  for (const node of nodes) {
    if (node.closed !== null) continue;
    const key = `${node.runtime} ${node.failureDomain} ${labelsKey(node.labels)}`;
    const kind = kinds.get(key) ?? { first: node, hostPorts: node.hostPorts, rooms: new Map<string, Room>() };
    if (kind.hostPorts !== node.hostPorts) {
      kind.hostPorts = kind.hostPorts.filter((port) => node.hostPorts.includes(port));
    }
    addRoom(kind.rooms, node);
    kinds.set(key, kind);
  }
  const kept = new Set(largest([...kinds.values()].flatMap(({ rooms }) => [...rooms.values()])).slice(0, roomsMax));
  return [...kinds]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(
      ([
        ,
        {
          first: { failureDomain, runtime, labels },
          hostPorts,
          rooms,
        },
      ]) => ({
        failureDomain,
        runtime,
        labels,
        hostPorts: hostPorts.toSorted((a, b) => a - b),
        rooms: largest([...rooms.values()].filter((room) => kept.has(room))),
      }),
    );
}

/** Nodes without any cpu, memory or pids left have no room to speak of. */
function addRoom(rooms: Map<string, Room>, { free }: PlacementNode): void {
  const [cpu, memory, disk] = [free.cpuMilli, Math.floor(free.memoryBytes / MIB), Math.floor(free.diskBytes / MIB)];
  if (cpu <= 0 || memory <= 0 || disk < 0 || free.pids <= 0) return;
  const key = `${cpu} ${memory} ${disk} ${free.pids}`;
  rooms.set(key, [cpu, memory, disk, free.pids, (rooms.get(key)?.[4] ?? 0) + 1]);
}

const largest = (rooms: readonly Room[]): Room[] => rooms.toSorted(bySize);

function bySize(a: Room, b: Room): number {
  for (let at = 0; at < a.length; at += 1) if (a[at] !== b[at]) return b[at]! - a[at]!;
  return 0;
}

/** As bytes again. */
export const freeIn = ([cpuMilli, memoryMib, diskMib, pids]: Room): PlacementNode["free"] => ({
  cpuMilli,
  memoryBytes: memoryMib * MIB,
  diskBytes: diskMib * MIB,
  pids,
});
