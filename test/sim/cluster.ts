// The simulated installation: App and Cell objects of the real core, nodes, and simple models of what lies around them.
import type { DesiredDocument } from "../../contracts/desired.ts";
import type { BerthEvent } from "../../contracts/events.ts";
import type { AppId, CellName, InstanceId, NodeId, ProjectId, RegionName, TeamId } from "../../contracts/ids.ts";
import { stepApp } from "../../core/app/step.ts";
import {
  APP_TABLE_NAMES,
  type AppEffect,
  type AppEvent,
  type AppTables,
  type AppVolatile,
  type StepApp,
} from "../../core/app/types.ts";
import { emptyAppVolatile } from "../../core/app/volatile.ts";
import { documentOf } from "../../core/cell/document.ts";
import { stepCell } from "../../core/cell/step.ts";
import {
  CELL_TABLE_NAMES,
  type CellEffect,
  type CellEvent,
  type CellTables,
  type CellVolatile,
  type StepCell,
} from "../../core/cell/types.ts";
import { emptyCellVolatile } from "../../core/cell/volatile.ts";
import { idsOf } from "../../core/ids.ts";
import type { CellSummary } from "../../core/messages.ts";
import { SIM_LIMITS } from "./limits.ts";
import { ObjectHost } from "./object-host.ts";
import { SimNode } from "./sim-node.ts";
import type { World } from "./world.ts";

export type AppHost = ObjectHost<AppTables, AppVolatile, AppEvent, AppEffect>;
export type CellHost = ObjectHost<CellTables, CellVolatile, CellEvent, CellEffect>;

export const REGION = "sim" as RegionName;
const GIB = 1024 ** 3;
const CALL_TIMEOUT_MS = 900;

/** Steps that may be replaced by broken ones, to see the checks fail. */
export interface Core {
  readonly stepApp: StepApp;
  readonly stepCell: StepCell;
}
export const REAL_CORE: Core = { stepApp, stepCell };

export class Cluster {
  readonly apps = new Map<AppId, AppHost>();
  readonly cells = new Map<CellName, CellHost>();
  readonly nodes = new Map<NodeId, SimNode>();
  readonly kv = new Map<string, number>();
  readonly postgres = new Map<string, BerthEvent[]>();
  /** instance/generation that answered a verification. */
  readonly answered = new Set<string>();
  postgresUp = true;
  readonly broken: string[] = [];
  private readonly summaries = new Map<CellName, CellSummary>();
  private readonly cellOfNode = new Map<NodeId, CellName>();
  private readonly world: World;
  private readonly core: Core;

  constructor(world: World, core: Core, setup: { nodes: number; cells: number; apps: number }) {
    this.world = world;
    this.core = core;
    for (let index = 0; index < setup.cells; index += 1) this.addCell(`${REGION}.${index}` as CellName);
    for (let index = 0; index < setup.nodes; index += 1) this.addNode(index, setup.cells);
    for (let index = 0; index < setup.apps; index += 1) this.addApp(index);
  }

  cellFor(node: NodeId): CellHost {
    return this.cells.get(this.cellOfNode.get(node)!)!;
  }

  /** A call over the network: answer, or failure when either leg is lost. */
  call<Reply>(ask: () => Reply, answered: (reply: Reply) => void, failed: () => void): void {
    let settled = false;
    const settle = (act: () => void) => () => {
      if (settled) return;
      settled = true;
      act();
    };
    this.world.send(() => {
      const reply = ask();
      this.world.send(settle(() => answered(reply)));
    });
    this.world.after(CALL_TIMEOUT_MS, settle(failed));
  }

  private addCell(name: CellName): void {
    const host: CellHost = new ObjectHost({
      world: this.world,
      name,
      tableNames: CELL_TABLE_NAMES,
      step: (durable, volatile, event, at) => this.core.stepCell(durable, volatile, event, at, SIM_LIMITS),
      empty: emptyCellVolatile,
      run: (effect, report) => this.runCell(effect, report),
    });
    this.cells.set(name, host);
  }

  private addNode(index: number, cells: number): void {
    const { world } = this;
    const id = idsOf({ nowMs: world.nowMs, seed: world.hexSeed() })<NodeId>("node");
    const cell = `${REGION}.${index % cells}` as CellName;
    this.cellOfNode.set(id, cell);
    const big = index % 3 === 0;
    this.cells.get(cell)!.take({
      kind: "enrol",
      input: {
        node: id,
        cell,
        jkt: "jkt",
        operator: "user:sim",
        request: {
          protocol: 1,
          token: "0123456789abcdef",
          name: `node-${index}`,
          signKey: "s".repeat(43),
          sealKey: "x".repeat(43),
          region: REGION,
          failureDomain: `rack-${index % 3}`,
          labels: {},
          gatewayUrl: `http://node-${index}:1`,
          capacity: { cpuMilli: big ? 4_000 : 2_500, memoryBytes: 8 * GIB, diskBytes: 100 * GIB, pids: 4_096 },
          runtime: "docker",
          platform: "linux/amd64",
          agentVersion: "sim",
        },
      },
    });
    const node = new SimNode(world, id, {
      heartbeat: (input, answered) => {
        world.send(() => {
          const result = this.cellFor(id).take({ kind: "heartbeat", input }) as Parameters<typeof answered>[0];
          world.send(() => answered(result));
        });
      },
      fetchDocument: (answered) =>
        this.call(
          () => this.documentOf(id),
          answered,
          () => answered(null),
        ),
    });
    this.nodes.set(id, node);
  }

  documentOf(node: NodeId): DesiredDocument | null {
    return documentOf(this.cellFor(node).tables, node);
  }

  private addApp(index: number): void {
    const ids = idsOf({ nowMs: this.world.nowMs, seed: this.world.hexSeed() });
    const app = ids<AppId>("app");
    const host: AppHost = new ObjectHost({
      world: this.world,
      name: `app-${index}`,
      tableNames: APP_TABLE_NAMES,
      step: (durable, volatile, event, at) => this.core.stepApp(durable, volatile, event, at, SIM_LIMITS),
      empty: emptyAppVolatile,
      run: (effect, report) => this.runApp(effect, report),
    });
    this.apps.set(app, host);
    host.take({
      kind: "create",
      input: {
        app,
        team: ids<TeamId>("team"),
        project: ids<ProjectId>("proj"),
        name: `app-${index}`,
        hostnames: [`app-${index}.sim.test`],
        regions: [REGION],
        replicas: 2,
        actor: "user:sim",
        idempotencyKey: null,
      },
    });
  }

  private runCell(effect: CellEffect, report: (event: CellEvent) => void): void {
    switch (effect.kind) {
      case "wake_node": {
        // Over the wire: a message on a socket of a node that may no longer be there.
        const desired = structuredClone(effect.desired);
        return this.world.send(() => this.nodes.get(effect.node)?.offer(desired));
      }
      case "close_node":
        return;
      case "deliver_messages": {
        const { app, cell, messages } = effect;
        return this.call(
          () => this.apps.get(app)!.take({ kind: "deliver", input: { cell, messages } }) as { ackSeq: number },
          ({ ackSeq }) => report({ kind: "delivered", app, ackSeq }),
          () => report({ kind: "delivery_failed", app, message: "timeout" }),
        );
      }
      case "report_summary":
        return this.world.send(() => this.summaries.set(effect.summary.cell, effect.summary));
      case "probe_gateway": {
        const { node } = effect;
        const answered = this.nodes.get(node)?.gatewayUp ?? false;
        return this.world.send(() => report({ kind: "gateway_probed", node, answered }));
      }
      case "drain_outbox":
        return this.drain(effect, report);
    }
  }

  private runApp(effect: AppEffect, report: (event: AppEvent) => void): void {
    switch (effect.kind) {
      case "ask_region":
        return this.call(
          () => [...this.summaries.values()],
          (items) => report({ kind: "cells_known", region: effect.region, items }),
          () => report({ kind: "region_failed", region: effect.region, message: "timeout" }),
        );
      case "call_cell": {
        const { call, request, cell } = effect;
        const host = this.cells.get(cell)!;
        const failed = () => report({ kind: "call_failed", call, message: "timeout" });
        const { kind, request: input } = request;
        const outcome = kind === "reserve" ? "reserved" : kind === "commit" ? "committed" : "updated";
        return this.call(
          () => host.take({ kind, input } as CellEvent),
          (answer) => report({ kind: outcome, call, answer } as AppEvent),
          failed,
        );
      }
      case "publish_route": {
        const { app, version } = effect.route;
        const put = () => void this.kv.set(app, Math.max(version, this.kv.get(app) ?? 0));
        const failed = () => report({ kind: "route_failed", version, message: "timeout" });
        return this.call(put, () => report({ kind: "route_written", version }), failed);
      }
      case "verify":
        return this.verify(effect);
      case "notify_events":
        return;
      case "drain_outbox":
        return this.drain(effect, report);
      case "claim_host": {
        const { hostname } = effect.record;
        const failed = () => report({ kind: "host_failed", hostname, message: "timeout" });
        return this.call(
          () => null,
          () => report({ kind: "host_claimed", hostname, ok: true }),
          failed,
        );
      }
      case "release_host": {
        const { hostname } = effect;
        const failed = () => report({ kind: "host_failed", hostname, message: "timeout" });
        return this.call(
          () => null,
          () => report({ kind: "host_released", hostname }),
          failed,
        );
      }
    }
  }

  private verify(effect: Extract<AppEffect, { kind: "verify" }>): void {
    const { route, rollout, instances } = effect;
    const endpoints =
      route.state.kind === "serving" ? route.state.releases.flatMap((release) => release.endpoints) : [];
    this.world.send(() => {
      const results = instances.map((instance: InstanceId) => {
        const endpoint = endpoints.find((candidate) => candidate.instance === instance);
        const generation = endpoint?.generation ?? 1;
        const ok = endpoint !== undefined && this.nodes.get(endpoint.node)!.answers(instance, generation);
        if (ok) this.answered.add(`${instance}/${generation}`);
        return { instance, generation, ok, message: ok ? "" : "no answer" };
      });
      this.world.send(() => this.apps.get(route.app)!.take({ kind: "verified", input: { rollout, results } }));
    });
  }

  /** One SQL transaction: in order, once in effect (invariant 14). */
  private drain(
    effect: { source: string; events: readonly BerthEvent[] },
    report: (event: { kind: "outbox_acked"; lastSeq: number } | { kind: "outbox_failed"; message: string }) => void,
  ): void {
    const failed = () => report({ kind: "outbox_failed", message: "timeout" });
    if (!this.postgresUp) return this.world.after(20, failed);
    const accept = (): number => {
      const rows = this.postgres.get(effect.source) ?? [];
      this.postgres.set(effect.source, rows);
      for (const event of effect.events) {
        if (event.seq <= rows.length) {
          if (JSON.stringify(rows[event.seq - 1]) !== JSON.stringify(event))
            this.broken.push(`14: ${event.id} changed`);
        } else if (event.seq === rows.length + 1) rows.push(event);
        else this.broken.push(`14: ${event.id} came before ${rows.length + 1}`);
      }
      return rows.length;
    };
    this.call(accept, (lastSeq) => report({ kind: "outbox_acked", lastSeq }), failed);
  }
}
