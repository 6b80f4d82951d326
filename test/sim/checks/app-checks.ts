// What must hold of one App object after every step: 1, 6, 7, 11, 22; and the versions of its route. Its rollouts: rollout-checks.ts.
import type { InstanceId, NodeId } from "../../../contracts/ids.ts";
import type { Route } from "../../../contracts/route.ts";
import type { InstanceRow } from "../../../core/app/types.ts";
import { planOf, type RolloutRow } from "../../../core/rollout/types.ts";
import { policyOf } from "../app-kinds.ts";
import type { AppHost, AppSite, Cluster } from "../cluster.ts";
import type { Fault } from "./checks.ts";
import { noteEvents } from "./events.ts";
import { isMeantToStay } from "./meaning.ts";
import { RolloutChecks } from "./rollout-checks.ts";

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
  private readonly rollouts: RolloutChecks;
  private readonly cluster: Cluster;
  private readonly site: AppSite;
  private readonly host: AppHost;
  private readonly fault: Fault;

  constructor(cluster: Cluster, site: AppSite, fault: Fault) {
    this.cluster = cluster;
    this.site = site;
    this.host = site.host;
    this.fault = (text) => fault(`${text} [${site.host.name}]`);
    this.rollouts = new RolloutChecks(cluster, site.host, this.fault);
  }

  look(): void {
    const { host, cluster } = this;
    if (!host.tables.app.get("app")) return;
    const seen = this.eventsSeen;
    this.eventsSeen = noteEvents(cluster.world, host.name, host.tables, seen);
    this.rollouts.look(seen, this.eventsSeen);
    this.checkOwners();
    this.checkRoute();
    this.checkDrains();
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
    if (!placement || row.job || policyOf(this.site.kind).placement.failureDomains !== "required") return;
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
    const slot = this.site.isAlone && !row.job ? "the app" : `${row.release}/${row.ordinal}`;
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

  /** Returns how many slots have traffic. */
  private checkReleases(state: Route["state"]): number {
    if (state.kind !== "serving") return 0;
    const sum = state.releases.reduce((total, { weight }) => total + weight, 0);
    if (sum !== 100) this.fault(`6: weights of route v${this.route.version} sum to ${sum}`);
    const slots = new Set<string>();
    let served = 0;
    for (const release of state.releases) {
      if (release.weight > 0) served += release.endpoints.length;
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
    return served;
  }

  /** 2: what no document names must not get traffic. */
  private checkDocument(id: InstanceId, node: NodeId): void {
    const { instances, nodes } = this.cluster.cellFor(node).tables;
    if (nodes.get(node)?.phase === "removed") return;
    const state = instances.get(id)?.state;
    // Stopped for want of a lease, and the word of it is on its way: nothing there can serve.
    if (state?.kind === "gone" && state.fenced) return;
    if (state?.kind !== "desired") this.fault(`2: ${id} is in the route, but not in its node's document`);
  }

  /** 11: no step that was not told of a failure takes the served count below what the current release had to give. */
  private checkFloor(now: number): void {
    const { tables, lastEvent } = this.host;
    const before = this.endpointsBefore;
    const { readyBefore } = this;
    this.endpointsBefore = now;
    this.readyBefore = readyByCohort(this.host);
    const { current, rollout, maintenance } = tables.app.get("app")!;
    // What nodes and edges say is what happened, no decision.
    if (!current || maintenance || TOLD.includes(lastEvent)) return;
    const active = rollout ? tables.rollouts.get(rollout) : undefined;
    const serving = readyBefore.get(current.cohort) ?? 0;
    const whole = Math.min(serving, current.replicas, active?.to.replicas ?? Infinity);
    const floor = Math.min(before, active ? floorOf(active, whole) : whole);
    // A singleton's hand-over stops the old one first: two at once is what it must never be.
    if (now < floor && !this.site.isAlone)
      this.fault(`11: ${before} endpoints became ${now} by ${lastEvent}; floor ${floor}`);
  }

  /** 22: a drain ends. */
  private checkDrains(): void {
    const { tables } = this.host;
    const { nowMs } = this.cluster.world;
    for (const row of tables.rollouts.values()) {
      if (row.shed <= (row.shedByPlan ?? 0) || this.shed.has(row.id)) continue;
      this.shed.add(row.id);
      this.cluster.world.happened("rollout gave up old instances for room");
    }
    for (const { id, phase } of tables.instances.values()) {
      if (phase.kind === "draining" && nowMs > phase.untilMs + ALARM_SLACK_MS) this.fault(`22: ${id} drains on and on`);
    }
  }
}

const TOLD = ["deliver", "reportUnreachable", "instances_probed"];

/** What a plan lets the served count fall to. An immediate one gives everything to the first that is ready. */
function floorOf(row: RolloutRow, whole: number): number {
  const { strategy } = planOf(row);
  const { from, to } = row;
  if (strategy.kind === "immediate" && from?.cohort !== to.cohort) return Math.min(1, whole);
  if (strategy.kind !== "rolling") return whole;
  const { maxSurge, maxUnavailable } = strategy;
  const share = (amount: number | string): number =>
    typeof amount === "number" ? amount : (to.replicas * Number.parseInt(amount, 10)) / 100;
  // Where both come to nothing one may be missing: nothing could ever be replaced.
  const unavailable = Math.floor(share(maxUnavailable));
  return Math.max(0, whole - (unavailable === 0 && share(maxSurge) === 0 ? 1 : unavailable));
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
