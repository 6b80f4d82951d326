// The invariants, asked of the whole simulated installation after every event. Each fault found names its number.
import type { AppId, InstanceId, NodeId } from "../../contracts/ids.ts";
import { RESOURCE_NAMES } from "../../core/placement/constraints.ts";
import type { InstanceRow } from "../../core/app/types.ts";
import type { AppHost, CellHost, Cluster } from "./cluster.ts";
import type { World } from "./world.ts";

type Fault = (text: string) => void;

/** What the checks remember from the event before. */
export class Checks {
  readonly faults: string[] = [];
  private readonly homes = new Map<InstanceId, NodeId>();
  private readonly generations = new Map<string, number>();
  private readonly documents = new Map<NodeId, { revision: number; text: string }>();
  private readonly routeVersions = new Map<AppId, { version: number; text: string }>();
  private readonly endpoints = new Map<AppId, number>();
  private readonly ready = new Map<AppId, Map<string, number>>();
  private readonly shed = new Set<string>();
  private readonly counted = new Map<string, number>();
  private readonly seenEvents = new Map<AppId, number>();
  private readonly written = new Map<object, number>();
  private readonly cluster: Cluster;
  private readonly world: World;

  constructor(cluster: Cluster, world: World) {
    this.cluster = cluster;
    this.world = world;
  }

  /** Objects that wrote nothing since are as they were. */
  afterEvent(): void {
    for (const [app, host] of this.cluster.apps) if (this.hasChanged(host)) this.checkApp(app, host);
    for (const [name, host] of this.cluster.cells) if (this.hasChanged(host)) this.checkCell(name, host);
    for (const text of this.cluster.broken.splice(0)) this.fault(text);
    this.checkNodes();
  }

  private readonly fault: Fault = (text) => {
    this.faults.push(text);
    this.world.note(`VIOLATION ${text}`);
  };

  private hasChanged(host: { rowsWritten: number }): boolean {
    const changed = this.written.get(host) !== host.rowsWritten;
    this.written.set(host, host.rowsWritten);
    return changed;
  }

  private checkApp(app: AppId, host: AppHost): void {
    this.countEvents(app, host);
    this.checkOwners(host.tables.instances.values());
    this.checkRoute(app, host);
    this.checkRollouts(app, host);
  }

  /** 1: one node for life; generations rise; one instance meant to run per slot and cohort. */
  private checkOwners(rows: Iterable<InstanceRow>): void {
    const meant = new Map<string, InstanceId>();
    for (const row of rows) {
      const home = this.homes.get(row.id);
      if (row.placement) {
        if (home && home !== row.placement.node) this.fault(`1: ${row.id} moved from ${home} to ${row.placement.node}`);
        if (!home) {
          this.homes.set(row.id, row.placement.node);
          const slot = `${row.release}/${row.ordinal}#${row.generation}`;
          if (this.generations.has(slot)) this.fault(`1: two instances are generation ${row.generation} of ${slot}`);
          this.generations.set(slot, row.generation);
        }
      }
      const kind = row.phase.kind;
      if (row.nodeGone || (kind !== "placing" && kind !== "committing" && kind !== "running")) continue;
      const slot = `${row.cohort}/${row.ordinal}`;
      const other = meant.get(slot);
      if (other) this.fault(`1: ${row.id} and ${other} are both meant for slot ${slot}`);
      meant.set(slot, row.id);
    }
  }

  /** 1, 6, 7: the route. Its version rises with every change and never falls. */
  private checkRoute(app: AppId, host: AppHost): void {
    const row = host.tables.route.get("route");
    if (!row) return;
    const { route } = row;
    const text = JSON.stringify(route.state);
    const before = this.routeVersions.get(app);
    if (before && route.version < before.version) this.fault(`9: route version fell to ${route.version}`);
    if (before && route.version === before.version && text !== before.text)
      this.fault(`9: route v${route.version} changed`);
    this.routeVersions.set(app, { version: route.version, text });
    if (route.state.kind !== "serving") return void this.endpoints.set(app, 0);
    const sum = route.state.releases.reduce((total, release) => total + release.weight, 0);
    if (sum !== 100) this.fault(`6: weights of route v${route.version} sum to ${sum}`);
    const slots = new Set<string>();
    for (const release of route.state.releases) {
      if (!Number.isInteger(release.weight)) this.fault(`6: weight ${release.weight}`);
      if (release.weight > 0 && release.endpoints.length === 0)
        this.fault(`6: v${release.version} has weight but no endpoint`);
      for (const endpoint of release.endpoints) {
        const instance = host.tables.instances.get(endpoint.instance);
        const key = `${endpoint.instance}/${endpoint.generation}`;
        const slot = `${release.release}/${instance?.ordinal}`;
        if (slots.has(slot)) this.fault(`1: route v${route.version} names slot ${slot} twice`);
        slots.add(slot);
        if (instance?.generation !== endpoint.generation) this.fault(`7: ${key} is not the generation the route names`);
        if (!this.cluster.nodes.get(endpoint.node)?.saidReady.has(key))
          this.fault(`7: ${key} was never reported ready`);
        if (instance?.observed?.kind !== "ready")
          this.fault(`7: ${key} is in the route but ${instance?.observed?.kind}`);
      }
    }
    this.checkFloor(app, host, slots.size);
  }

  /** 11: no step that was not told of a failure takes the served count below what the current release had to give. */
  private checkFloor(app: AppId, host: AppHost, now: number): void {
    const before = this.endpoints.get(app) ?? 0;
    this.endpoints.set(app, now);
    const readyBefore = this.ready.get(app);
    this.ready.set(app, readyByCohort(host));
    const { current, rollout } = host.tables.app.get("app")!;
    if (!current || host.lastEvent === "deliver") return;
    const active = rollout ? host.tables.rollouts.get(rollout) : undefined;
    const serving = readyBefore?.get(current.cohort) ?? 0;
    const floor = Math.min(before, serving, current.replicas, active?.to.replicas ?? current.replicas);
    const shed = [...host.tables.rollouts.values()].some((row) => row.shed > 0);
    if (now < floor && !shed) this.fault(`11: ${before} endpoints became ${now} by ${host.lastEvent}; floor ${floor}`);
    if (active || !host.tables.route.get("route")) return;
    const { state } = host.tables.route.get("route")!.route;
    if (state.kind === "serving" && (state.releases.length !== 1 || state.releases[0]!.release !== current.release)) {
      this.fault(`11: after a rollout the route serves something else than v${current.version}`);
    }
  }

  /** 21, 22, and that failing releases are never called completed. */
  private checkRollouts(app: AppId, host: AppHost): void {
    for (const row of host.tables.rollouts.values()) {
      const active = row.phase.kind === "rolling" || row.phase.kind === "verifying";
      if (row.shed > 0 && !this.shed.has(row.id)) this.world.happened("rollout gave up old instances for room");
      if (row.shed > 0) this.shed.add(row.id);
      if (active && this.world.nowMs > row.deadlineAtMs + 5_000) this.fault(`22: ${row.id} is over its deadline`);
      if (active && host.tables.app.get("app")!.rollout !== row.id) this.fault(`22: ${row.id} is active but nobody's`);
    }
    const { eventSeq } = host.tables.counters.get("counters")!;
    for (let seq = (this.seenEvents.get(app) ?? 0) + 1; seq <= eventSeq; seq += 1) {
      const event = host.tables.events.get(String(seq).padStart(16, "0"));
      if (!event) continue;
      if (event.type === "rollout.completed") this.checkTruth(host, event.subject);
    }
    this.seenEvents.set(app, eventSeq);
  }

  private checkTruth(host: AppHost, rollout: string): void {
    const row = host.tables.rollouts.get(rollout);
    if (!row) return;
    for (let ordinal = 0; ordinal < row.to.replicas; ordinal += 1) {
      const answered = [...host.tables.instances.values()].some(
        (instance) =>
          instance.cohort === row.to.cohort &&
          instance.ordinal === ordinal &&
          this.cluster.answered.has(`${instance.id}/${instance.generation}`),
      );
      if (!answered) this.fault(`21: ${rollout} completed, but replica ${ordinal} never answered through the edge`);
    }
  }

  /** So that a run says which of the rarer paths it really took. */
  private countEvents(source: string, host: AppHost | CellHost): void {
    const { eventSeq } = host.tables.counters.get("counters") ?? { eventSeq: 0 };
    for (let seq = (this.counted.get(source) ?? 0) + 1; seq <= eventSeq; seq += 1) {
      const event = host.tables.events.get(String(seq).padStart(16, "0"));
      if (!event || event.type.startsWith("instance.") || event.type === "route.published") continue;
      this.world.happened(event.type);
      this.world.note(`${source.slice(-6)} ${event.type} ${event.subject} ${JSON.stringify(event.data).slice(0, 240)}`);
    }
    this.counted.set(source, eventSeq);
  }

  /** 2, 10: documents change only with a higher revision; what is held never exceeds a node's capacity. */
  private checkCell(name: string, host: CellHost): void {
    const { nodes, instances, reservations } = host.tables;
    this.countEvents(name, host);
    for (const node of nodes.values()) {
      const held = { cpuMilli: 0, memoryBytes: 0, diskBytes: 0, pids: 0 };
      const add = (resources: typeof held): void => {
        for (const resource of RESOURCE_NAMES) held[resource] += resources[resource];
      };
      for (const row of instances.values()) if (row.node === node.id) add(row.desired.resources);
      for (const row of reservations.values()) if (row.node === node.id) add(row.resources);
      for (const resource of RESOURCE_NAMES) {
        if (held[resource] > node.capacity[resource]) {
          this.fault(`10: ${name}/${node.name} holds ${held[resource]} of ${node.capacity[resource]} ${resource}`);
        }
      }
      const document = this.cluster.documentOf(node.id)!;
      const text = JSON.stringify([document.instances, document.routes, document.watch]);
      const before = this.documents.get(node.id);
      if (before && document.revision < before.revision) this.fault(`2: revision of ${node.name} fell`);
      if (before && document.revision === before.revision && text !== before.text) {
        this.fault(`2: document ${document.revision} of ${node.name} changed without a new revision`);
      }
      this.documents.set(node.id, { revision: document.revision, text });
    }
  }

  /** 10, on the ground: what really runs fits. */
  private checkNodes(): void {
    for (const [id, node] of this.cluster.nodes) {
      let cpuMilli = 0;
      for (const { desired } of node.running.values()) cpuMilli += desired.resources.cpuMilli;
      const capacity = this.cluster.cellFor(id).tables.nodes.get(id)!.capacity.cpuMilli;
      if (cpuMilli > capacity) this.fault(`10: ${id} runs ${cpuMilli} of ${capacity} cpuMilli`);
    }
  }

  /** 20, 22: faults have ended and time has passed; nothing is left over and everything agrees. */
  atEnd(): void {
    for (const [app, host] of this.cluster.apps) this.checkSettledApp(app, host);
    for (const [name, host] of this.cluster.cells) {
      const { reservations, messages, nodes } = host.tables;
      if (reservations.size > 0) this.fault(`20: ${name} keeps ${reservations.size} orphan reservations`);
      if (messages.size > 0) this.fault(`20: ${name} keeps ${messages.size} undelivered messages`);
      for (const node of nodes.values()) {
        if (node.phase !== "ready") this.fault(`20: ${node.name} is ${node.phase}`);
        if (node.gone.length > 0) this.fault(`20: ${node.name} holds room of ${node.gone.length} stopped instances`);
        const document = this.cluster.documentOf(node.id)!;
        const running = [...this.cluster.nodes.get(node.id)!.running.keys()].sort().join();
        const wanted = document.instances
          .map(({ instance }) => instance)
          .sort()
          .join();
        if (running !== wanted) this.fault(`20: ${node.name} runs [${running}] but should run [${wanted}]`);
      }
    }
    for (const [id, host] of [...this.cluster.apps, ...this.cluster.cells]) {
      const { eventSeq, deliveredSeq } = host.tables.counters.get("counters")!;
      if (eventSeq !== deliveredSeq) this.fault(`14: ${id} has delivered ${deliveredSeq} of ${eventSeq} events`);
    }
  }

  private checkSettledApp(app: AppId, host: AppHost): void {
    const { current, rollout, phase } = host.tables.app.get("app")!;
    if (phase === "destroying") this.fault(`22: ${app} is not destroyed yet`);
    if (rollout) this.fault(`22: ${app} still has rollout ${rollout}`);
    if (host.tables.calls.size > 0) this.fault(`20: ${app} keeps ${host.tables.calls.size} unanswered calls`);
    const live = [...host.tables.instances.values()].filter((row) => row.phase.kind !== "ended");
    const placed = new Set<string>();
    for (const cell of this.cluster.cells.values()) {
      for (const [id, row] of cell.tables.instances)
        if (row.desired.app === app && row.state.kind === "desired") placed.add(id);
    }
    const expected = current?.replicas ?? 0;
    if (live.length !== expected || placed.size !== expected) {
      const kinds = live.map((row) => `${row.phase.kind}/${row.observed?.kind}`).join(" ");
      this.fault(`20: ${app} wants ${expected}, has ${live.length} (${kinds}) and ${placed.size} in documents`);
    }
    const row = host.tables.route.get("route");
    const version = row?.route.version ?? 0;
    const endpoints = row?.route.state.kind === "serving" ? row.route.state.releases.flatMap((r) => r.endpoints) : [];
    if (endpoints.length !== expected) this.fault(`20: ${app} routes to ${endpoints.length} of ${expected}`);
    if (version > 0 && this.cluster.kv.get(app) !== version) this.fault(`20: KV has an older route of ${app}`);
    for (const { node } of endpoints) {
      const known = this.cluster.nodes.get(node)!.document?.routes[app];
      if (known !== version) this.fault(`20: a gateway of ${app} knows route ${known} of ${version}`);
    }
  }
}

/** How many instances of each cohort serve, or could. */
function readyByCohort(host: AppHost): Map<string, number> {
  const counts = new Map<string, number>();
  for (const row of host.tables.instances.values()) {
    if (row.phase.kind !== "running" || row.nodeGone || row.observed?.kind !== "ready") continue;
    counts.set(row.cohort, (counts.get(row.cohort) ?? 0) + 1);
  }
  return counts;
}
