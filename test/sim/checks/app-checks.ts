// What must hold of one App object after every step: 1, 6, 7, 11, 21, 22; and the versions of its route.
import type { InstanceId, NodeId } from "../../../contracts/ids.ts";
import type { Route } from "../../../contracts/route.ts";
import type { InstanceRow } from "../../../core/app/types.ts";
import { seqKey } from "../../../core/keys.ts";
import { policyOf } from "../app-kinds.ts";
import type { AppHost, AppSite, Cluster } from "../cluster.ts";
import type { Fault } from "./checks.ts";
import { noteEvents } from "./events.ts";
import { isMeantToStay } from "./meaning.ts";

/** An alarm may come this late at worst, and then some. */
const ALARM_SLACK_MS = 12_000;

export class AppChecks {
  private readonly homes = new Map<InstanceId, NodeId>();
  private readonly generations = new Set<string>();
  private route = { version: -1, text: "" };
  private endpointsBefore = 0;
  private readyBefore = new Map<string, number>();
  private readonly shed = new Set<string>();
  private eventsSeen = 0;
  private readonly cluster: Cluster;
  private readonly site: AppSite;
  private readonly host: AppHost;
  private readonly fault: Fault;

  constructor(cluster: Cluster, site: AppSite, fault: Fault) {
    this.cluster = cluster;
    this.site = site;
    this.host = site.host;
    this.fault = (text) => fault(`${text} [${site.host.name}]`);
  }

  look(): void {
    const { host, cluster } = this;
    if (!host.tables.app.get("app")) return;
    const seen = this.eventsSeen;
    this.eventsSeen = noteEvents(cluster.world, host.name, host.tables, seen);
    this.checkTruth(seen);
    this.checkOwners();
    this.checkRoute();
    this.checkRollouts();
  }

  /** 1: one node for life; generations rise; one instance meant to run per slot, but for a hand-over. */
  private checkOwners(): void {
    const meant = new Map<string, InstanceRow>();
    const racks = new Map<string, InstanceRow>();
    for (const row of this.host.tables.instances.values()) {
      if (row.placement) this.checkHome(row, row.placement.node);
      if (!isMeantToStay(row)) continue;
      const slot = `${row.cohort}/${row.ordinal}`;
      const other = meant.get(slot);
      if (other) this.fault(`1: ${row.id} and ${other.id} are both meant for slot ${slot}`);
      meant.set(slot, row);
      this.checkSpread(row, racks);
    }
  }
  /** What must be spread is, whoever granted it. */
  private checkSpread(row: InstanceRow, racks: Map<string, InstanceRow>): void {
    const { placement } = row;
    if (!placement || policyOf(this.site.kind).placement.failureDomains !== "required") return;
    const rack = `${row.region}/${row.cohort}/${placement.failureDomain}`;
    const other = racks.get(rack);
    if (other) this.fault(`spread: ${row.id} and ${other.id} are both in ${placement.failureDomain}`);
    racks.set(rack, row);
  }
  private checkHome(row: InstanceRow, node: NodeId): void {
    const home = this.homes.get(row.id);
    if (home === node) return;
    if (home) return this.fault(`1: ${row.id} moved from ${home} to ${node}`);
    this.homes.set(row.id, node);
    const slot = this.site.isAlone ? "the app" : `${row.release}/${row.ordinal}`;
    if (this.generations.has(`${slot}#${row.generation}`)) {
      this.fault(`1: two instances are generation ${row.generation} of ${slot}`);
    }
    this.generations.add(`${slot}#${row.generation}`);
  }

  /** 1, 2, 6, 7, 9: the route. Its version rises with every change and never falls. */
  private checkRoute(): void {
    const { tables } = this.host;
    const row = tables.route.get("route");
    if (!row) return;
    const { route } = row;
    const before = this.route;
    if (route.version < before.version) this.fault(`9: route version fell to ${route.version}`);
    const text = JSON.stringify(route.state);
    if (route.version === before.version && text !== before.text) this.fault(`9: route v${route.version} changed`);
    this.route = { version: route.version, text };
    const endpoints = this.checkReleases(route.state);
    this.checkFloor(endpoints);
  }

  /** Returns how many slots are served. */
  private checkReleases(state: Route["state"]): number {
    if (state.kind !== "serving") return 0;
    const sum = state.releases.reduce((total, { weight }) => total + weight, 0);
    if (sum !== 100) this.fault(`6: weights of route v${this.route.version} sum to ${sum}`);
    const slots = new Set<string>();
    for (const release of state.releases) {
      if (!Number.isInteger(release.weight) || release.weight < 0) this.fault(`6: weight ${release.weight}`);
      if (release.weight > 0 && release.endpoints.length === 0)
        this.fault(`6: v${release.version} has weight but no endpoint`);
      for (const { instance: id, generation, node } of release.endpoints) {
        const instance = this.host.tables.instances.get(id);
        const key = `${id}/${generation}`;
        const slot = `${release.release}/${instance?.ordinal}`;
        if (slots.has(slot)) this.fault(`1: route v${this.route.version} names slot ${slot} twice`);
        slots.add(slot);
        if (instance?.generation !== generation) this.fault(`7: ${key} is not the generation the route names`);
        if (!this.cluster.machines.get(node)?.saidReady.has(key)) this.fault(`7: ${key} was never reported ready`);
        if (instance?.observed?.kind !== "ready") this.fault(`7: ${key} is in the route, ${instance?.observed?.kind}`);
        this.checkDocument(id, node);
      }
    }
    return slots.size;
  }

  /** 2: what no document names must not get traffic. */
  private checkDocument(id: InstanceId, node: NodeId): void {
    const { instances, nodes } = this.cluster.cellFor(node).tables;
    if (nodes.get(node)?.phase === "removed") return;
    if (instances.get(id)?.state.kind !== "desired")
      this.fault(`2: ${id} is in the route, but not in its node's document`);
  }

  /** 11: no step that was not told of a failure takes the served count below what the current release had to give. */
  private checkFloor(now: number): void {
    const { tables, lastEvent } = this.host;
    const before = this.endpointsBefore;
    const { readyBefore } = this;
    this.endpointsBefore = now;
    this.readyBefore = readyByCohort(this.host);
    const { current, rollout } = tables.app.get("app")!;
    // What nodes and edges say is what happened, no decision.
    if (!current || lastEvent === "deliver" || lastEvent === "reportUnreachable" || lastEvent === "instances_probed")
      return;
    const active = rollout ? tables.rollouts.get(rollout) : undefined;
    const serving = readyBefore.get(current.cohort) ?? 0;
    const floor = Math.min(before, serving, current.replicas, active?.to.replicas ?? current.replicas);
    // A singleton's hand-over stops the old one first: two at once is what it must never be.
    if (now < floor && !this.site.isAlone)
      this.fault(`11: ${before} endpoints became ${now} by ${lastEvent}; floor ${floor}`);
    if (active || !tables.route.get("route")) return;
    const { state } = tables.route.get("route")!.route;
    if (state.kind === "serving" && (state.releases.length !== 1 || state.releases[0]!.release !== current.release)) {
      this.fault(`11: after a rollout the route serves something else than v${current.version}`);
    }
  }

  /** 22: whatever is under way has a deadline, and keeps it. */
  private checkRollouts(): void {
    const { tables } = this.host;
    const { nowMs } = this.cluster.world;
    for (const row of tables.rollouts.values()) {
      if (row.shed > 0 && !this.shed.has(row.id)) {
        this.shed.add(row.id);
        this.cluster.world.happened("rollout gave up old instances for room");
      }
      if (row.phase.kind !== "rolling" && row.phase.kind !== "verifying") continue;
      if (nowMs > row.deadlineAtMs + ALARM_SLACK_MS) this.fault(`22: ${row.id} is over its deadline`);
      if (tables.app.get("app")!.rollout !== row.id) this.fault(`22: ${row.id} is active but nobody's`);
    }
    for (const { id, phase } of tables.instances.values()) {
      if (phase.kind === "draining" && nowMs > phase.untilMs + ALARM_SLACK_MS) this.fault(`22: ${id} drains on and on`);
    }
  }

  /** 21: completed only when every replica answered. */
  private checkTruth(seenBefore: number): void {
    const { tables } = this.host;
    for (let seq = seenBefore + 1; seq <= this.eventsSeen; seq += 1) {
      const event = tables.events.get(seqKey(seq));
      if (event?.type !== "rollout.completed") continue;
      const row = tables.rollouts.get(event.subject);
      if (!row) continue;
      for (let ordinal = 0; ordinal < row.to.replicas; ordinal += 1) {
        const isAnswered = [...tables.instances.values()].some(
          (instance) =>
            instance.cohort === row.to.cohort &&
            instance.ordinal === ordinal &&
            this.cluster.answered.has(`${instance.id}/${instance.generation}`),
        );
        if (!isAnswered) this.fault(`21: ${row.id} completed, but replica ${ordinal} never answered through the edge`);
      }
    }
  }
}

/** How many slots of each cohort serve, or could. */
function readyByCohort(host: AppHost): Map<string, number> {
  const slots = new Map<string, Set<number>>();
  for (const row of host.tables.instances.values()) {
    if (row.phase.kind !== "running" || row.nodeGone || row.observed?.kind !== "ready") continue;
    // Edges cannot reach it.
    if (host.tables.health.get(row.id)?.out) continue;
    const known = slots.get(row.cohort);
    if (known) known.add(row.ordinal);
    else slots.set(row.cohort, new Set([row.ordinal]));
  }
  return new Map([...slots].map(([cohort, { size }]) => [cohort, size]));
}
