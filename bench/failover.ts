// `npm run bench:failover`: an instance crashes, against Docker Swarm's defaults on the same Engine in interleaved rounds; and a node's
// power is cut under load on the real stack: how long the edge goes on failing, when the node is lost, when the app is whole again.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import Docker from "dockerode";
import { startStack } from "../dev/stack.ts";
import { createWorld, SMALL, versionServer, writeApp } from "../test/e2e/support.ts";
import { removeLeftovers } from "./deploy/floor.ts";
import { buildImage, removeImage } from "./deploy/image.ts";
import { joinSwarm } from "./deploy/swarm.ts";
import { crashOnBerth, crashOnSwarm } from "./failover/crash.ts";
import { cutOnce, type Cut } from "./failover/power-cut.ts";
import { median, note, printReport, quantile, rounded, spreadOf, type Aim } from "./shared/report.ts";

const CRASHES = Number(process.env.BERTH_BENCH_CRASHES ?? 8);
const CUTS = Number(process.env.BERTH_BENCH_CUTS ?? 30);
const REPLICAS = 3;
const TAG = "v1";
const BREATHER_MS = 500;
/** Old instances serve on for 90 s otherwise, and their room would be short in later rounds. */
const TUNING = { drainMs: 1_000, drainMinMs: 1_000 };

interface Crashes {
  readonly berthMs: readonly number[];
  readonly swarmMs: readonly number[];
}

const crashes = CRASHES === 0 ? null : await crashRounds();
const cuts = CUTS === 0 ? [] : await cutRounds();
report(crashes, cuts);

async function crashRounds(): Promise<Crashes> {
  const docker = new Docker();
  await docker.ping();
  await removeLeftovers(docker);
  await buildImage(docker, TAG);
  const stateDir = mkdtempSync(join(tmpdir(), "berth-bench-failover-"));
  const vars = { control: { TUNING: JSON.stringify(TUNING) } };
  const stack = await startStack({ stateDir, agents: 1, runtime: "docker", vars });
  const swarm = await joinSwarm(docker);
  const [berthMs, swarmMs]: [number[], number[]] = [[], []];
  try {
    for (let round = 0; round < CRASHES; round += 1) {
      berthMs.push(await crashOnBerth(docker, stack, TAG));
      await sleep(BREATHER_MS);
      swarmMs.push(await crashOnSwarm(docker, TAG));
      await sleep(BREATHER_MS);
      note(`crash: berth ${rounded(berthMs.at(-1) ?? 0, 0)} ms, swarm ${rounded(swarmMs.at(-1) ?? 0, 0)} ms`);
    }
  } finally {
    await swarm.close();
    await stack.stop();
    await removeLeftovers(docker);
    await removeImage(docker, TAG);
    rmSync(stateDir, { recursive: true, force: true });
  }
  return { berthMs, swarmMs };
}

async function cutRounds(): Promise<Cut[]> {
  const world = await createWorld({ ownNetworks: true, runtime: "process", tuning: TUNING });
  const done: Cut[] = [];
  try {
    const app = writeApp(world.home, "cut", { "server.mjs": versionServer("cut") }, `replicas = ${REPLICAS}\n${SMALL}`);
    const ran = await world.berth(["deploy", app]);
    if (ran.exitCode !== 0) throw new Error(ran.stderr);
    for (let round = 0; round < CUTS; round += 1) {
      const cut = await cutOnce(world.stack, "cut", REPLICAS);
      done.push(cut);
      note(`cut ${round + 1}: ${JSON.stringify(cut)}`);
    }
  } finally {
    await world.end();
  }
  return done;
}

function report(crashed: Crashes | null, cut: readonly Cut[]): void {
  const p95 = (of: (one: Cut) => number): number => rounded(quantile(cut.map(of), 0.95) / 1_000);
  const atMost = (name: string, value: number, bound: number, unit: string): Aim => ({
    name,
    value,
    op: "<=",
    bound,
    unit,
  });
  const ofSwarm = crashed === null ? [] : [rounded(median(crashed.berthMs) / median(crashed.swarmMs))];
  const aims = ofSwarm.map((share) => atMost("crash to ready again, of Swarm's time", share, 0.1, "x"));
  if (cut.length > 0) {
    aims.push(
      atMost(
        "power cut: the edge stops failing, p95",
        p95((one) => one.lastFailedKnownMs),
        2,
        "s",
      ),
      atMost(
        "power cut: the node is lost, p95",
        p95((one) => one.lostMs),
        8,
        "s",
      ),
      atMost(
        "power cut: replicas whole and answering, p95",
        p95((one) => Math.max(one.wholeMs, one.answeringMs)),
        10,
        "s",
      ),
    );
  }
  const spread = (of: (one: Cut) => number) => (cut.length === 0 ? null : spreadOf(cut.map(of), 0));
  printReport({
    bench: "failover",
    rounds: cut.length,
    unit: "ms",
    crash: crashed && { berth: spreadOf(crashed.berthMs, 0), swarm: spreadOf(crashed.swarmMs, 0) },
    powerCut: {
      lastFailedSent: spread((one) => one.lastFailedSentMs),
      lastFailedKnown: spread((one) => one.lastFailedKnownMs),
      failedPerCut: spread((one) => one.failed),
      requestsPerCut: spread((one) => one.requests),
      lost: spread((one) => one.lostMs),
      whole: spread((one) => one.wholeMs),
      answering: spread((one) => one.answeringMs),
      load: "50 requests/s, every other one a POST",
    },
    aims,
  });
}
