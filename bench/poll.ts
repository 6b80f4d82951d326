// `npm run bench:poll`: 2,000 held polls over 32 Cells of one local workerd, with heartbeats. How fast is a node woken, and what
// does holding it cost? The nodes are simulated in a process of their own; all that they talk to is real.
import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { AGENT_LIMITS } from "../core/converge/limits.ts";
import { DEFAULT_LIMITS } from "../core/limits.ts";
import { startStack, type Stack } from "../dev/stack.ts";
import { REGION } from "../dev/stack/options.ts";
import type { Transport } from "./sim-fleet/counts.ts";
import { startFleet, type Fleet, type FleetReport } from "./sim-fleet/fleet.ts";
import { priceOf, trafficOf } from "./poll/price.ts";
import { machineUsage, type Usage, usageOf } from "./sim-fleet/process-usage.ts";
import { deployApp, restartApp, type Api } from "./poll/waves.ts";
import { note, printReport, quantile, rounded, spreadOf, type Aim } from "./shared/report.ts";

const NODES = Number(process.env.BERTH_BENCH_NODES ?? 2_000);
const TRANSPORT: Transport = process.env.BERTH_BENCH_TRANSPORT === "http" ? "http" : "socket";
const ENROL_AT_ONCE = 8;
const START_WITHIN_MS = 20_000;
/** From then until it is steady: every node's beats in time, and no poll or beat that failed. */
const SETTLE_MAX_MS = 60_000;
const SETTLE_LOOK_MS = 3_000;
const STEADY_MS = 20_000;
const WAVES_MS = 30_000;
const APPS = 8;
const REPLICAS = 8;
/** All at once, so that most nodes are woken within a second. */
const STORM_APPS = 16;
const STORM_REPLICAS = 60;
/** Nodes whose cost is computed from what was measured. */
const FLEETS = [100, 1_000, 10_000];
const NOBODY_WAS_WOKEN_MS = WAVES_MS;

/** A drain writes rows and wakes nodes when it ends: it should end within the benchmark. */
const TUNING = { drainMs: 3_000, drainMinMs: 1_000, apiRequestsPerMinute: 1_000_000 };

const stateDir = mkdtempSync(join(tmpdir(), "berth-bench-poll-"));
const vars = { control: { TUNING: JSON.stringify(TUNING) } };
const stack = await startStack({ stateDir, agents: 0, vars, fsync: false });
try {
  await measure(stack);
} finally {
  await stack.stop();
  rmSync(stateDir, { recursive: true, force: true });
}

async function measure(stack: Stack): Promise<void> {
  const { controlUrl, operator } = stack;
  const workerd = stack.processes()["control.workerd"];
  if (workerd === undefined) throw new Error("the control Worker's workerd is not to be found");
  const emptyBytes = living(workerd).residentBytes;
  note(`enrolling ${NODES} nodes`);
  const where = { controlUrl, operatorToken: operator.token, region: REGION };
  const fleet = await startFleet({
    ...where,
    firstNode: 1,
    nodes: NODES,
    enrolAtOnce: ENROL_AT_ONCE,
    startWithinMs: START_WITHIN_MS,
    transport: TRANSPORT,
  });
  try {
    note(`enrolled in ${rounded(fleet.enrolMs / 1_000, 1)} s, in ${fleet.cells.length} cells`);
    const startedUpSeconds = await untilSteady(fleet);
    note(`steady ${startedUpSeconds ?? "not"} s after the first beat`);
    const steady = await window(fleet, workerd, () => sleep(STEADY_MS));
    note(`steady: ${JSON.stringify(steady.shown)}`);
    const api = { controlUrl, token: operator.token };
    let rounds = 0;
    const waves = await window(fleet, workerd, async () => (rounds = await oneAfterTheOther(api)));
    note(`waves: ${JSON.stringify(waves.shown)}`);
    const storm = await window(fleet, workerd, () => allAtOnce(api));
    note(`storm: ${JSON.stringify(storm.shown)}`);
    report({ fleet, emptyBytes, startedUpSeconds, rounds, steady, waves, storm });
  } finally {
    await fleet.stop();
  }
}

/** Seconds since the fleet's start; null where it never came to that. */
async function untilSteady(fleet: Fleet): Promise<number | null> {
  const beganMs = performance.now();
  await sleep(START_WITHIN_MS);
  await fleet.report();
  while (performance.now() - beganMs < START_WITHIN_MS + SETTLE_MAX_MS) {
    await sleep(SETTLE_LOOK_MS);
    const { heartbeatMs, failures } = await fleet.report();
    const due = (NODES * SETTLE_LOOK_MS) / (AGENT_LIMITS.heartbeatMs + AGENT_LIMITS.heartbeatJitterMs);
    if (heartbeatMs.length >= due && Object.keys(failures).length === 0) {
      return rounded((performance.now() - beganMs) / 1_000, 1);
    }
  }
  return null;
}

/** Few nodes are woken at a time: what a deployment of one customer meets. Gives the number of rollouts. */
async function oneAfterTheOther(api: Api): Promise<number> {
  const untilMs = performance.now() + WAVES_MS;
  for (let app = 0; app < APPS; app += 1) await deployApp(api, `wave-${app}`, REPLICAS);
  let rounds = APPS;
  for (; performance.now() < untilMs; rounds += 1) await restartApp(api, `wave-${rounds % APPS}`);
  return rounds;
}

async function allAtOnce(api: Api): Promise<void> {
  const names = Array.from({ length: STORM_APPS }, (_, number) => `storm-${number}`);
  await Promise.all(names.map((name) => deployApp(api, name, STORM_REPLICAS)));
}

type Window = Awaited<ReturnType<typeof window>>;

/** Without it there is nothing to measure. */
function living(workerd: number): Usage {
  const usage = usageOf(workerd);
  if (usage === null) throw new Error("the control Worker's workerd ended while it was measured");
  return usage;
}

/** What the fleet, workerd and the machine did while `work` went on. */
async function window(fleet: Fleet, workerd: number, work: () => Promise<unknown>) {
  const beganMs = performance.now();
  const before = { workerd: living(workerd), machine: machineUsage() };
  // An overloaded control plane is a result too, and is reported like one.
  const error = await work().then(
    () => null,
    (reason: unknown) => String(reason),
  );
  const seconds = (performance.now() - beganMs) / 1_000;
  const after = { workerd: living(workerd), machine: machineUsage() };
  const report = await fleet.report();
  const workerdCpuMs = after.workerd.cpuMs - before.workerd.cpuMs;
  const busy = after.machine.busyMs - before.machine.busyMs;
  const shown = {
    seconds: rounded(seconds, 1),
    wakeMs: latencyOf(report.wakes),
    heartbeatMs: latencyOf(report.heartbeatMs),
    heartbeatsPerSecond: rounded(report.heartbeatMs.length / seconds, 1),
    overSocketsPerSecond: rounded(report.socketBeats / seconds, 1),
    socketsOpened: report.sockets,
    pollsPerSecond: rounded(pollsOf(report) / seconds, 1),
    failures: report.failures,
    error,
    coresUsed: {
      workerd: rounded(workerdCpuMs / seconds / 1_000, 2),
      fleet: rounded(report.cpuMs / seconds / 1_000, 2),
      machine: rounded((busy / (after.machine.totalMs - before.machine.totalMs)) * availableParallelism(), 2),
    },
    fleetLoopDelayP99Ms: rounded(report.loopDelayP99Ms, 1),
    workerdResidentBytes: after.workerd.residentBytes,
  };
  return { report, seconds, workerdCpuMs, shown };
}

function pollsOf({ wakes, pollsTimedOut, pollsAnsweredAtOnce }: FleetReport): number {
  return wakes.length + pollsTimedOut + pollsAnsweredAtOnce;
}

function latencyOf(values: readonly number[]) {
  if (values.length === 0) return null;
  return { ...spreadOf(values, 2), p99: rounded(quantile(values, 0.99), 2) };
}

interface Measured {
  readonly fleet: Fleet;
  readonly emptyBytes: number;
  readonly startedUpSeconds: number | null;
  readonly rounds: number;
  readonly steady: Window;
  readonly waves: Window;
  readonly storm: Window;
}

function report({ fleet, emptyBytes, startedUpSeconds, rounds, steady, waves, storm }: Measured): void {
  const requests = steady.report.heartbeatMs.length + pollsOf(steady.report);
  // Where all beat over sockets nothing else is measured, and upgrades, which are few, are taken for as dear as 0.66 ms.
  const ms = steady.workerdCpuMs / requests;
  const measured =
    TRANSPORT === "socket" ? { msPerRequest: 0.66, msPerMessage: ms } : { msPerRequest: ms, msPerMessage: 0 };
  const failures = [steady, waves].flatMap((each) => Object.values(each.report.failures));
  const aims: Aim[] = [
    {
      name: "cells",
      value: fleet.cells.length,
      op: ">=",
      bound: Math.ceil(NODES / DEFAULT_LIMITS.nodesPerCellMax),
      unit: "cells",
    },
    {
      name: "failed polls and heartbeats, before the storm",
      value: failures.reduce((sum, count) => sum + count, 0),
      op: "<=",
      bound: 0,
      unit: "requests",
    },
    {
      name: "wake-up, median",
      value: waves.shown.wakeMs?.median ?? NOBODY_WAS_WOKEN_MS,
      op: "<=",
      bound: 10,
      unit: "ms",
    },
  ];
  printReport({
    bench: "poll",
    rounds,
    nodes: NODES,
    cells: fleet.cells.length,
    startedUpSeconds,
    enrolmentSeconds: rounded(fleet.enrolMs / 1_000, 1),
    wakeMs: waves.shown.wakeMs,
    workerdResidentBytes: {
      empty: emptyBytes,
      steady: steady.shown.workerdResidentBytes,
      atTheEnd: storm.shown.workerdResidentBytes,
    },
    steady: steady.shown,
    oneAppAfterTheOther: waves.shown,
    storm: storm.shown,
    transport: TRANSPORT,
    cost: {
      measured,
      usdPerMonth: Object.fromEntries(
        FLEETS.map((nodes) => [nodes, priceOf(trafficOf(TRANSPORT, nodes, measured)).usdPerMonth]),
      ),
      measuredIs:
        "an upper bound: processor time of the whole workerd per request or message in the steady window; Worker and object share it here",
    },
    limit: `${availableParallelism()} cores for workerd (one thread), the fleet and Postgres: see coresUsed and fleetLoopDelayP99Ms`,
    wakeIs:
      "from the Cell's turn that commits a newer revision (its clock, whole milliseconds) to the answer in the node's hands",
    aims,
  });
}
