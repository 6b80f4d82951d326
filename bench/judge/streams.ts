// Two releases under one stream of visitors: what their gateways would count in each heartbeat. Random, from a seed.
import { LATENCY_BUCKETS_MS, type ReleaseCounters } from "../../contracts/analysis.ts";
import { NOTHING_COUNTED } from "../../core/analysis/counters.ts";
import type { Pair } from "../../core/analysis/state.ts";
import { randomFrom } from "../../core/random.ts";

export const HEARTBEAT_MS = 2_000;

/** How a release answers: the share of errors, and the median of its (log-logistic) latency. */
export interface Answers {
  readonly errorRate: number;
  readonly medianMs: number;
}

/** weightAt: percent of the visitors that get the new release. */
export interface Traffic {
  readonly requestsPerSecond: number;
  readonly weightAt: (atMs: number) => number;
  readonly next: (atMs: number) => Answers;
  readonly current: (atMs: number) => Answers;
  /** The nodes of the current release report a heartbeat later than those of the new one. */
  readonly currentIsLate?: boolean;
}

export interface Beat extends Pair {
  readonly atMs: number;
}

export function* beatsOf(traffic: Traffic, forMs: number, seed: string): Generator<Beat> {
  const chance = uniform(seed);
  let late = NOTHING_COUNTED;
  for (let atMs = HEARTBEAT_MS; atMs <= forMs; atMs += HEARTBEAT_MS) {
    const visitors = poisson(traffic.requestsPerSecond * (HEARTBEAT_MS / 1_000), chance);
    const next = binomial(visitors, traffic.weightAt(atMs) / 100, chance);
    const current = counted(visitors - next, traffic.current(atMs), chance);
    yield {
      atMs,
      next: counted(next, traffic.next(atMs), chance),
      current: traffic.currentIsLate === true ? late : current,
    };
    late = current;
  }
}

export const seedOf = (number: number): string => (number >>> 0).toString(16).padStart(8, "0").repeat(4);

function counted(requests: number, { errorRate, medianMs }: Answers, chance: () => number): ReleaseCounters {
  const errors = binomial(requests, errorRate, chance);
  return {
    requests,
    status: { s1xx: 0, s2xx: requests - errors, s3xx: 0, s4xx: 0, s5xx: errors },
    latency: histogram(requests, medianMs, chance),
  };
}

/** Shape of the log-logistic distribution: with a median of 40 ms its p95 is 130 ms and its p99 250 ms. */
const SHAPE = 2.5;
const fasterThan = (boundMs: number, medianMs: number): number => 1 / (1 + (boundMs / medianMs) ** -SHAPE);

function histogram(requests: number, medianMs: number, chance: () => number): number[] {
  let left = requests;
  let below = 0;
  const counts: number[] = LATENCY_BUCKETS_MS.map((boundMs) => {
    const upTo = fasterThan(boundMs, medianMs);
    const inside = binomial(left, (upTo - below) / (1 - below), chance);
    below = upTo;
    left -= inside;
    return inside;
  });
  return [...counts, left];
}

function uniform(seed: string): () => number {
  const next = randomFrom(seed);
  return () => (next() + 0.5) / 2 ** 32;
}

/** Means above this are drawn in parts, so that (1 - p)^n is far from underflow. */
const MEAN_MAX = 20;

/** Exact, by inversion. */
function binomial(n: number, p: number, chance: () => number): number {
  if (n === 0 || p <= 0) return 0;
  if (p >= 1) return n;
  if (p > 0.5) return n - binomial(n, 1 - p, chance);
  if (n * p > MEAN_MAX) {
    const part = Math.floor(n / 2);
    return binomial(part, p, chance) + binomial(n - part, p, chance);
  }
  const odds = p / (1 - p);
  let u = chance();
  let probability = (1 - p) ** n;
  let k = 0;
  while (u > probability && k < n) {
    u -= probability;
    k += 1;
    probability *= ((n - k + 1) / k) * odds;
  }
  return k;
}

function poisson(mean: number, chance: () => number): number {
  if (mean > MEAN_MAX) return poisson(mean / 2, chance) + poisson(mean / 2, chance);
  let product = chance();
  let k = 0;
  for (const end = Math.exp(-mean); product > end; k += 1) product *= chance();
  return k;
}
