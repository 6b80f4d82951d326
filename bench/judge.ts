// `npm run bench:judge`: how soon a bad release is rejected and how often a good one, beside fixed-interval threshold analysis on the
// same streams. --releases: how many equal ones; --regressions: how many bad ones for each kind; --seed.
import { parseArgs } from "node:util";
import { AnalysisConfig } from "../contracts/analysis.ts";
import { CANARY_STEPS } from "../contracts/rollout-plan.ts";
import { race, type Rejections } from "./judge/judges.ts";
import { HEARTBEAT_MS, seedOf, type Answers, type Traffic } from "./judge/streams.ts";
import { note, printReport, rounded, spreadOf, type Aim, type Spread } from "./shared/report.ts";

const { values } = parseArgs({
  options: {
    releases: { type: "string", default: "10000" },
    regressions: { type: "string", default: "500" },
    seed: { type: "string", default: "1" },
  },
});
const RELEASES = Number(values.releases);
const REGRESSIONS = Number(values.regressions);
const SEED = Number(values.seed);
const CONFIG = AnalysisConfig.parse({});
const MINUTE_MS = 60_000;
const PATIENCE_MS = 30 * MINUTE_MS;
const GOOD: Answers = { errorRate: 0.001, medianMs: 40 };

/** Percent of the visitors in the default steps of a canary. */
function steps(atMs: number): number {
  let left = atMs;
  for (const { weight, durationMs = 0 } of CANARY_STEPS) {
    if (left <= durationMs) return weight;
    left -= durationMs;
  }
  return 100;
}
const STEPS_MS = CANARY_STEPS.reduce((sum, { durationMs = 0 }) => sum + durationMs, 0);

const always =
  <T>(value: T) =>
  (): T =>
    value;

function regression(next: Answers, requestsPerSecond: number, from = 0): Traffic {
  return {
    requestsPerSecond,
    weightAt: always(10),
    next: (atMs) => (atMs > from ? next : GOOD),
    current: always(GOOD),
  };
}

interface Detected {
  readonly what: string;
  readonly nextRequestsPerSecond: number;
  readonly berth: Spread;
  readonly threshold: Spread | null;
  readonly missed: { readonly berth: number; readonly threshold: number };
}

/** fromMs: the release is good until then; requests are counted from there. */
function detect(what: string, next: Answers, requestsPerSecond: number, fromMs = 0): Detected {
  const traffic = regression(next, requestsPerSecond, fromMs);
  const found = Array.from({ length: REGRESSIONS }, (_, index) =>
    race(traffic, fromMs + PATIENCE_MS, seedOf(SEED * 7_919 + index), CONFIG, fromMs),
  );
  const of = (judge: keyof Rejections) => found.flatMap((each) => (each[judge] === null ? [] : [each[judge]]));
  const threshold = of("threshold");
  const detected = {
    what,
    nextRequestsPerSecond: requestsPerSecond / 10,
    berth: spreadOf(of("berth"), 0),
    threshold: threshold.length === 0 ? null : spreadOf(threshold, 0),
    missed: { berth: REGRESSIONS - of("berth").length, threshold: REGRESSIONS - threshold.length },
  };
  const { berth } = detected;
  note(
    `${what}, ${requestsPerSecond / 10}/s: ${berth.median} requests, threshold ${detected.threshold?.median ?? "never"}`,
  );
  return detected;
}

interface FalseAlarms {
  readonly what: string;
  readonly releases: number;
  readonly berth: number;
  readonly threshold: number;
}

function equal(
  what: string,
  releases: number,
  requestsPerSecond: number,
  both: (atMs: number) => Answers,
  currentIsLate = false,
): FalseAlarms {
  const traffic: Traffic = { requestsPerSecond, weightAt: steps, next: both, current: both, currentIsLate };
  const alarms = { what, releases, berth: 0, threshold: 0 };
  for (let index = 0; index < releases; index += 1) {
    const { berth, threshold } = race(traffic, STEPS_MS, seedOf(SEED * 104_729 + index), CONFIG);
    if (berth !== null) alarms.berth += 1;
    if (threshold !== null) alarms.threshold += 1;
  }
  note(`equal, ${what}: ${alarms.berth} and ${alarms.threshold} of ${releases} rejected`);
  return alarms;
}

const BAD: Answers = { ...GOOD, errorRate: 0.05 };
const detections = [
  detect("5 % errors", BAD, 100),
  detect("5 % errors", BAD, 20),
  detect("5 % errors", BAD, 500),
  detect("5 % errors after 10 good minutes", BAD, 100, 10 * MINUTE_MS),
  detect("all errors", { ...GOOD, errorRate: 1 }, 100),
  detect("1 % errors", { ...GOOD, errorRate: 0.01 }, 100),
  detect("twice as slow", { ...GOOD, medianMs: 80 }, 100),
];
const fewer = Math.ceil(RELEASES / 10);
/** Both fail alike for a minute, as when a database is away: nothing of it is the release's fault. */
const outage = (atMs: number): Answers =>
  atMs > 3 * MINUTE_MS && atMs <= 4 * MINUTE_MS ? { errorRate: 0.3, medianMs: 900 } : GOOD;
const alarms = [
  equal("0.1 % errors, 100 requests/s", RELEASES, 100, always(GOOD)),
  equal("0.1 % errors, 5 requests/s", fewer, 5, always(GOOD)),
  equal("2 % errors, 100 requests/s", fewer, 100, always({ ...GOOD, errorRate: 0.02 })),
  equal("a minute's outage of both, 100 requests/s", fewer, 100, outage),
  equal("the same, and the current release reports 2 s late", fewer, 100, outage, true),
];

const first = detections[0]!;
const ratio = rounded(first.berth.median / (first.threshold?.median ?? Number.POSITIVE_INFINITY));
const alarmPercent = rounded((100 * alarms[0]!.berth) / RELEASES);
const worstPercent = rounded(Math.max(...alarms.map(({ berth, releases }) => (100 * berth) / releases)));
const missed = detections.reduce((sum, each) => sum + each.missed.berth, 0);
const aims: readonly Aim[] = [
  {
    name: "requests until 5 % errors are rejected, of the threshold's",
    value: ratio,
    op: "<=",
    bound: 0.333,
    unit: "x",
  },
  { name: "equal releases rejected", value: alarmPercent, op: "<=", bound: 1, unit: "%" },
  { name: "equal releases rejected, worst kind", value: worstPercent, op: "<=", bound: 1, unit: "%" },
  { name: "bad releases missed", value: missed, op: "<=", bound: 0, unit: "" },
];
printReport({
  bench: "judge",
  rounds: REGRESSIONS,
  aims,
  seed: SEED,
  heartbeatMs: HEARTBEAT_MS,
  config: CONFIG,
  requestsUntilRejected: detections,
  falseRejections: alarms,
});
