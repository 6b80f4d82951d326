// `npm run bench:upgrade`: 1,000 simulated agents (real protocol, signatures and bytes, no containers) brought over to a new agent in
// stages against a local workerd: what a bad build reaches, how long a good one takes, and that nothing which runs is touched.
import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { Instance } from "../contracts/api.ts";
import { startStack, type Stack } from "../dev/stack.ts";
import { callApi } from "../dev/stack/operator.ts";
import { REGION } from "../dev/stack/options.ts";
import { makeReleaseKey, publicHalf } from "../node-agent/build/release-key.ts";
import { deployApp } from "./poll/waves.ts";
import { note, printReport, rounded, type Aim } from "./shared/report.ts";
import { startFleet, type Fleet } from "./sim-fleet/fleet.ts";
import { publish, upgradeTo, type Ended, type Operator } from "./upgrade/releases.ts";

const NODES = Number(process.env.BERTH_BENCH_NODES ?? 1_000);
const ENROL_AT_ONCE = 8;
const START_WITHIN_MS = 5_000;
const SETTLE_MS = 5_000;
const APPS = 10;
const REPLICAS = 50;
const OLD = "1.0.0";
/** Less than a real bundle's 1.9 MB, so that the machine measures upgrades and not how fast it copies. */
const BUNDLE_BYTES = 256 * 1024;
const TRIAL_MS = 6_000;
/** A node is watched for 2 s instead of 10: the waves are what is measured, not waiting. */
const TUNING = { upgradeSoakMs: 2_000, upgradeLookMs: 1_000, apiRequestsPerMinute: 1_000_000 };
const WITHIN_MS = 420_000;

const key = await makeReleaseKey();
const stateDir = mkdtempSync(join(tmpdir(), "berth-bench-upgrade-"));
const control = { TUNING: JSON.stringify(TUNING), AGENT_RELEASE_KEYS: JSON.stringify([publicHalf(key)]) };
const stack = await startStack({ stateDir, agents: 0, vars: { control }, fsync: false });
try {
  await measure(stack);
} finally {
  await stack.stop();
  rmSync(stateDir, { recursive: true, force: true });
}

async function measure({ controlUrl, operator: { token } }: Stack): Promise<void> {
  const operator: Operator = { controlUrl, token };
  note(`enrolling ${NODES} nodes`);
  const fleet = await startFleet({
    ...{ controlUrl, operatorToken: token, region: REGION, firstNode: 1, nodes: NODES },
    ...{ enrolAtOnce: ENROL_AT_ONCE, startWithinMs: START_WITHIN_MS, transport: "http" },
    upgrade: { version: OLD, keys: [publicHalf(key)], trialMs: TRIAL_MS },
  });
  try {
    note(`enrolled in ${rounded(fleet.enrolMs / 1_000, 1)} s, in ${fleet.cells.length} cells`);
    await sleep(START_WITHIN_MS + SETTLE_MS);
    for (let app = 0; app < APPS; app += 1) await deployApp(operator, `app-${app}`, REPLICAS);
    const before = await whatRuns(operator);
    note(`${before.size} instances run`);
    const crash = await bad(operator, fleet, "1.1.0", "crash");
    const mute = await bad(operator, fleet, "1.2.0", "stay mute");
    await publish(operator, key, { version: "1.3.0", does: "serve", bytes: BUNDLE_BYTES });
    const good = await upgradeTo(operator, "1.3.0", WITHIN_MS);
    note(`${good.upgrade.state} in ${rounded(good.tookMs / 1_000, 1)} s: ${JSON.stringify(good.stagesMs)}`);
    const agents = await fleet.upgrades();
    const { failures } = await fleet.report();
    report({
      ...{ fleet, crash, mute, good, failures, instances: before.size },
      touched: touchedIn(before, await whatRuns(operator)),
      upgraded: agents.filter(({ version }) => version === "1.3.0").length,
      fetchedBytes: agents.reduce((sum, { fetchedBytes }) => sum + fetchedBytes, 0),
    });
  } finally {
    await fleet.stop();
  }
}

interface Bad {
  readonly ended: Ended;
  /** Nodes that ever heard of it. */
  readonly reached: number;
}

async function bad(operator: Operator, fleet: Fleet, version: string, does: "crash" | "stay mute"): Promise<Bad> {
  const heardBefore = heardOf(await fleet.upgrades());
  await publish(operator, key, { version, does, bytes: BUNDLE_BYTES });
  const ended = await upgradeTo(operator, version, WITHIN_MS);
  // Whoever were told late would be told by now.
  await sleep(SETTLE_MS);
  const reached = heardOf(await fleet.upgrades()) - heardBefore;
  const { state, stage, fault } = ended.upgrade;
  note(
    `${version} (${does}): ${state} in stage ${stage} after ${rounded(ended.tookMs / 1_000, 1)} s, ${reached} reached: ${fault?.name} ${fault?.why}`,
  );
  return { ended, reached };
}

function heardOf(agents: readonly { readonly heardOf: number }[]): number {
  return agents.reduce((sum, agent) => sum + agent.heardOf, 0);
}

/** Each instance with what a restart or a replacement of it would change. */
async function whatRuns({ controlUrl, token }: Operator): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const Page = z.object({ items: z.array(Instance) });
  for (let app = 0; app < APPS; app += 1) {
    const path = `/v1/apps/app-${app}/instances?limit=100`;
    const { items } = await callApi(controlUrl, { schema: Page, method: "GET", path, token });
    for (const { id, generation, restarts, node, phase } of items) {
      if (phase === "ready") found.set(id, `${generation} ${restarts} ${node}`);
    }
  }
  return found;
}

function touchedIn(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): number {
  const gone = [...before].filter(([id, facts]) => after.get(id) !== facts).length;
  return gone + [...after.keys()].filter((id) => !before.has(id)).length;
}

interface Measured {
  readonly fleet: Fleet;
  readonly crash: Bad;
  readonly mute: Bad;
  readonly good: Ended;
  readonly touched: number;
  readonly upgraded: number;
  readonly instances: number;
  readonly fetchedBytes: number;
  readonly failures: Readonly<Record<string, number>>;
}

function report(measured: Measured): void {
  const { fleet, crash, mute, good, touched, upgraded, instances, fetchedBytes, failures } = measured;
  const stoppedFirst = [crash, mute].filter(
    ({ ended }) => ended.upgrade.state === "failed" && ended.upgrade.stage === "one_node",
  ).length;
  const aims: Aim[] = [
    { name: "bad builds stopped in the first stage", value: stoppedFirst, op: ">=", bound: 2, unit: "builds" },
    {
      name: "nodes that heard of a bad build",
      value: Math.max(crash.reached, mute.reached),
      op: "<=",
      bound: 1,
      unit: "nodes",
    },
    { name: "nodes upgraded", value: upgraded, op: ">=", bound: NODES, unit: "nodes" },
    { name: "containers restarted or replaced", value: touched, op: "<=", bound: 0, unit: "containers" },
  ];
  printReport({
    bench: "upgrade",
    rounds: 1,
    agents: NODES,
    cells: fleet.cells.length,
    instances,
    cores: availableParallelism(),
    badBuilds: {
      crash: { stoppedAfterMs: rounded(crash.ended.tookMs, 0), fault: crash.ended.upgrade.fault },
      mute: { stoppedAfterMs: rounded(mute.ended.tookMs, 0), trialMs: TRIAL_MS, fault: mute.ended.upgrade.fault },
    },
    upgrade: {
      state: good.upgrade.state,
      fault: good.upgrade.fault,
      tookMs: rounded(good.tookMs, 0),
      stagesBeganMs: good.stagesMs,
      counts: good.upgrade.counts,
      fetchedBytes,
      bundleBytes: BUNDLE_BYTES,
    },
    failedRequestsOfAgents: failures,
    tuning: TUNING,
    limit:
      "a node is watched for upgradeSoakMs (10 s by default) and 8 nodes of a cell change at once: with the default a region of full cells takes about 8 times 13 s for each of its last three stages",
    aims,
  });
}
