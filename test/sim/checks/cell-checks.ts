// What must hold of one Cell object after every step: 2, 5, 10, 22.
import type { InstanceId, NodeId } from "../../../contracts/ids.ts";
import type { Wants } from "../../../core/cell/types.ts";
import { RESOURCE_NAMES } from "../../../core/placement/constraints.ts";
import type { CellHost, Cluster } from "../cluster.ts";
import type { Fault } from "./checks.ts";
import { noteEvents } from "./events.ts";

/** An alarm may come this late at worst, and then some. */
const ALARM_SLACK_MS = 12_000;

interface Seen {
  readonly revision: number;
  readonly text: string;
  readonly instances: ReadonlySet<InstanceId>;
}

export class CellChecks {
  private readonly seen = new Map<NodeId, Seen>();
  private held: ReadonlySet<string> = new Set();
  private cordoned: ReadonlySet<NodeId> = new Set();
  private eventsSeen = 0;
  private readonly cluster: Cluster;
  private readonly host: CellHost;
  private readonly fault: Fault;

  constructor(cluster: Cluster, host: CellHost, fault: Fault) {
    this.cluster = cluster;
    this.host = host;
    this.fault = (text) => fault(`${text} [${host.name}]`);
  }

  look(): void {
    const { tables, name } = this.host;
    this.eventsSeen = noteEvents(this.cluster.world, name, tables, this.eventsSeen);
    this.checkRoom();
    this.checkCordons();
    this.checkNeighbours();
    for (const node of tables.nodes.values()) this.checkDocument(node.id, node.phase === "removed");
    const { nowMs } = this.cluster.world;
    for (const [id, { untilMs }] of tables.reservations) {
      if (nowMs > untilMs + ALARM_SLACK_MS) this.fault(`22: the reservation of ${id} is held beyond its lease`);
    }
  }

  /** 10: what is held on a node never exceeds its capacity, in any resource; a port of it is held once. */
  private checkRoom(): void {
    const { nodes, instances, reservations } = this.host.tables;
    const held = new Map<NodeId, Record<(typeof RESOURCE_NAMES)[number], number>>();
    const ports = new Set<string>();
    const add = (
      node: NodeId,
      resources: Record<(typeof RESOURCE_NAMES)[number], number>,
      taken: readonly number[],
    ) => {
      const sum = held.get(node) ?? { cpuMilli: 0, memoryBytes: 0, diskBytes: 0, pids: 0 };
      for (const resource of RESOURCE_NAMES) sum[resource] += resources[resource];
      held.set(node, sum);
      for (const port of taken) {
        if (ports.has(`${node}:${port}`)) this.fault(`10: port ${port} of ${node} is held twice`);
        ports.add(`${node}:${port}`);
      }
    };
    for (const { node, desired } of instances.values()) add(node, desired.resources, desired.hostPorts);
    for (const row of reservations.values()) add(row.node, row.resources, portsOf(row));
    for (const [id, sum] of held) {
      const node = nodes.get(id);
      if (!node || node.phase === "removed") continue;
      for (const resource of RESOURCE_NAMES) {
        if (sum[resource] > node.capacity[resource])
          this.fault(`10: ${node.name} holds ${sum[resource]} of ${node.capacity[resource]} ${resource}`);
      }
    }
  }

  /** What an operator keeps free gets nothing new. */
  private checkCordons(): void {
    const { nodes, instances, reservations } = this.host.tables;
    const held = new Set([...instances.keys(), ...reservations.keys()]);
    for (const [id, { node }] of [...instances, ...reservations]) {
      if (this.held.has(id) || !this.cordoned.has(node)) continue;
      this.fault(`cordon: ${id} came to ${nodes.get(node)?.name}, which is cordoned`);
    }
    this.held = held;
    this.cordoned = new Set([...nodes.values()].filter((node) => node.cordoned || node.drain).map(({ id }) => id));
  }

  /** Apps that are to stay apart share no node, whichever of the two says so and whichever came first. */
  private checkNeighbours(): void {
    const { nodes, instances, reservations } = this.host.tables;
    const there = new Set<string>();
    const shunned = new Set<string>();
    const add = (node: NodeId, key: string | null | undefined, wants: Wants | undefined) => {
      if (!key) return;
      there.add(`${node} ${key}`);
      const [team] = key.split("/");
      for (const name of wants?.placement?.awayFrom ?? []) shunned.add(`${node} ${team}/${name}`);
    };
    for (const { node, desired, wants } of instances.values()) add(node, `${desired.team}/${desired.appName}`, wants);
    for (const { node, awayKey, wants } of reservations.values()) add(node, awayKey, wants);
    for (const entry of shunned) {
      const [node, key] = entry.split(" ");
      if (there.has(entry))
        this.fault(`apart: ${key} is on ${nodes.get(node as NodeId)?.name} with an app that stays away`);
    }
  }

  /** 2: a document changes only with a higher revision. 5: nothing leaves it that its App did not take out, but for strict singletons. */
  private checkDocument(id: NodeId, isRemoved: boolean): void {
    const document = this.cluster.documentOf(id)!;
    const before = this.seen.get(id);
    const text = JSON.stringify([document.instances, document.routes, document.watch]);
    if (before && document.revision === before.revision && text === before.text) return;
    if (before && document.revision < before.revision) this.fault(`2: the revision of ${id} fell`);
    if (before && document.revision === before.revision)
      this.fault(`2: document ${document.revision} of ${id} changed without a new revision`);
    const instances = new Set(document.instances.map(({ instance }) => instance));
    if (!isRemoved) for (const gone of before?.instances ?? []) if (!instances.has(gone)) this.checkLeft(gone);
    this.seen.set(id, { revision: document.revision, text, instances });
  }
  private checkLeft(id: InstanceId): void {
    for (const { host } of this.cluster.apps.values()) {
      const row = host.tables.instances.get(id);
      if (!row || host.tables.releases.get(row.release)?.release.spec.placement.singleton === "strict") continue;
      if (row.phase.kind !== "stopping" && row.phase.kind !== "ended")
        this.fault(`5: ${id} left its node's document, but its App has it ${row.phase.kind}`);
    }
  }
}

/** Reservations of older runs have none. */
const portsOf = (row: object): readonly number[] => ("hostPorts" in row ? (row.hostPorts as readonly number[]) : []);
