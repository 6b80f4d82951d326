// One run: a while of faults and operators, then quiet, then everything must agree. The same seed gives the same run.
import { Checks } from "./checks.ts";
import { Cluster, REAL_CORE, type Core } from "./cluster.ts";
import { Operators } from "./operators.ts";
import { NO_FAULTS, World, type FaultRates } from "./world.ts";

export interface SimulationSetup {
  readonly seed: number;
  readonly nodes?: number;
  readonly apps?: number;
  readonly minutes?: number;
  readonly core?: Core;
  readonly faults?: FaultRates;
}
export interface SimulationResult {
  readonly seed: number;
  readonly events: number;
  readonly rowsWritten: number;
  readonly violations: readonly string[];
  readonly counts: Readonly<Record<string, number>>;
  readonly trace: readonly string[];
}

const ROUGH: FaultRates = { loss: 0.04, duplication: 0.05, restart: 0.01 };
/** What no network does for long: a fifth of everything is lost, objects restart at every tenth step. */
export const HARSH: FaultRates = { loss: 0.2, duplication: 0.2, restart: 0.1 };

/** Long enough for every deadline, backoff and drain of the simulated limits. */
const SETTLE_MS = 150_000;

export function simulate({
  seed,
  nodes = 6,
  apps = 3,
  minutes = 4,
  core = REAL_CORE,
  faults = ROUGH,
}: SimulationSetup): SimulationResult {
  const world = new World(seed);
  const cluster = new Cluster(world, core, { nodes, cells: Math.max(2, Math.ceil(nodes / 48)), apps });
  const checks = new Checks(cluster, world);
  const operators = new Operators(world, cluster, checks);
  const stopAtFirst = () => {
    checks.afterEvent();
    if (checks.faults.length > 0) throw new StopEarly();
  };
  try {
    // The nodes are there before anyone deploys; then the weather turns.
    world.runUntil(world.nowMs + 4_000, stopAtFirst);
    operators.start();
    world.faults = faults;
    const endMs = world.nowMs + minutes * 60_000;
    breakThings(world, cluster, endMs);
    world.runUntil(endMs, stopAtFirst);
    operators.active = false;
    world.faults = NO_FAULTS;
    cluster.postgresUp = true;
    world.runUntil(world.nowMs + SETTLE_MS, stopAtFirst);
    checks.atEnd();
  } catch (thrown) {
    if (!(thrown instanceof StopEarly)) throw thrown;
  }
  const rowsWritten = [...cluster.apps.values(), ...cluster.cells.values()].reduce(
    (sum, host) => sum + host.rowsWritten,
    0,
  );
  const counts = Object.fromEntries([...world.counts].sort(([a], [b]) => (a < b ? -1 : 1)));
  return { seed, events: world.events, rowsWritten, violations: checks.faults, counts, trace: world.trace };
}

class StopEarly extends Error {}

/** Nodes, agents, links, instances and Postgres fail at random and come back. */
function breakThings(world: World, cluster: Cluster, endMs: number): void {
  const nodes = [...cluster.nodes.values()];
  const every = (lowMs: number, highMs: number, act: () => void): void => {
    const again = (): void => {
      if (world.nowMs >= endMs) return;
      act();
      world.after(world.between(lowMs, highMs), again);
    };
    world.after(world.between(lowMs, highMs), again);
  };
  const fault = (name: string, detail: string, act: () => void): void => {
    world.happened(name);
    world.note(`${name} ${detail}`);
    act();
  };
  every(20_000, 60_000, () => {
    const node = world.pick(nodes);
    if (node.powered) fault("node power lost", node.id, () => node.powerFor(world.between(2_000, 30_000)));
  });
  every(10_000, 40_000, () => {
    const node = world.pick(nodes);
    if (node.powered && node.agentUp)
      fault("agent restarted", node.id, () => node.restartAgent(world.between(300, 12_000)));
  });
  every(15_000, 50_000, () => {
    const node = world.pick(nodes);
    if (!node.cutOff) fault("node cut off", node.id, () => node.cutFor(world.between(1_000, 25_000)));
  });
  every(4_000, 15_000, () => {
    const node = world.pick(nodes);
    for (const [id, instance] of node.running) {
      if (instance.status.kind !== "ready") continue;
      return fault("instance crashed", id, () => node.crash(id, instance));
    }
  });
  every(30_000, 90_000, () => {
    fault("postgres down", "", () => (cluster.postgresUp = false));
    world.after(world.between(1_000, 20_000), () => (cluster.postgresUp = true));
  });
}
