// How a simulated Cell's effects are carried out.
import { documentOf } from "../../core/cell/document.ts";
import type { CellEffect, CellEvent } from "../../core/cell/types.ts";
import { assertNever } from "../../core/step.ts";
import type { CellHost, Cluster } from "./cluster.ts";
import { drainOutbox } from "./app-effects.ts";

export function runCell(
  cluster: Cluster,
  host: CellHost,
  effect: CellEffect,
  report: (event: CellEvent) => void,
): void {
  const { world, network } = cluster;
  const from = host.name;
  switch (effect.kind) {
    case "wake_node": {
      const document = documentOf(host.tables, effect.node)!;
      return network.send(from, "control", () => cluster.wake(effect.node, document));
    }
    case "close_node":
      return void cluster.sockets.delete(effect.node);
    case "deliver_messages": {
      const { app, cell, ackedSeq, messages } = effect;
      const site = cluster.apps.get(app)!;
      return network.call<unknown>(
        { from, to: site.host.name },
        () => site.host.take({ kind: "deliver", input: { cell, ackedSeq, messages } }),
        (reply) => report({ kind: "delivered", app, ackSeq: (reply as { ackSeq: number }).ackSeq }),
        () => report({ kind: "delivery_failed", app, message: "timeout" }),
      );
    }
    case "tell_counts": {
      const { app, cell, items } = effect;
      const { host: to } = cluster.apps.get(app)!;
      return network.send(from, to.name, () => void to.take({ kind: "counted", input: { cell, items } }));
    }
    case "report_summary": {
      const { region, summary } = effect;
      return network.send(from, `region:${region}`, () => cluster.regions.get(region)!.report(summary));
    }
    case "claim_place": {
      const { region, cell, node } = effect;
      const claim = () => cluster.regions.get(region)!.claim(node, cell);
      const claimed = () => report({ kind: "place_claimed", node });
      return network.call({ from, to: `region:${region}` }, claim, claimed, () => undefined);
    }
    case "release_place": {
      const { region, node } = effect;
      const release = () => cluster.regions.get(region)!.release(node, world.nowMs);
      const released = () => report({ kind: "place_released", node });
      return network.call({ from, to: `region:${region}` }, release, released, () => undefined);
    }
    case "probe_gateway": {
      const { node } = effect;
      const machine = cluster.machines.get(node)!;
      // Whoever hears nothing for a second says that nobody answered.
      const answered = (isThere: boolean) => report({ kind: "gateway_probed", node, answered: isThere });
      let isSettled = false;
      const settle = (isThere: boolean): void => {
        if (!isSettled) answered(isThere);
        isSettled = true;
      };
      network.send("edge", machine.name, () => {
        if (machine.isPowered && machine.gateway.isUp) network.send(machine.name, "edge", () => settle(true));
      });
      return world.after(1_000, () => settle(false));
    }
    case "drain_outbox":
      return drainOutbox(cluster, from, effect, report);
    default:
      return assertNever(effect);
  }
}
