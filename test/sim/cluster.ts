// The simulated installation: App, Cell and Region objects of the real core, servers, and simple models of what lies around them.
import { AGENT_PROTOCOL } from "../../contracts/agent-protocol.ts";
import type { DesiredDocument } from "../../contracts/desired.ts";
import type { AppId, CellName, NodeId, ProjectId, RegionName, TeamId } from "../../contracts/ids.ts";
import type { Route } from "../../contracts/route.ts";
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
import type { Limits } from "../../core/limits.ts";
import { runApp } from "./app-effects.ts";
import { policyOf, type AppKind } from "./app-kinds.ts";
import { runCell } from "./cell-effects.ts";
import { controlLine, dropSockets, type Socket } from "./control-line.ts";
import { simLimits } from "./limits.ts";
import type { Network } from "./network.ts";
import { Truth } from "./node/ground.ts";
import { GOOD_HABITS, type AgentHabits } from "./node/habits.ts";
import { Machine } from "./node/machine.ts";
import { ObjectHost } from "./object-host.ts";
import { Postgres } from "./postgres.ts";
import { RegionHost } from "./regions.ts";
import type { World } from "./world.ts";

export type AppHost = ObjectHost<AppTables, AppVolatile, AppEvent, AppEffect>;
export type CellHost = ObjectHost<CellTables, CellVolatile, CellEvent, CellEffect>;

export const REGIONS = ["east", "west"] as RegionName[];
const GIB = 1024 ** 3;

/** What may be replaced by something broken, to see the checks fail. */
export interface Core {
  readonly stepApp: StepApp;
  readonly stepCell: StepCell;
  readonly habits: AgentHabits;
}
export const REAL_CORE: Core = { stepApp, stepCell, habits: GOOD_HABITS };

export interface AppSite {
  readonly id: AppId;
  readonly kind: AppKind;
  readonly host: AppHost;
  /** A singleton: its old instance stops before the new one starts. */
  readonly isAlone: boolean;
}

export interface ClusterSetup {
  readonly nodes: number;
  readonly apps: readonly AppKind[];
  readonly nodesPerCellMax: number;
}

const TEAM = "team_01jzzzzzzze0a0000000000001" as TeamId;

export class Cluster {
  readonly apps = new Map<AppId, AppSite>();
  readonly cells = new Map<CellName, CellHost>();
  readonly regions = new Map<RegionName, RegionHost>();
  readonly machines = new Map<NodeId, Machine>();
  readonly sockets = new Map<NodeId, Socket>();
  /** What was written of each app's route, newest last: readers may see an older one for a while. */
  readonly kv = new Map<AppId, { readonly route: Route; readonly atMs: number }[]>();
  readonly postgres = new Postgres();
  readonly truth = new Truth();
  isKvUp = true;
  /** instance/generation that answered a verification. */
  readonly answered = new Set<string>();
  readonly limits: Limits;
  readonly world: World;
  readonly network: Network;
  private readonly cellOfNode = new Map<NodeId, CellName>();
  private readonly core: Core;
  private nodesMade = 0;

  constructor(world: World, network: Network, core: Core, setup: ClusterSetup) {
    this.world = world;
    this.network = network;
    this.core = core;
    this.limits = simLimits(setup.nodesPerCellMax);
    for (const name of REGIONS) this.regions.set(name, new RegionHost(name, setup.nodesPerCellMax));
    for (let index = 0; index < setup.nodes; index += 1) this.addNode();
    for (const [index, kind] of setup.apps.entries()) this.addApp(index, kind);
  }

  cellFor(node: NodeId): CellHost {
    return this.cells.get(this.cellOfNode.get(node)!)!;
  }
  documentOf(node: NodeId): DesiredDocument | null {
    return documentOf(this.cellFor(node).tables, node);
  }
  writeRoute(route: Route): void {
    const written = this.kv.get(route.app) ?? [];
    if (route.version <= (written.at(-1)?.route.version ?? -1)) return;
    this.kv.set(route.app, [...written.slice(-8), { route, atMs: this.world.nowMs }]);
  }
  wake(node: NodeId, document: DesiredDocument): void {
    const socket = this.sockets.get(node);
    this.sockets.delete(node);
    socket?.({ ok: true, value: document });
  }

  private cellNamed(name: CellName): CellHost {
    const known = this.cells.get(name);
    if (known) return known;
    const host: CellHost = new ObjectHost({
      world: this.world,
      network: this.network,
      name,
      tableNames: CELL_TABLE_NAMES,
      step: (durable, volatile, event, at) => this.core.stepCell(durable, volatile, event, at, this.limits),
      empty: emptyCellVolatile,
      run: (effect, report) => runCell(this, host, effect, report),
      restarted: () =>
        dropSockets(
          this,
          [...host.tables.nodes.values()].map(({ id }) => id),
        ),
    });
    this.cells.set(name, host);
    return host;
  }

  /** A server joins: its region chooses the cell. Regions, racks, sizes and labels are taken in turn. */
  addNode(): Machine {
    const { world } = this;
    const index = this.nodesMade;
    this.nodesMade += 1;
    const id = idsOf({ nowMs: world.nowMs, seed: world.hexSeed() })<NodeId>("node");
    const region = this.regions.get(REGIONS[index % REGIONS.length]!)!;
    const cell = region.assign(id, world.nowMs);
    this.cellOfNode.set(id, cell);
    const name = `node-${index}`;
    const failureDomain = `rack-${Math.floor(index / REGIONS.length) % 3}`;
    const cpuMilli = index % 3 === 0 ? 4_000 : 2_500;
    this.cellNamed(cell).ask({
      kind: "enrol",
      input: {
        node: id,
        cell,
        jkt: "jkt",
        operator: "user:sim",
        request: {
          protocol: AGENT_PROTOCOL,
          token: "0123456789abcdef",
          name,
          signKey: "s".repeat(43),
          sealKey: "x".repeat(43),
          region: region.name,
          failureDomain,
          labels: { disk: index % 4 === 3 ? "hdd" : "nvme" },
          gatewayUrl: `http://${name}:1`,
          capacity: { cpuMilli, memoryBytes: 8 * GIB, diskBytes: 100 * GIB, pids: 4_096 },
          runtime: "docker",
          platform: "linux/amd64",
          agentVersion: "sim",
        },
      },
    });
    const line = controlLine(this, id, name);
    const { truth, core } = this;
    const machine = new Machine({ world, truth, id, name, failureDomain, cpuMilli, line, habits: core.habits });
    this.machines.set(id, machine);
    return machine;
  }

  private addApp(index: number, kind: AppKind): void {
    const ids = idsOf({ nowMs: this.world.nowMs, seed: this.world.hexSeed() });
    const id = ids<AppId>("app");
    const name = `app-${index}`;
    const host: AppHost = new ObjectHost({
      world: this.world,
      network: this.network,
      name,
      tableNames: APP_TABLE_NAMES,
      step: (durable, volatile, event, at) => this.core.stepApp(durable, volatile, event, at, this.limits),
      empty: emptyAppVolatile,
      run: (effect, report) => runApp(this, host, effect, report),
    });
    const { regions, replicas, placement } = policyOf(kind);
    this.apps.set(id, { id, kind, host, isAlone: placement.singleton !== undefined });
    host.ask({
      kind: "create",
      input: {
        app: id,
        // One team's, because only of those is one kept apart from another.
        team: TEAM,
        project: ids<ProjectId>("proj"),
        name,
        hostnames: [`${name}.sim.test`],
        regions: REGIONS.slice(0, regions),
        replicas,
        actor: "user:sim",
        idempotencyKey: null,
      },
    });
  }
}
