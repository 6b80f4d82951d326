// `npm run bench:neighbours`: an app's p50 and p99 under steady load alone on its node, and beside a fork bomb, a memory hog, a disk hog, a
// cpu hog and a log flood of another team. Real agent, gateway and Engine; hogs within the default limits; rounds interleaved.
import { typeid } from "typeid-js";
import type { DesiredInstance } from "../contracts/desired.ts";
import { ticketFor } from "../test/node-agent/agent/ticket-for.ts";
import {
  desired,
  docker,
  ensureBoxImage,
  makeBundle,
  makeWorld,
  until,
  untilStatus,
} from "../test/node-agent/agent/world.ts";
import { openLoop, type OpenLoopResult } from "./gateway/open-loop.ts";
import { DEFAULT_RESOURCES, HOGS, VICTIM_JS, VICTIM_RESOURCES } from "./neighbours/hogs.ts";
import { median, note, printReport, rounded, spreadOf, type Aim } from "./shared/report.ts";

const ROUNDS = Number(process.env.BERTH_BENCH_ROUNDS ?? 5);
const SECONDS = Number(process.env.BERTH_BENCH_SECONDS ?? 5);
const ONLY = process.env.BERTH_BENCH_ONLY?.split(",");
const RATES = { answers: 200, stores: 20 } as const;
type Victim = keyof typeof RATES;
const VICTIMS = Object.keys(RATES) as Victim[];
const ALONE = "alone";
/** A hog gets going, and what the one before left behind is over. */
const SETTLE_MS = 1_500;
/** Generator and everything else share both cores: there is no third one to keep out of the way. The generator goes before the rest. */
const LOAD_CPU = 1;
const P99_AIM_RATIO = 1.1;

const settled = () => new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
const world = await makeWorld("docker", { heartbeatMs: 500, heartbeatJitterMs: 0 }, true);
const { peer } = world;
const { hash, bytes } = await makeBundle({ "server.js": VICTIM_JS });
peer.bundles.set(hash, bytes);
const team = typeid("team").toString();
const victims = Object.fromEntries(
  VICTIMS.map((victim) => {
    const source = { kind: "bundle", hash };
    return [victim, desired({ team, source, command: ["node", "server.js", victim], resources: VICTIM_RESOURCES })];
  }),
) as Record<Victim, DesiredInstance>;

try {
  await ensureBoxImage();
  await begin();
  report(await measure());
} finally {
  await world.close();
}

async function begin(): Promise<void> {
  peer.publish(Object.values(victims));
  for (const { instance } of Object.values(victims)) await untilStatus(world, instance, "ready", 60_000);
}

async function load(victim: Victim): Promise<OpenLoopResult> {
  const headers = { "Berth-Ticket": await ticketFor(peer, victims[victim]) };
  const load = { ratePerSecond: RATES[victim], seconds: SECONDS, cpu: LOAD_CPU, first: true };
  return openLoop({ port: world.gatewayPort, headers, ...load });
}

type Round = Record<Victim, OpenLoopResult>;

async function both(): Promise<Round> {
  const [answers, stores] = await Promise.all([load("answers"), load("stores")]);
  return { answers, stores };
}

/** Beside it from its start; gone when this resolves. */
async function beside(command: readonly string[]): Promise<Round> {
  const hog = desired({ team: typeid("team").toString(), command: [...command], resources: DEFAULT_RESOURCES });
  peer.publish([...Object.values(victims), hog]);
  const filters = { label: [`berth.instance=${hog.instance}`] };
  await until("the hog runs", async () => (await docker.listContainers({ filters })).length > 0, 30_000);
  await settled();
  const round = await both();
  peer.publish(Object.values(victims));
  await until(
    "the hog is gone",
    async () => (await docker.listContainers({ all: true, filters })).length === 0,
    60_000,
  );
  await settled();
  return round;
}

async function measure(): Promise<Map<string, Round[]>> {
  const measured = new Map<string, Round[]>();
  const names = Object.keys(HOGS).filter((name) => ONLY === undefined || ONLY.includes(name));
  // Each hog right after a round alone: the machine's mood is that of its neighbour in time.
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const name of names) {
      for (const [which, found] of [
        [ALONE, await both()],
        [name, await beside(HOGS[name] ?? [])],
      ] as const) {
        measured.set(which, [...(measured.get(which) ?? []), found]);
        const { answers, stores } = found;
        note(`round ${round} ${which}: answers p50 ${answers.p50Ms} p99 ${answers.p99Ms} ms, stores p99 ${stores.p99Ms} ms, late ${answers.lateP99Ms} ms, failed ${answers.failed + stores.failed}`); // prettier-ignore
      }
    }
  }
  return measured;
}

function report(measured: Map<string, Round[]>): void {
  const alone = measured.get(ALONE) ?? [];
  const names = [...measured.keys()].filter((name) => name !== ALONE);
  const aims: Aim[] = [];
  const found: Record<string, unknown> = {};
  for (const [at, name] of names.entries()) {
    for (const victim of VICTIMS) {
      // Round r of hog h was measured right after the lone round r * hogs + h.
      const ratios = (measured.get(name) ?? []).map((round, r) => {
        const before = alone[r * names.length + at];
        return round[victim].p99Ms / (before?.[victim].p99Ms ?? Number.NaN);
      });
      const rounds = measured.get(name) ?? [];
      const p = (quantile: "p50Ms" | "p99Ms") => spreadOf(rounds.map((round) => round[victim][quantile]));
      const failed = rounds.reduce((sum, round) => sum + round[victim].failed, 0);
      found[`${victim} beside a ${name}`] = {
        p50Ms: p("p50Ms"),
        p99Ms: p("p99Ms"),
        p99Ratio: spreadOf(ratios),
        failed,
      };
      aims.push({ name: `p99 of one that ${victim}, beside a ${name}`, value: rounded(median(ratios)), op: "<=", bound: P99_AIM_RATIO, unit: "× alone" }); // prettier-ignore
    }
  }
  for (const victim of VICTIMS) {
    const p = (quantile: "p50Ms" | "p99Ms" | "lateP99Ms") => spreadOf(alone.map((round) => round[victim][quantile]));
    found[`${victim} alone`] = { p50Ms: p("p50Ms"), p99Ms: p("p99Ms"), generatorLateP99Ms: p("lateP99Ms") };
  }
  printReport({ bench: "neighbours", rounds: ROUNDS, aims, seconds: SECONDS, hogs: DEFAULT_RESOURCES, ...found });
}
