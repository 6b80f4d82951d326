// `npm run bench:cell`: how many reservations a second one 64-node Cell grants and commits durably in local workerd, beside raw
// batched inserts into the same SQLite; in an empty cell and in a full one.
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { convertV4MiniflareOptions, Log, LogLevel, Miniflare } from "miniflare";
import { bundleWorker } from "../self-hosted/build/bundle.ts";
import { readWranglerConfig } from "../self-hosted/build/wrangler-config.ts";
import type { Run } from "./cell-rate/run.ts";
import { median, note, printReport, rounded, spreadOf, type Aim } from "./shared/report.ts";

const ROUNDS = 5;
/** 2.5 million containers on 10,000 nodes are 16,000 in a cell of 64. */
const FULL = 16_000;
const FILL_BATCH = 64;
/** Instances per call, calls under way at once, and instances per measurement: each takes about a second. */
const SHAPES = [
  { batch: 1, width: 1, count: 300 },
  { batch: 1, width: 32, count: 1_000 },
  { batch: 16, width: 8, count: 2_000 },
  { batch: 64, width: 8, count: 2_048 },
] as const;

const stateDir = mkdtempSync(join(tmpdir(), "berth-bench-cell-"));
const bundlePath = join(stateDir, "worker.mjs");
await bundleWorker(fileURLToPath(new URL("./cell-rate/worker/worker.ts", import.meta.url)), bundlePath);
mkdirSync(join(stateDir, "storage"));
const { options } = readWranglerConfig(fileURLToPath(new URL("../wrangler.toml", import.meta.url)));
const object = (className: string) => ({ className, useSQLite: true });
const miniflare = new Miniflare(
  convertV4MiniflareOptions({
    log: new Log(LogLevel.WARN),
    cf: false,
    resourcePersistencePath: join(stateDir, "storage"),
    workers: [
      {
        name: "cell-rate",
        modules: true,
        script: readFileSync(bundlePath, "utf8"),
        compatibilityDate: options.compatibilityDate,
        compatibilityFlags: options.compatibilityFlags,
        durableObjects: { CELL: object("Cell"), REGION: object("Region"), RAW: object("Raw") },
        // Nobody beats during a measurement.
        bindings: {
          TUNING: JSON.stringify({ suspectMs: 3_600_000, leaseTtlMs: 3_600_000, instancesPerCellMax: 200_000 }),
        },
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

async function run(wanted: Run): Promise<number> {
  const answer = await miniflare.dispatchFetch("http://bench/", { method: "POST", body: JSON.stringify(wanted) });
  if (!answer.ok) throw new Error(await answer.text());
  return ((await answer.json()) as { tookMs: number }).tookMs;
}

async function measure(): Promise<void> {
  const cells = { empty: "bench.1", full: "bench.2" };
  for (const name of Object.values(cells)) {
    await run({ kind: "enrol", name, from: 0, count: 0, batch: 1, width: 1 });
  }
  const filledMs = await run({ kind: "cell", name: cells.full, from: 0, count: FULL, batch: FILL_BATCH, width: 8 });
  note(`a cell filled with ${FULL} instances in ${filledMs} ms`);
  const results = [];
  let from = FULL;
  for (const { batch, width, count } of SHAPES) {
    const rates: Record<"empty" | "full" | "raw", number[]> = { empty: [], full: [], raw: [] };
    for (let round = 0; round <= ROUNDS; round += 1) {
      // An empty cell is a new one: what was placed in the round before is not taken out again.
      const empty = `bench.${100 + from}`;
      await run({ kind: "enrol", name: empty, from: 0, count: 0, batch: 1, width: 1 });
      for (const [where, name] of [
        ["empty", empty],
        ["full", cells.full],
        ["raw", "raw"],
      ] as const) {
        const kind = where === "raw" ? "raw" : "cell";
        const tookMs = await run({ kind, name, from, count, batch, width });
        // The first round warms up.
        if (round > 0) rates[where].push((1_000 * count) / Math.max(1, tookMs));
      }
      from += count;
    }
    const shown = {
      batch,
      width,
      count,
      reservations: spread(rates.empty),
      inAFullCell: spread(rates.full),
      rawInserts: spread(rates.raw),
    };
    note(JSON.stringify(shown));
    results.push(shown);
  }
  report(results, filledMs);
}

function spread(rates: readonly number[]) {
  return spreadOf(rates, 0);
}

type Shown = {
  batch: number;
  width: number;
  reservations: ReturnType<typeof spread>;
  inAFullCell: ReturnType<typeof spread>;
  rawInserts: ReturnType<typeof spread>;
};

function report(results: readonly Shown[], filledMs: number): void {
  const best = (of: (shown: Shown) => { median: number }): number =>
    Math.max(...results.map((shown) => of(shown).median));
  const reservations = best((shown) => shown.reservations);
  const slowdown = median(results.map((shown) => shown.reservations.median / shown.inAFullCell.median));
  const aims: Aim[] = [
    { name: "durable reservations, one Cell", value: reservations, op: ">=", bound: 1_000, unit: "per second" },
    { name: "an empty cell against a full one", value: rounded(slowdown, 2), op: "<=", bound: 1.5, unit: "times" },
  ];
  printReport({
    bench: "cell",
    rounds: ROUNDS,
    cores: availableParallelism(),
    nodes: 64,
    fullCellHolds: FULL,
    filledMs,
    reservationsPerSecond: reservations,
    rawInsertsPerSecond: best((shown) => shown.rawInserts),
    shapes: results,
    reservationIs:
      "granted by reserve and made an instance by commit, both answered after their rows were on disk: per instance three row writes, per call one answer, one app link and one row of each node concerned",
    rawInsertIs: "one row of an instance's size into the same table layout, as many per transaction as the batch says",
    aims,
  });
}
