// People who look after the servers: they cordon, drain, remove, replace and rebalance them, at random.
import type { Rebalance } from "../../contracts/api.ts";
import type { Result } from "../../contracts/failures.ts";
import type { CellMethodEvent, NodeRow } from "../../core/cell/types.ts";
import type { CellHost, Cluster } from "./cluster.ts";
import type { Machine } from "./node/machine.ts";
import type { World } from "./world.ts";

const actor = "user:operator";

export class Operators {
  isActive = true;
  private readonly world: World;
  private readonly cluster: Cluster;

  /** Careful ones remove nothing by force. */
  private readonly isCareful: boolean;

  constructor(world: World, cluster: Cluster, isCareful: boolean) {
    this.world = world;
    this.cluster = cluster;
    this.isCareful = isCareful;
  }

  start(): void {
    this.world.every(
      4_000,
      18_000,
      () => this.act(),
      () => !this.isActive,
    );
  }

  /** Whoever cordoned something lifts it in the end, so that the installation has its room again; but for one drain, sometimes. */
  leave(): void {
    this.isActive = false;
    let left = this.world.chance(0.3) ? 1 : 0;
    for (const machine of this.cluster.machines.values()) {
      const row = this.rowOf(machine);
      if (row.phase === "removed" || !isCordoned(row)) continue;
      if (row.drain && left > 0) left -= 1;
      else this.ask(machine, { kind: "uncordon", input: { node: machine.id, actor } });
    }
  }

  private act(): void {
    const { world, cluster } = this;
    const present = [...cluster.machines.values()].filter((machine) => this.rowOf(machine).phase !== "removed");
    const machine = world.pick(present);
    const input = { node: machine.id, actor };
    const cordoned = present.filter((each) => isCordoned(this.rowOf(each)));
    const dice = world.random();
    if (cordoned.length > 1 || (cordoned.length === 1 && dice < 0.35)) {
      const chosen = world.pick(cordoned);
      // A drained one is taken away for good and replaced; or it goes back to work.
      if (world.chance(0.3) && present.length > 4) return this.remove(chosen, false);
      return this.ask(chosen, { kind: "uncordon", input: { node: chosen.id, actor } });
    }
    if (dice < 0.55) return this.ask(machine, { kind: "drain", input });
    if (dice < 0.7) return this.ask(machine, { kind: "cordon", input });
    if (dice < 0.85) return this.rebalance(cluster.cellFor(machine.id));
    if (present.length > 4 && world.elapsedMs > 20_000) this.remove(machine, dice > 0.95 && !this.isCareful);
  }

  private ask(machine: Machine, event: CellMethodEvent): void {
    const reply = this.cluster.cellFor(machine.id).ask(event) as Result<unknown>;
    this.note(event.kind, machine.name, reply);
  }

  private rebalance(cell: CellHost): void {
    const execute = this.world.chance(0.7);
    const reply = cell.ask({ kind: "rebalance", input: { actor, execute } }) as Result<Rebalance>;
    this.note("rebalance", cell.name, reply);
    if (reply.ok && reply.value.steps.length > 0) this.world.happened("rebalance has steps");
  }

  /** By force, the operator vouches that nothing runs there any more; here that is sometimes a lie. */
  private remove(machine: Machine, force: boolean): void {
    const { world, cluster } = this;
    const asked = { kind: "remove", input: { node: machine.id, actor, force } } as const;
    const result = cluster.cellFor(machine.id).ask(asked) as Result<unknown>;
    this.note(force ? "remove by force" : "remove", machine.name, result);
    if (!result.ok) return;
    machine.isDisowned = true;
    if (world.chance(0.5)) machine.losePowerFor(Number.MAX_SAFE_INTEGER);
    world.after(world.between(2_000, 10_000), () => cluster.addNode());
  }

  private rowOf(machine: Machine): NodeRow {
    return this.cluster.cellFor(machine.id).tables.nodes.get(machine.id)!;
  }
  private note(what: string, name: string, reply: Result<unknown>): void {
    this.world.note(`operator: ${what} ${name}: ${reply.ok ? "ok" : reply.failure.message}`);
    this.world.happened(`${what} ${reply.ok ? "accepted" : reply.failure.code}`);
  }
}

const isCordoned = (row: NodeRow): boolean => row.cordoned === true || (row.drain ?? null) !== null;
