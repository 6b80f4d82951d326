// `npm run bench:placement [-- folder]`: decisions per second and how tightly they pack, beside the published rules of others.
// The folder holds traces in the formats of its README (default ../shared/data); --nodes, --pods, --arrivals name single files.
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { onePool } from "./placement/berth.ts";
import type { EngineKind } from "./placement/engine.ts";
import { BERTH, ENGINES, inCells } from "./placement/engines.ts";
import { PEERS } from "./placement/peers.ts";
import { compaction, firstRefusal } from "./placement/quality.ts";
import { measureHere, type SpeedAsked, type SpeedFound } from "./placement/one-speed.ts";
import { readArrivals, readShapes, type Shape } from "./placement/traces.ts";
import { note, printReport, rounded, spreadOf, type Aim } from "./shared/report.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    nodes: { type: "string" },
    pods: { type: "string" },
    arrivals: { type: "string" },
    rounds: { type: "string", default: "5" },
    seeds: { type: "string", default: "200" },
    /** Which to measure; the aims of the others are left out. */
    parts: { type: "string", default: "speed,first-refusal,compaction" },
    /** For this benchmark's own processes. */
    "speed-of": { type: "string" },
  },
});
if (values["speed-of"] !== undefined) {
  process.stdout.write(JSON.stringify(measureHere(JSON.parse(values["speed-of"]) as SpeedAsked)));
  process.exit();
}
const folder = positionals[0] ?? join(import.meta.dirname, "../../shared/data");
const fileOf = (named: string | undefined, name: string): string => {
  const path = named ?? join(folder, name);
  if (!existsSync(path)) throw new Error(`no trace at ${path}: name the folder, or the file with an option`);
  return path;
};
const ROUNDS = Number(values.rounds);
const SEEDS = Number(values.seeds);
const SIZES = [1_523, 10_006, 100_000];
/** In the trace about one request a second arrives: a list of cells may be 5 s old, and what the cells told then 5 s more. */
const OF_MANY_APPS = { reportEvery: 16, apps: "many" } as const;
/** A full scan of a fleet this large takes long; the first of its decisions cost what the last do. */
const PEER_SECONDS_MAX = 1.5;
const BERTH_SECONDS_MAX = 20;
const CHURN_TURNS = 100_000;
const LARGE: Shape = { cpuMilli: 64_000, memoryMib: 256 * 1_024 };
const SMALL: Shape = { cpuMilli: 32_000, memoryMib: 128 * 1_024 };

const nodesPath = fileOf(values.nodes, "openb_nodes.csv");
const podsPath = fileOf(values.pods, "openb_pods.csv");
const openbNodes = readShapes(nodesPath);
const openbPods = readShapes(podsPath);
const azure = readArrivals(fileOf(values.arrivals, "azure2017_arrivals_3d.csv.gz"));

const parts = new Set(values.parts.split(","));
const speed = parts.has("speed") ? measureSpeed() : null;
const refusals = parts.has("first-refusal") ? measureFirstRefusal() : null;
const compacted = parts.has("compaction") ? measureCompaction() : null;
report();

/** Every engine in turn, round by round, each time in a process of its own. */
function measureSpeed() {
  const samples = new Map<string, number[]>();
  const add = (name: string, value: number): void => void samples.set(name, [...(samples.get(name) ?? []), value]);
  for (let round = 1; round <= ROUNDS; round += 1) {
    for (const size of SIZES) {
      for (const engine of Object.keys(ENGINES)) {
        const ours = engine in BERTH;
        const secondsMax = ours ? BERTH_SECONDS_MAX : PEER_SECONDS_MAX;
        const churnTurns = engine === "berth" ? CHURN_TURNS : 0;
        const asked = { engine, nodes: nodesPath, pods: podsPath, size, seed: round, secondsMax, churnTurns };
        const { perSecond, decisions, full, churn } = inItsOwnProcess(asked);
        add(`${engine} ${size}`, perSecond);
        if (churn !== null) add(`${engine} nearly full ${size}`, churn);
        note(`${size} nodes, ${engine}: ${rounded(perSecond, 0)}/s over ${decisions} decisions${full ? "" : " (cut)"}`);
      }
    }
  }
  return new Map([...samples].map(([name, values]) => [name, spreadOf(values, 0)]));
}

function inItsOwnProcess(asked: SpeedAsked): SpeedFound {
  const args = [process.argv[1]!, "--speed-of", JSON.stringify(asked)];
  return JSON.parse(execFileSync(process.execPath, args, { encoding: "utf8" })) as SpeedFound;
}

function measureFirstRefusal() {
  const rules = { berth: onePool, berthCells: inCells(OF_MANY_APPS), ...PEERS };
  const fleet = { nodes: openbNodes, domains: 1 };
  const means: Record<string, number> = {};
  for (const [name, kind] of Object.entries(rules)) {
    let sum = 0;
    for (let seed = 1; seed <= SEEDS; seed += 1) sum += firstRefusal(kind, fleet, openbPods, seed);
    means[name] = rounded((sum / SEEDS) * 100, 3);
    note(`first refusal, ${name}: ${means[name]} %`);
  }
  return means;
}

function measureCompaction() {
  const counts = { asked: 0, refused: 0, reports: 0 };
  const cells = inCells(OF_MANY_APPS, counts);
  const runs: [string, EngineKind, Shape, number][] = [
    ["onePool64", onePool, LARGE, 1],
    ["onePool32", onePool, SMALL, 1],
    ["cells64", cells, LARGE, 1],
    ["cells32", cells, SMALL, 1],
    ["spread64", onePool, LARGE, 3],
    ["bestFitShapeBalance64", PEERS.bestFitShapeBalance!, LARGE, 1],
    ["bestFitShapeBalance32", PEERS.bestFitShapeBalance!, SMALL, 1],
  ];
  const found = runs.map(([name, kind, node, domains]) => {
    const { nodes, bound, overPercent } = compaction(kind, azure, node, domains);
    note(`compaction, ${name}: ${nodes} nodes, +${rounded(overPercent, 2)} % over ${bound}`);
    return [name, { nodes, bound, overPercent: rounded(overPercent, 3) }] as const;
  });
  return { found: Object.fromEntries(found), cellsAsked: counts };
}

function report(): void {
  const sections = {
    ...(speed && {
      speed: { unit: "decisions/s of one core's time, from empty to the first refusal", ...Object.fromEntries(speed) },
    }),
    ...(refusals && { firstRefusal: { unit: "% of the fuller resource", seeds: SEEDS, means: refusals } }),
    ...(compacted && { compaction: { unit: "equal nodes that refuse nothing", ...compacted } }),
  };
  printReport({
    bench: "placement",
    rounds: ROUNDS,
    ...sections,
    aims: [...speedAims(), ...refusalAims(), ...compactionAims()],
  });
}

function speedAims(): Aim[] {
  if (!speed) return [];
  const at = (name: string): number => speed.get(name)?.median ?? 0;
  const rate = (name: string, value: number): Aim => ({ name, value, op: ">=", bound: 500_000, unit: "decisions/s" });
  return [
    rate("one pool of 10,006 nodes", at("berth 10006")),
    rate("157 cells behind a Region", at("berthCells 10006")),
    most("slower at 100,000 nodes than at 1,523", rounded(at("berth 1523") / at("berth 100000"), 2), 2, "x"),
  ];
}

/** Paired: every rule draws the same requests by the same seeds. */
function refusalAims(): Aim[] {
  if (!refusals) return [];
  const best = Math.max(...Object.keys(PEERS).map((name) => refusals[name] ?? 0));
  return [{ name: "openb first refusal", value: refusals.berth!, op: ">=", bound: best, unit: "%" }];
}

function compactionAims(): Aim[] {
  if (!compacted) return [];
  const over = (name: string): number => compacted.found[name]!.overPercent;
  return [
    most("azure 64/256 as one pool", over("onePool64"), 0.5, "%"),
    most("azure 32/128 as one pool", over("onePool32"), 1.4, "%"),
    most("azure 64/256 in cells", over("cells64"), 1, "%"),
    most("azure 32/128 in cells", over("cells32"), 2, "%"),
    most("azure 64/256 over three failure domains", over("spread64"), 1.5, "%"),
  ];
}

function most(name: string, value: number, bound: number, unit: string): Aim {
  return { name, value, op: "<=", bound, unit };
}
