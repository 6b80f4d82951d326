// `npm run bench:rollout`: a rolling update of ten replicas under 500 requests/s against Docker Swarm's on the same Engine, in interleaved
// rounds; WebSockets through releases in a row; and how fast a rollback takes hold where few visitors come.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import Docker from "dockerode";
import { hasFailed } from "../dev/load/visitors.ts";
import { startStack } from "../dev/stack.ts";
import { createWorld, SMALL, writeApp, type World } from "../test/e2e/support.ts";
import { trafficServer } from "../test/e2e/traffic-app.ts";
import { removeLeftovers } from "./deploy/floor.ts";
import { buildImage, removeImage } from "./deploy/image.ts";
import { joinSwarm } from "./deploy/swarm.ts";
import { socketsThroughReleases, type SocketsSeen } from "./rollout/long-sockets.ts";
import { RolledApp, type RollingUpdate } from "./rollout/rolling.ts";
import { RolledSwarm, type SwarmUpdate } from "./rollout/swarm-update.ts";
import { wayBack, type WayBack } from "./rollout/way-back.ts";
import { median, note, printReport, rounded, spreadOf, type Aim } from "./shared/report.ts";

const ROUNDS = Number(process.env.BERTH_BENCH_ROUNDS ?? 6);
const SOCKETS = Number(process.env.BERTH_BENCH_SOCKETS ?? 500);
const RELEASES = 5;
const WAYS_BACK = Number(process.env.BERTH_BENCH_WAYS_BACK ?? 5);
const REPLICAS = 10;
const RATE_PER_S = 500;
const TAGS = ["v1", "v2"] as const;
/** Old instances serve on for 90 s otherwise, and the rounds would take hours. */
const DRAIN_MS = 5_000;
const SOCKETS_DRAIN_MS = 20_000;
const BREATHER_MS = 1_000;

interface Round {
  readonly berth: RollingUpdate;
  readonly swarm: SwarmUpdate;
}

const rounds = ROUNDS === 0 ? [] : await rollingRounds();
const sockets = SOCKETS === 0 ? null : await inWorld(SOCKETS_DRAIN_MS, throughReleases);
const waysBack = WAYS_BACK === 0 ? [] : await inWorld(DRAIN_MS, goBack);
report();

async function rollingRounds(): Promise<Round[]> {
  const docker = new Docker();
  await docker.ping();
  await removeLeftovers(docker);
  for (const tag of TAGS) await buildImage(docker, tag);
  const stateDir = mkdtempSync(join(tmpdir(), "berth-bench-rollout-"));
  const vars = { control: { TUNING: JSON.stringify({ drainMs: DRAIN_MS, drainMinMs: DRAIN_MS }) } };
  // Two nodes, for room: the old release, the new one, and what still drains.
  const stack = await startStack({ stateDir, agents: 2, runtime: "docker", vars });
  const swarm = await joinSwarm(docker);
  const made: Round[] = [];
  try {
    const app = await RolledApp.create(stack, TAGS[0], REPLICAS);
    for (let round = 0; round < ROUNDS; round += 1) {
      const [before, after] = round % 2 === 0 ? TAGS : TAGS.toReversed();
      const service = await RolledSwarm.create(docker, before!, REPLICAS);
      await sleep(BREATHER_MS);
      const swarmed = await service.update(after!, RATE_PER_S).finally(() => service.remove());
      await sleep(BREATHER_MS);
      const berth = await app.update(after!, RATE_PER_S);
      made.push({ berth, swarm: swarmed });
      note(`rolling: berth ${shown(berth)}; swarm ${shown(swarmed)}`);
    }
  } finally {
    await swarm.close();
    await stack.stop();
    await removeLeftovers(docker);
    for (const tag of TAGS) await removeImage(docker, tag);
    rmSync(stateDir, { recursive: true, force: true });
  }
  return made;
}

function shown({ totalMs, completedMs, seen }: RollingUpdate | SwarmUpdate): string {
  const failed = seen.filter(hasFailed);
  const why = [...new Set(failed.map(({ status, error }) => `${status} ${error?.slice(0, 160)}`))].slice(0, 4);
  return `${totalMs} ms (completed ${completedMs}), ${failed.length} of ${seen.length} failed ${why.join("; ")}`;
}

async function inWorld<Value>(drainMs: number, run: (world: World) => Promise<Value>): Promise<Value> {
  const world = await createWorld({ agents: 2, tuning: { drainMs, drainMinMs: drainMs } });
  try {
    return await run(world);
  } finally {
    await world.end();
  }
}

async function deployed(world: World, app: string): Promise<void> {
  const folder = writeApp(world.home, app, { "server.mjs": await trafficServer() }, `replicas = 2\n${SMALL}`);
  const ran = await world.berth(["deploy", folder]);
  if (ran.exitCode !== 0) throw new Error(ran.stderr);
}

async function throughReleases(world: World): Promise<SocketsSeen> {
  await deployed(world, "talked");
  const wanted = { app: "talked", sockets: SOCKETS, releases: RELEASES, drainMs: SOCKETS_DRAIN_MS };
  const seen = await socketsThroughReleases(world, wanted);
  note(`sockets: ${JSON.stringify(seen)}`);
  return seen;
}

async function goBack(world: World): Promise<WayBack[]> {
  await deployed(world, "undone");
  const made: WayBack[] = [];
  for (let round = 0; round < WAYS_BACK; round += 1) {
    made.push(await wayBack(world, "undone"));
    note(`rollback: ${JSON.stringify(made.at(-1))}`);
  }
  return made;
}

function report(): void {
  const failedOf = (seen: SwarmUpdate["seen"]): number => seen.filter(hasFailed).length;
  const berthFailed = rounds.reduce((sum, { berth }) => sum + failedOf(berth.seen), 0);
  const aims: Aim[] = [];
  if (rounds.length > 0) {
    const ofSwarm = median(rounds.map(({ berth }) => berth.totalMs)) / median(rounds.map(({ swarm }) => swarm.totalMs));
    aims.push({ name: "rolling update, of Swarm's time", value: rounded(ofSwarm), op: "<=", bound: 1, unit: "x" });
    aims.push({ name: "requests failed in rolling updates", value: berthFailed, op: "<=", bound: 0, unit: "" });
  }
  if (sockets) {
    const bad = sockets.early + sockets.otherCodes;
    aims.push({ name: "WebSockets cut early or not told to come back", value: bad, op: "<=", bound: 0, unit: "" });
  }
  if (waysBack.length > 0) {
    const worst = (of: (one: WayBack) => number): number => rounded(Math.max(...waysBack.map(of)) / 1_000);
    const first = worst(({ firstByOldMs }) => firstByOldMs);
    const last = worst(({ lastByNewMs }) => lastByNewMs);
    aims.push({ name: "rollback, first request by the old", value: first, op: "<=", bound: 1, unit: "s" });
    aims.push({ name: "rollback, last request by the new", value: last, op: "<=", bound: 5, unit: "s" });
  }
  const of = (values: readonly number[]) => (values.length === 0 ? null : spreadOf(values, 0));
  printReport({
    bench: "rollout",
    rounds: rounds.length,
    unit: "ms",
    rolling: {
      replicas: REPLICAS,
      requestsPerS: RATE_PER_S,
      berth: of(rounds.map(({ berth }) => berth.totalMs)),
      berthCompleted: of(rounds.map(({ berth }) => berth.completedMs)),
      berthAllSeen: of(rounds.map(({ berth }) => berth.allSeenMs)),
      berthRequests: rounds.reduce((sum, { berth }) => sum + berth.seen.length, 0),
      berthFailed,
      swarm: of(rounds.map(({ swarm }) => swarm.totalMs)),
      swarmCompleted: of(rounds.map(({ swarm }) => swarm.completedMs)),
      swarmFailed: rounds.reduce((sum, { swarm }) => sum + failedOf(swarm.seen), 0),
      swarmUpdates: "start-first, parallelism 4; each replica on a host port of its own, to which visitors are sent",
    },
    sockets,
    rollback: {
      firstByOld: of(waysBack.map(({ firstByOldMs }) => firstByOldMs)),
      lastByNew: of(waysBack.map(({ lastByNewMs }) => lastByNewMs)),
      failed: waysBack.reduce((sum, { failed }) => sum + failed, 0),
    },
    aims,
  });
}
