// `npm run bench:region`: how many Apps a second one Region tells of its 157 cells, when all ask at once: after a mass failure
// each App with an instance to replace does. As text, which is what it does, beside the same list as objects.
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { convertV4MiniflareOptions, Log, LogLevel, Miniflare } from "miniflare";
import { bundleWorker } from "../self-hosted/build/bundle.ts";
import { readWranglerConfig } from "../self-hosted/build/wrangler-config.ts";
import { WAYS, type Run, type Told, type Way } from "./region-rate/run.ts";
import { median, note, printReport, quantile, rounded, spreadOf, type Aim } from "./shared/report.ts";

const ROUNDS = 5;
/** 10,006 nodes in cells of 64. */
const CELLS = 157;
const APPS = 1_000;
/** Each cell reports at most every 5 s: so many in the second that the burst takes. */
const REPORTS = 32;
const REGION = "bench";

const stateDir = mkdtempSync(join(tmpdir(), "berth-bench-region-"));
const bundlePath = join(stateDir, "worker.mjs");
await bundleWorker(fileURLToPath(new URL("./region-rate/worker/worker.ts", import.meta.url)), bundlePath);
mkdirSync(join(stateDir, "storage"));
const { options } = readWranglerConfig(fileURLToPath(new URL("../wrangler.toml", import.meta.url)));
const miniflare = new Miniflare(
  convertV4MiniflareOptions({
    log: new Log(LogLevel.WARN),
    cf: false,
    resourcePersistencePath: join(stateDir, "storage"),
    workers: [
      {
        name: "region-rate",
        modules: true,
        script: readFileSync(bundlePath, "utf8"),
        compatibilityDate: options.compatibilityDate,
        compatibilityFlags: options.compatibilityFlags,
        durableObjects: { REGION: { className: "BenchRegion", useSQLite: true } },
      },
    ],
  } as Parameters<typeof convertV4MiniflareOptions>[0]),
);
try {
  await measure();
} finally {
  await miniflare.dispose();
  rmSync(stateDir, { recursive: true, force: true });
}

async function run(wanted: Run): Promise<Told> {
  const answer = await miniflare.dispatchFetch("http://bench/", { method: "POST", body: JSON.stringify(wanted) });
  if (!answer.ok) throw new Error(await answer.text());
  return (await answer.json()) as Told;
}

async function measure(): Promise<void> {
  await run({ kind: "fill", region: REGION, cells: CELLS });
  const rates = new Map<Way, number[]>(WAYS.map((way) => [way, []]));
  const p99s = new Map<Way, number[]>(WAYS.map((way) => [way, []]));
  let answerBytes = 0;
  for (let round = 0; round <= ROUNDS; round += 1) {
    for (const way of WAYS) {
      const told = await run({ kind: "burst", region: REGION, way, apps: APPS, reports: REPORTS });
      answerBytes = told.answerBytes;
      // The first round warms up.
      if (round === 0) continue;
      rates.get(way)!.push((1_000 * APPS) / Math.max(1, told.tookMs));
      p99s.get(way)!.push(quantile(told.latenciesMs, 0.99));
    }
  }
  const ways = WAYS.map((way) => ({
    way,
    callsPerSecond: spreadOf(rates.get(way)!, 0),
    p99Ms: spreadOf(p99s.get(way)!, 0),
  }));
  for (const shown of ways) note(JSON.stringify(shown));
  const text = median(rates.get("text")!);
  const gain = text / median(rates.get("objects")!);
  const aims: Aim[] = [
    { name: "Apps told a second by one Region", value: rounded(text, 0), op: ">=", bound: 1_000, unit: "per second" },
    { name: "text against objects", value: rounded(gain, 1), op: ">=", bound: 3, unit: "times" },
  ];
  printReport({
    bench: "region",
    rounds: ROUNDS,
    cores: availableParallelism(),
    cells: CELLS,
    apps: APPS,
    reportsMeanwhile: REPORTS,
    answerBytes,
    ways,
    waysAre:
      "objects: a structured clone of the summaries; text: the Region's JSON, put together once per change; parsed: text, and JSON.parse by each App. Askers and Region share one thread here, so that every figure is of both ends together",
    aims,
  });
}
