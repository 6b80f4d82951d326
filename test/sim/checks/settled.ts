// 20, 22, 14: faults have ended and time has passed; nothing is left over and everything agrees.
import type { AppId } from "../../../contracts/ids.ts";
import type { InstanceRow } from "../../../core/app/types.ts";
import type { Target } from "../../../core/rollout/types.ts";
import type { NodeRow } from "../../../core/cell/types.ts";
import { policyOf } from "../app-kinds.ts";
import type { AppSite, CellHost, Cluster } from "../cluster.ts";

/** What does not agree yet; empty when all is well. */
export function disagreements(cluster: Cluster): string[] {
  const faults: string[] = [];
  for (const site of cluster.apps.values()) faults.push(...ofApp(cluster, site));
  for (const cell of cluster.cells.values()) faults.push(...ofCell(cluster, cell));
  for (const { name, tables } of [...[...cluster.apps.values()].map(({ host }) => host), ...cluster.cells.values()]) {
    const { eventSeq, deliveredSeq } = tables.counters.get("counters")!;
    if (eventSeq !== deliveredSeq) faults.push(`14: ${name} has delivered ${deliveredSeq} of ${eventSeq} events`);
  }
  return faults;
}

function ofCell(cluster: Cluster, { name, tables }: CellHost): string[] {
  const faults: string[] = [];
  const { reservations, messages, nodes } = tables;
  if (reservations.size > 0) faults.push(`20: ${name} keeps ${reservations.size} orphan reservations`);
  if (messages.size > 0) faults.push(`20: ${name} keeps ${messages.size} undelivered messages`);
  for (const node of nodes.values()) if (node.phase !== "removed") faults.push(...ofNode(cluster, node));
  return faults;
}

function ofNode(cluster: Cluster, node: NodeRow): string[] {
  const faults: string[] = [];
  if (node.phase !== "ready") faults.push(`20: ${node.name} is ${node.phase}`);
  if (node.gone.length > 0) faults.push(`20: ${node.name} holds room of ${node.gone.length} stopped instances`);
  faults.push(...ofDrain(cluster, node));
  const machine = cluster.machines.get(node.id)!;
  const containers = machine.engine.list().map(({ instance, generation }) => `${instance}/${generation}`);
  const wanted = cluster.documentOf(node.id)!.instances.map(({ instance, generation }) => `${instance}/${generation}`);
  const orphans = containers.filter((key) => !wanted.includes(key));
  const missing = wanted.filter((key) => !containers.includes(key));
  if (orphans.length > 0) faults.push(`20: ${node.name} has orphan containers ${orphans.join()}`);
  if (missing.length > 0) faults.push(`20: ${node.name} lacks ${missing.join()}`);
  return faults;
}

/** 22: a drain has ended, or says of each instance what holds it. */
function ofDrain(cluster: Cluster, { id, name, drain }: NodeRow): string[] {
  if (drain?.state !== "draining") return [];
  const { instances, held } = cluster.cellFor(id).tables;
  const residents = [...instances.values()].filter(({ node }) => node === id);
  const silent = residents.filter(({ desired }) => !held.get(desired.instance)?.reason);
  if (residents.length > 0 && silent.length === 0) {
    cluster.world.happened("drain is held, and says by what");
    return [];
  }
  return [
    `22: the drain of ${name} neither ends nor says what holds ${silent.map(({ desired }) => desired.instance).join()}`,
  ];
}

function ofApp(cluster: Cluster, { id, host, kind }: AppSite): string[] {
  const faults: string[] = [];
  const { current, aside = [], rollout, phase, warm } = host.tables.app.get("app")!;
  if (phase === "destroying") faults.push(`22: ${host.name} is not destroyed yet`);
  if (rollout) faults.push(`22: ${host.name} still has rollout ${rollout}`);
  if (warm) faults.push(`20: ${host.name} keeps v${warm.target.version} warm`);
  if (host.tables.calls.size > 0) faults.push(`20: ${host.name} keeps ${host.tables.calls.size} unanswered calls`);
  const live = [...host.tables.instances.values()].filter((row) => row.phase.kind !== "ended");
  const expected = aside.reduce((sum, { target }) => sum + target.replicas, current?.replicas ?? 0);
  for (const row of live) faults.push(...ofIntent(cluster, host.name, row));
  const slots = slotsOf(live);
  // A slot that cannot be placed as its customer wishes says so, and why; there is nothing else to do for it.
  const refused = [...slots.values()].filter((slot) => slot === "refused").length;
  const placed = inDocuments(cluster, id);
  const lost = live.filter(({ nodeGone }) => nodeGone).length;
  const targets = [...(current ? [current] : []), ...aside.map(({ target }) => target)];
  // What never gets ready ends and is tried elsewhere, again and again: now and then a slot has nobody.
  const unready = targets.filter((target) => isHopeless(host, target)).reduce((sum, { replicas }) => sum + replicas, 0);
  const least = expected - unready;
  if (slots.size < least || slots.size > expected || placed + refused < least || placed > expected + lost) {
    const kinds = live.map((row) => `${row.phase.kind}/${row.observed?.kind}`).join(" ");
    faults.push(
      `20: ${host.name} (${kind}) wants ${expected}, has ${live.length} (${kinds}) and ${placed} in documents`,
    );
  }
  const isWhole = ![...cluster.cells.values()].some(({ tables }) =>
    [...tables.nodes.values()].some(({ drain }) => drain),
  );
  if (refused > 0 && isWhole && policyOf(kind).isAlwaysPlaceable)
    faults.push(`20: ${host.name} (${kind}) finds no room`);
  return [...faults, ...ofRoute(cluster, id, host, Math.max(0, least - refused))];
}

/**
 * Never gets ready, which nobody could tell: it was completed while its app was scaled to 0 (with replicas, 21 forbids that), and the
 * app was scaled up since.
 */
function isHopeless({ tables }: AppSite["host"], { release }: Target): boolean {
  const behaviour = tables.releases.get(release)?.release.spec.command?.[0] ?? "good";
  return ["crashing", "never", "no-image"].includes(behaviour);
}

/** What serves on is not being drained on its node, and what is called back is so no more. */
function ofIntent(cluster: Cluster, name: string, { id, phase, placement, nodeGone }: InstanceRow): string[] {
  if (!placement || nodeGone || phase.kind !== "running") return [];
  const row = cluster.cellFor(placement.node).tables.instances.get(id);
  if (!row || row.desired.intent === "run") return [];
  return [`20: ${id} of ${name} runs, but its node has it ${row.desired.intent}`];
}

/** Each slot that somebody has: filled, or only with one that finds no room. */
function slotsOf(live: readonly InstanceRow[]): Map<string, "filled" | "refused"> {
  const slots = new Map<string, "filled" | "refused">();
  for (const { cohort, ordinal, phase, nodeGone } of live) {
    const slot = `${cohort}/${ordinal}`;
    const isRefused = nodeGone || (phase.kind === "placing" && phase.refusal !== null);
    if (!isRefused || !slots.has(slot)) slots.set(slot, isRefused ? "refused" : "filled");
  }
  return slots;
}

function inDocuments(cluster: Cluster, app: AppId): number {
  let placed = 0;
  for (const { tables } of cluster.cells.values()) {
    for (const row of tables.instances.values()) {
      if (row.desired.app === app && row.state.kind === "desired") placed += 1;
    }
  }
  return placed;
}

function ofRoute(cluster: Cluster, id: AppId, { name, tables }: AppSite["host"], expected: number): string[] {
  const faults: string[] = [];
  const route = tables.route.get("route")?.route;
  const version = route?.version ?? 0;
  const endpoints = route?.state.kind === "serving" ? route.state.releases.flatMap((release) => release.endpoints) : [];
  if (endpoints.length !== expected) faults.push(`20: ${name} routes to ${endpoints.length} of ${expected}`);
  if (version > 0 && cluster.kv.get(id)?.at(-1)?.route.version !== version)
    faults.push(`20: KV has an older route of ${name}`);
  for (const { node, instance, generation } of endpoints) {
    const machine = cluster.machines.get(node)!;
    const known = machine.gateway.routeVersion(id);
    if (known !== version)
      faults.push(`20: the gateway of ${machine.name} knows route ${known} of ${version} of ${name}`);
    const answer = machine.serve(instance, generation);
    if (answer !== 200)
      faults.push(`20: ${instance} of ${name} is routed to on ${machine.name}, which answers ${answer}`);
  }
  return faults;
}
