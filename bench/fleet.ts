// `npm run bench:fleet`: thousands of simulated nodes (real protocol and signatures, no containers) against one local stack. They all
// come back at once after the control plane was away; then they beat and poll: how busy is the machine, and with how many at most?
import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { startStack, type Stack } from "../dev/stack.ts";
import { REGION } from "../dev/stack/options.ts";
import { comeHome } from "./fleet/homecoming.ts";
import { machineBusyPercent, steadyWindow, type SteadyWindow } from "./fleet/windows.ts";
import { note, printReport, rounded, type Aim } from "./shared/report.ts";
import type { Transport } from "./sim-fleet/counts.ts";
import { startFleet, type Fleet } from "./sim-fleet/fleet.ts";

const NODES = Number(process.env.BERTH_BENCH_NODES ?? 2_000);
const TRANSPORT: Transport = process.env.BERTH_BENCH_TRANSPORT === "http" ? "http" : "socket";
const ENROL_AT_ONCE = 8;
const START_WITHIN_MS = 20_000;
/** Polls are held for 25 s: by then each was renewed once since the start. */
const SETTLE_MS = 15_000;
const STEADY_MS = Number(process.env.BERTH_BENCH_STEADY_MS ?? 20_000);
const AWAY_MS = 10_000;
const SERVED_WITHIN_MS = 60_000;
const BUSY_PERCENT_MAX = 60;
/** Where the whole fleet keeps the machine busier than that: fewer and fewer go on until it is not. */
const STEPS_MAX = 5;
const KEEP_SHARE_MIN = 0.5;
/** What of the machine was taken before anything of ours ran: beyond this the figures are of a loaded machine. */
const QUIET_PERCENT_MAX = 10;

const busyBeforePercent = await machineBusyPercent(3_000);
const isQuiet = busyBeforePercent <= QUIET_PERCENT_MAX;
const stateDir = mkdtempSync(join(tmpdir(), "berth-bench-fleet-"));
const vars = { control: { TUNING: JSON.stringify({ apiRequestsPerMinute: 1_000_000 }) } };
const stack = await startStack({ stateDir, agents: 0, vars, fsync: false });
try {
  await measure(stack);
} finally {
  await stack.stop();
  rmSync(stateDir, { recursive: true, force: true });
}

async function measure(stack: Stack): Promise<void> {
  const { controlUrl, operator } = stack;
  note(`enrolling ${NODES} nodes; ${busyBeforePercent} % of the machine was busy before`);
  const fleet = await startFleet({
    ...{ controlUrl, operatorToken: operator.token, region: REGION, firstNode: 1, nodes: NODES },
    ...{ enrolAtOnce: ENROL_AT_ONCE, startWithinMs: START_WITHIN_MS, transport: TRANSPORT },
  });
  try {
    note(`enrolled in ${rounded(fleet.enrolMs / 1_000, 1)} s, in ${fleet.cells.length} cells`);
    await sleep(START_WITHIN_MS + SETTLE_MS);
    const before = await steadyWindow(stack, fleet, STEADY_MS);
    note(`steady: ${JSON.stringify(before)}`);
    const home = await comeHome(stack, fleet, { awayMs: AWAY_MS, withinMs: SERVED_WITHIN_MS });
    note(`back: ${JSON.stringify(home)}`);
    await sleep(SETTLE_MS);
    const after = await steadyWindow(stack, fleet, STEADY_MS);
    note(`steady again: ${JSON.stringify(after)}`);
    const bearable = await findBearable(stack, fleet, after);
    report({ fleet, before, home, after, bearable });
  } finally {
    await fleet.stop();
  }
}

/** Where others keep the machine busy too, our own share of it says more. */
function busyOf({ busyPercent, oursPercent }: SteadyWindow): number {
  return isQuiet ? busyPercent : oursPercent;
}

interface Bearable {
  readonly agents: number;
  readonly window: SteadyWindow;
}

/** The most agents, looked for downwards, at which the machine is busy for no more than BUSY_PERCENT_MAX. null: none found. */
async function findBearable(stack: Stack, fleet: Fleet, all: SteadyWindow): Promise<Bearable | null> {
  let agents = NODES;
  let window = all;
  for (let steps = 0; busyOf(window) > BUSY_PERCENT_MAX && steps < STEPS_MAX; steps += 1) {
    // In proportion, and a little less: what does not depend on the agents is small.
    agents = Math.floor(agents * Math.max(KEEP_SHARE_MIN, (0.97 * BUSY_PERCENT_MAX) / busyOf(window)));
    fleet.keep(agents);
    await sleep(SETTLE_MS);
    window = await steadyWindow(stack, fleet, STEADY_MS);
    note(`${agents} agents: ${JSON.stringify(window)}`);
  }
  return busyOf(window) <= BUSY_PERCENT_MAX ? { agents, window } : null;
}

interface Measured {
  readonly fleet: Fleet;
  readonly before: SteadyWindow;
  readonly home: Awaited<ReturnType<typeof comeHome>>;
  readonly after: SteadyWindow;
  readonly bearable: Bearable | null;
}

function report({ fleet, before, home, after, bearable }: Measured): void {
  const unserved = home.agents - home.served;
  const servedMs = unserved === 0 ? home.allServedMs : SERVED_WITHIN_MS + 1;
  const aims: Aim[] = [
    { name: "all served after a return at once", value: servedMs, op: "<=", bound: SERVED_WITHIN_MS, unit: "ms" },
    { name: "agents refused twice", value: home.refusedTwice, op: "<=", bound: 0, unit: "agents" },
    { name: "agents at most 60 % busy", value: bearable?.agents ?? 0, op: ">=", bound: NODES, unit: "agents" },
  ];
  printReport({
    bench: "fleet",
    rounds: 1,
    transport: TRANSPORT,
    agents: NODES,
    cells: fleet.cells.length,
    cores: availableParallelism(),
    machineBusyBeforePercent: busyBeforePercent,
    quiet: isQuiet,
    steady: before,
    return: { awayMs: AWAY_MS, ...home },
    steadyAfterReturn: after,
    atMost60PercentBusy: bearable,
    limit:
      "both cores run workerd (one thread), the simulated fleet (fleetCorePercent of one core) and Postgres; busyPercent is of the whole machine, whoever keeps it busy, and counts where it was quiet before; oursPercent is of our own processes",
    servedIs:
      "since the control plane answers /healthz again: the first heartbeat answered, and a poll accepted or held, of every agent",
    aims,
  });
}
