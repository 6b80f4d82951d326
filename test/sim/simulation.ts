// One run: a while of faults and people at work, then quiet, then everything must agree. The same seed gives the same run.
import { APP_KINDS, type AppKind } from "./app-kinds.ts";
import { Checks } from "./checks/checks.ts";
import { disagreements } from "./checks/settled.ts";
import { Cluster, REAL_CORE, type Core } from "./cluster.ts";
import { Crowd, CROWDS } from "./crowd.ts";
import { Customers, type Manner } from "./customers.ts";
import { FAULT_CLASSES, NO_FAULTS, ratesOf, type FaultClass, type Weather } from "./faults.ts";
import { Network } from "./network.ts";
import type { Behaviour } from "./node/engine.ts";
import { Operators } from "./operators.ts";
import { breakThings } from "./weather.ts";
import { awayForAnHour, type AwayForAnHour } from "./away.ts";
import { Visitors } from "./visitors.ts";
import { World } from "./world.ts";

export interface SimulationSetup {
  readonly seed: number;
  readonly nodes?: number;
  readonly apps?: number;
  /** These kinds only, instead of some by chance. */
  readonly kinds?: readonly AppKind[];
  readonly minutes?: number;
  readonly core?: Core;
  readonly faults?: ReadonlySet<FaultClass>;
  readonly weather?: Weather;
  readonly manner?: Manner;
  /** Beside the faults: this is away for an hour, from the first minute on. The run has to be longer. */
  readonly away?: AwayForAnHour;
}
export interface SimulationResult {
  readonly seed: number;
  readonly events: number;
  readonly rowsWritten: number;
  /** From the end of all faults and rollouts to the agreement of everything. */
  readonly settledAfterMs: number | null;
  readonly violations: readonly string[];
  readonly counts: Readonly<Record<string, number>>;
  readonly trace: readonly string[];
}

const ALL: ReadonlySet<FaultClass> = new Set(FAULT_CLASSES);

/** Invariant 20: from the end of faults and rollouts to agreement. */
const CONVERGES_WITHIN_MS = 60_000;
/** After its deadline: a lagging alarm. */
const ROLLOUTS_LAG_MS = 15_000;
/** What agrees goes on agreeing. */
const STAYS_FOR_MS = 4_000;

export function simulate(setup: SimulationSetup): SimulationResult {
  const {
    seed,
    nodes = 8,
    apps = 4,
    minutes = 2,
    core = REAL_CORE,
    faults = ALL,
    weather = "rough",
    manner = "hasty",
  } = setup;
  const world = new World(seed);
  const network = new Network(world);
  const kinds = setup.kinds ?? Array.from({ length: apps }, (_, index) => kindOf(world, index));
  const nodesPerCellMax = world.pick([3, 4, 64]);
  const cluster = new Cluster(world, network, core, { nodes, apps: kinds, nodesPerCellMax });
  const customers = new Customers(world, cluster, behavioursOf(faults), manner);
  const isCalm = faults.size === 0;
  const operators = new Operators(world, cluster, isCalm);
  const visitors = new Visitors(world, cluster, isCalm);
  const checks = new Checks(world, cluster, [customers, visitors]);
  const stopAtFirst = () => {
    checks.afterEvent();
    if (checks.faults.length > 0) throw new StopEarly();
  };
  let settledAfterMs: number | null = null;
  try {
    // The nodes are there before anyone deploys; then the weather turns.
    world.runUntil(world.nowMs + 4_000, stopAtFirst);
    customers.start();
    operators.start();
    visitors.start();
    new Crowd(world, cluster, CROWDS[manner === "careful" ? "large" : "any"], (app) => visitors.routeOf(app)).start();
    world.isStormy = true;
    network.rates = ratesOf(weather, faults);
    const endMs = world.nowMs + minutes * 60_000;
    breakThings(world, cluster, faults, () => world.nowMs >= endMs);
    if (setup.away) awayForAnHour(world, cluster, setup.away);
    world.runUntil(endMs, stopAtFirst);
    becalm(world, network, cluster, customers, operators);
    stopAtFirst();
    settledAfterMs = settle(world, cluster, checks.faults, stopAtFirst);
  } catch (thrown) {
    if (!(thrown instanceof StopEarly)) throw thrown;
  }
  let rowsWritten = 0;
  for (const { host } of cluster.apps.values()) rowsWritten += host.rowsWritten;
  for (const host of cluster.cells.values()) rowsWritten += host.rowsWritten;
  const counts = Object.fromEntries([...world.counts].sort(([a], [b]) => (a < b ? -1 : 1)));
  const { events, trace } = world;
  return { seed, events, rowsWritten, settledAfterMs, violations: checks.faults, counts, trace };
}

class StopEarly extends Error {}

/** Every run has a plain app, and both kinds of singletons often. */
function kindOf(world: World, index: number): AppKind {
  if (index === 0) return "plain";
  return world.chance(0.4) ? world.pick(["singleton", "strict"]) : world.pick(APP_KINDS);
}

function behavioursOf(faults: ReadonlySet<FaultClass>): Behaviour[] {
  const behaviours: Behaviour[] = ["good", "good", "good", "good", "good", "slow", "faulty", "faulty", "unfit"];
  if (faults.has("crash")) behaviours.push("crashing", "never");
  if (faults.has("pull")) behaviours.push("no-image");
  if (faults.has("oom")) behaviours.push("hungry");
  return behaviours;
}

function becalm(world: World, network: Network, cluster: Cluster, customers: Customers, operators: Operators): void {
  world.note("faults end");
  world.isStormy = false;
  customers.leave();
  network.rates = NO_FAULTS;
  network.heal();
  cluster.postgres.isUp = true;
  cluster.isKvUp = true;
  for (const machine of cluster.machines.values()) machine.mend();
  operators.leave();
}

/** When the last of the active rollouts must have ended; 0 when none is active. */
function rolledByMs(cluster: Cluster): number {
  let byMs = 0;
  for (const { host } of cluster.apps.values()) {
    const { rollout = null } = host.tables.app.get("app") ?? {};
    const row = rollout ? host.tables.rollouts.get(rollout) : undefined;
    if (row) byMs = Math.max(byMs, row.deadlineAtMs + ROLLOUTS_LAG_MS);
  }
  return byMs;
}

/** Runs until everything agrees, and returns how long that took once no rollout was under way; notes what never did. */
function settle(world: World, cluster: Cluster, faults: string[], afterEach: () => void): number | null {
  while (world.nowMs < rolledByMs(cluster)) world.runUntil(world.nowMs + 500, afterEach);
  const fromMs = world.nowMs;
  let agreedAtMs: number | null = null;
  let missing: string[] = [];
  while (world.nowMs < fromMs + CONVERGES_WITHIN_MS) {
    world.runUntil(world.nowMs + 500, afterEach);
    missing = disagreements(cluster);
    if (missing.length > 0) agreedAtMs = null;
    else agreedAtMs ??= world.nowMs;
    if (agreedAtMs !== null && world.nowMs >= agreedAtMs + STAYS_FOR_MS) return agreedAtMs - fromMs;
  }
  for (const text of missing) {
    world.note(`VIOLATION ${text}`);
    faults.push(text);
  }
  return agreedAtMs === null ? null : agreedAtMs - fromMs;
}
