// The invariants, asked of the whole simulated installation after every event. Each fault found names its number.
import type { AppSite, CellHost, Cluster } from "../cluster.ts";
import type { Machine } from "../node/machine.ts";
import type { World } from "../world.ts";
import { AppChecks } from "./app-checks.ts";
import { CellChecks } from "./cell-checks.ts";
import { checkMachine } from "./machine-checks.ts";

export type Fault = (text: string) => void;

export class Checks {
  readonly faults: string[] = [];
  private readonly written = new Map<object, number>();
  private readonly ofApps = new Map<AppSite, AppChecks>();
  private readonly ofCells = new Map<CellHost, CellChecks>();
  private readonly sources: readonly (readonly string[])[];
  private readonly cluster: Cluster;
  private readonly world: World;

  constructor(world: World, cluster: Cluster, people: readonly { readonly faults: readonly string[] }[]) {
    this.world = world;
    this.cluster = cluster;
    this.sources = [cluster.postgres.faults, cluster.truth.faults, ...people.map(({ faults }) => faults)];
  }

  /** Whatever changed nothing since is as it was. */
  afterEvent(): void {
    const { cluster, fault } = this;
    for (const site of cluster.apps.values()) {
      if (site.host.isRestless) fault(`22: ${site.host.name} wakes itself without end`);
      if (!this.hasChanged(site, site.host.rowsWritten)) continue;
      let checks = this.ofApps.get(site);
      if (!checks) this.ofApps.set(site, (checks = new AppChecks(cluster, site, fault)));
      checks.look();
    }
    for (const cell of cluster.cells.values()) {
      if (cell.isRestless) fault(`22: ${cell.name} wakes itself without end`);
      if (!this.hasChanged(cell, cell.rowsWritten)) continue;
      let checks = this.ofCells.get(cell);
      if (!checks) this.ofCells.set(cell, (checks = new CellChecks(cluster, cell, fault)));
      checks.look();
    }
    for (const machine of cluster.machines.values()) {
      if (this.hasChanged(machine, machine.changes)) checkMachine(machine, fault);
    }
    for (const source of this.sources) for (const text of source) this.fault(text);
  }

  private readonly fault: Fault = (text) => {
    if (this.faults.length === 0) this.world.note(`VIOLATION ${text}`);
    this.faults.push(text);
  };

  private hasChanged(part: AppSite | CellHost | Machine, count: number): boolean {
    if (this.written.get(part) === count) return false;
    this.written.set(part, count);
    return true;
  }
}
