// How a simulated App's effects are carried out; and the outbox, which Cells have too.
import type { BerthEvent } from "../../contracts/events.ts";
import type { InstanceId, NodeId } from "../../contracts/ids.ts";
import type { AppEffect, AppEvent } from "../../core/app/types.ts";
import type { CellEvent } from "../../core/cell/types.ts";
import { assertNever } from "../../core/step.ts";
import { behaviourOf } from "./node/engine.ts";
import type { AppHost, Cluster } from "./cluster.ts";

const OUTCOMES = { reserve: "reserved", commit: "committed", update: "updated" } as const;

export function runApp(cluster: Cluster, host: AppHost, effect: AppEffect, report: (event: AppEvent) => void): void {
  const { network } = cluster;
  const from = host.name;
  switch (effect.kind) {
    case "ask_region": {
      const { region } = effect;
      const failed = () => report({ kind: "region_failed", region, message: "timeout" });
      const cells = () => cluster.regions.get(region)!.cells();
      return network.call(
        { from, to: `region:${region}` },
        cells,
        (items) => report({ kind: "cells_known", region, items }),
        failed,
      );
    }
    case "call_cell": {
      const { call, request, cell } = effect;
      const target = cluster.cells.get(cell)!;
      const { kind, request: input } = request;
      return network.call<unknown>(
        { from, to: target.name },
        () => target.take({ kind, input } as CellEvent),
        (answer) => report({ kind: OUTCOMES[kind], call, answer } as AppEvent),
        () => report({ kind: "call_failed", call, message: "timeout" }),
      );
    }
    case "publish_route": {
      const { route } = effect;
      const { version } = route;
      const failed = () => report({ kind: "route_failed", version, message: "timeout" });
      if (!cluster.isKvUp) return cluster.world.after(20, failed);
      const put = () => cluster.writeRoute(route);
      return network.call({ from, to: "kv" }, put, () => report({ kind: "route_written", version }), failed);
    }
    case "verify":
      return verify(cluster, host, effect);
    case "notify_events":
      return;
    case "probe_instances":
      return probe(cluster, host, effect, report);
    case "drain_outbox":
      return drainOutbox(cluster, from, effect, report);
    case "claim_host": {
      const { hostname } = effect.record;
      const failed = () => report({ kind: "host_failed", hostname, message: "timeout" });
      return network.call(
        { from, to: "host" },
        () => null,
        () => report({ kind: "host_claimed", hostname, ok: true }),
        failed,
      );
    }
    case "release_host": {
      const { hostname } = effect;
      const failed = () => report({ kind: "host_failed", hostname, message: "timeout" });
      return network.call(
        { from, to: "host" },
        () => null,
        () => report({ kind: "host_released", hostname }),
        failed,
      );
    }
    default:
      return assertNever(effect);
  }
}

/** A second opinion: the verifier's code, which is the edge's own way to the gateway. */
function probe(
  cluster: Cluster,
  host: AppHost,
  { targets }: Extract<AppEffect, { kind: "probe_instances" }>,
  report: (event: AppEvent) => void,
): void {
  const results = targets.map(({ endpoint: { instance, generation, node } }) => {
    const ok = reaches(cluster, node, instance, generation);
    return { instance, generation, ok, message: ok ? "" : "no answer" };
  });
  cluster.network.call(
    { from: host.name, to: "edge" },
    () => results,
    () => report({ kind: "instances_probed", results }),
    () => undefined,
  );
}

/** Asks each instance through its gateway, as the edge would, and tells the App. */
function verify(cluster: Cluster, host: AppHost, effect: Extract<AppEffect, { kind: "verify" }>): void {
  const { network } = cluster;
  const { route, rollout, instances, smoke } = effect;
  const endpoints = route.state.kind === "serving" ? route.state.releases.flatMap((release) => release.endpoints) : [];
  network.send(host.name, "edge", () => {
    const results = instances.map((instance: InstanceId) => {
      const endpoint = endpoints.find((candidate) => candidate.instance === instance);
      const generation = endpoint?.generation ?? 1;
      const answers = endpoint !== undefined && reaches(cluster, endpoint.node, instance, generation);
      if (!answers) return { instance, generation, ok: false, message: "no answer" };
      const container = cluster.machines.get(endpoint.node)!.engine.find({ instance, generation });
      if (smoke && container && behaviourOf(container.desired) === "unfit") {
        return { instance, generation, ok: false, smoke: true, message: "it answered 404" };
      }
      cluster.answered.add(`${instance}/${generation}`);
      return { instance, generation, ok: true, message: "" };
    });
    network.send("edge", host.name, () => void host.take({ kind: "verified", input: { rollout, results } }));
  });
}

/** Whether the edge gets an answer of the app inside. */
export function reaches(
  { network, machines }: Cluster,
  node: NodeId,
  instance: InstanceId,
  generation: number,
): boolean {
  const machine = machines.get(node);
  if (!machine || network.isCut("edge", machine.name) || network.isCut(machine.name, "edge")) return false;
  return machine.serve(instance, generation) === 200;
}

type OutboxReport = { kind: "outbox_acked"; lastSeq: number } | { kind: "outbox_failed"; message: string };

export function drainOutbox(
  { network, postgres, world }: Cluster,
  from: string,
  { source, events }: { source: string; events: readonly BerthEvent[] },
  report: (event: OutboxReport) => void,
): void {
  const failed = () => report({ kind: "outbox_failed", message: "timeout" });
  if (!postgres.isUp) return world.after(20, failed);
  const accept = () => postgres.accept(source, events);
  network.call({ from, to: "postgres" }, accept, (lastSeq) => report({ kind: "outbox_acked", lastSeq }), failed);
}
