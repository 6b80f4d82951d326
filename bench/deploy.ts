// `npm run bench:deploy`: from the API call to the first answer of the new release through the edge, against what the Docker
// Engine alone needs for the same image, and ten replicas against Docker Swarm on the same Engine, in interleaved rounds.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import Docker from "dockerode";
import { startStack, type Stack } from "../dev/stack.ts";
import { BenchApp, type Round } from "./deploy/berth.ts";
import { floorOfMany, floorRound, removeLeftovers, type FloorRound } from "./deploy/floor.ts";
import { buildImage, removeImage } from "./deploy/image.ts";
import { joinSwarm } from "./deploy/swarm.ts";
import { median, note, printReport, rounded, spreadOf, type Aim } from "./shared/report.ts";

const ROUNDS = Number(process.env.BERTH_BENCH_ROUNDS ?? 12);
const MANY_ROUNDS = Number(process.env.BERTH_BENCH_MANY_ROUNDS ?? 6);
const REPLICAS = 10;
const TAGS = ["v1", "v2"] as const;
/** Old instances serve on for 90 s otherwise, and would stop in the middle of later rounds. */
const TUNING = { drainMs: 1_000, drainMinMs: 1_000 };
/** The Engine goes on cleaning up for a moment after it has answered. */
const BREATHER_MS = 500;

interface OneRound {
  readonly floor: FloorRound;
  readonly deploy: Round;
}
interface ManyRound {
  readonly floorMs: number;
  readonly swarmMs: number;
  readonly berth: Round;
}

const docker = new Docker();
await docker.ping();
await removeLeftovers(docker);
for (const tag of TAGS) await buildImage(docker, tag);
const stateDir = mkdtempSync(join(tmpdir(), "berth-bench-deploy-"));
const vars = { control: { TUNING: JSON.stringify(TUNING) } };
const stack = await startStack({ stateDir, agents: 1, runtime: "docker", vars });
try {
  const one = await oneReplica(stack);
  const many = await manyReplicas(stack);
  report(one, many);
} finally {
  await stack.stop();
  await removeLeftovers(docker);
  for (const tag of TAGS) await removeImage(docker, tag);
  rmSync(stateDir, { recursive: true, force: true });
}

/** Both images in turn, so that each release brings another one; the first of all is not counted. */
async function oneReplica(stack: Stack): Promise<OneRound[]> {
  const app = await BenchApp.create(stack, 1);
  await app.release(TAGS[1]);
  const rounds: OneRound[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const tag = TAGS[(round % 2) as 0 | 1];
    await app.settled();
    await sleep(BREATHER_MS);
    const floor = await floorRound(docker, tag);
    await sleep(BREATHER_MS);
    const deploy = await app.release(tag);
    rounds.push({ floor, deploy });
    note(`one: floor ${rounded(floor.totalMs, 0)} ms, deploy ${rounded(deploy.totalMs, 0)} ms ${shown(deploy.phases)}`);
  }
  await app.destroy();
  return rounds;
}

async function manyReplicas(stack: Stack): Promise<ManyRound[]> {
  const swarm = await joinSwarm(docker);
  const rounds: ManyRound[] = [];
  try {
    for (let round = 0; round < MANY_ROUNDS; round += 1) {
      const tag = TAGS[(round % 2) as 0 | 1];
      const floorMs = await floorOfMany(docker, tag, REPLICAS);
      await sleep(BREATHER_MS);
      const swarmMs = await swarm.round(tag, REPLICAS);
      const app = await BenchApp.create(stack, REPLICAS);
      await sleep(BREATHER_MS);
      const berth = await app.release(tag);
      await app.destroy();
      await noneRunning();
      rounds.push({ floorMs, swarmMs, berth });
      const numbers = [floorMs, swarmMs, berth.totalMs].map((value) => rounded(value, 0)).join(", ");
      note(`ten: floor, swarm, berth ${numbers} ms ${shown(berth.phases)}`);
    }
  } finally {
    await swarm.close();
  }
  return rounds;
}

/** Containers of this benchmark's image, whoever made them. */
async function noneRunning(): Promise<void> {
  const filters = { ancestor: TAGS.map((tag) => `berth-bench-deploy:${tag}`) };
  while ((await docker.listContainers({ all: true, filters })).length > 0) await sleep(100);
}

function shown(phases: Readonly<Record<string, number>>): string {
  const sorted = Object.entries(phases).sort(([, a], [, b]) => a - b);
  return sorted.map(([name, ms]) => `${name} ${Math.round(ms)}`).join(", ");
}

function phasesOf(rounds: readonly Round[]) {
  const names = [...new Set(rounds.flatMap(({ phases }) => Object.keys(phases)))];
  const valuesOf = (name: string) => rounds.flatMap(({ phases }) => phases[name] ?? []);
  return Object.fromEntries(names.map((name) => [name, spreadOf(valuesOf(name), 1)]));
}

function report(one: readonly OneRound[], many: readonly ManyRound[]): void {
  const overFloor = median(one.map(({ floor, deploy }) => deploy.totalMs - floor.totalMs)) / 1_000;
  const ofSwarm = median(many.map(({ berth }) => berth.totalMs)) / median(many.map(({ swarmMs }) => swarmMs));
  const aims: Aim[] = [
    { name: "deploy of one replica, over the floor", value: rounded(overFloor), op: "<=", bound: 0.3, unit: "s" },
    { name: "ten replicas, of Swarm's time", value: rounded(ofSwarm), op: "<=", bound: 1, unit: "x" },
  ];
  const of = (values: readonly number[]) => spreadOf(values, 1);
  printReport({
    bench: "deploy",
    rounds: one.length,
    unit: "ms",
    one: {
      floor: of(one.map(({ floor }) => floor.totalMs)),
      floorCreate: of(one.map(({ floor }) => floor.createMs)),
      floorStart: of(one.map(({ floor }) => floor.startMs)),
      floorFirstAnswer: of(one.map(({ floor }) => floor.answerMs)),
      deploy: of(one.map(({ deploy }) => deploy.totalMs)),
      phasesFromTheCall: phasesOf(one.map(({ deploy }) => deploy)),
    },
    ten: {
      rounds: many.length,
      floor: of(many.map(({ floorMs }) => floorMs)),
      swarm: of(many.map(({ swarmMs }) => swarmMs)),
      berth: of(many.map(({ berth }) => berth.totalMs)),
      phasesFromTheCall: phasesOf(many.map(({ berth }) => berth)),
      swarmPublishes: "each replica on a host port of its own",
    },
    aims,
  });
}
