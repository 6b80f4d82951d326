// Sums and differences of what gateways counted for a release.
import { LATENCY_BUCKETS_MS, type ReleaseCounters } from "../../contracts/analysis.ts";

export const NOTHING_COUNTED: ReleaseCounters = {
  requests: 0,
  status: { s1xx: 0, s2xx: 0, s3xx: 0, s4xx: 0, s5xx: 0 },
  latency: [],
};

/**
 * What was counted between two readings of the same cumulative counters. If any of them fell, the counting began again from 0 (another
 * gateway process, another instance): all of `after` is new then, as what came between the last reading and the restart is lost.
 */
export function increments(before: ReleaseCounters, after: ReleaseCounters): ReleaseCounters {
  const difference = combined(after, before, (a, b) => a - b);
  return parts(difference).some((part) => part < 0) ? combined(after, NOTHING_COUNTED, (a) => a) : difference;
}

export function sum(one: ReleaseCounters, other: ReleaseCounters): ReleaseCounters {
  return combined(one, other, (a, b) => a + b);
}

/** Requests that took longer than the bucket's bound; `latency` may be shorter than the histogram. */
export function slowerThan(latency: readonly number[], bucket: number): number {
  let count = 0;
  for (let index = bucket + 1; index < latency.length; index += 1) count += latency[index]!;
  return count;
}

/** By linear interpolation within its bucket; the last bucket is open, so its lower bound. Null without requests. */
export function quantileMs(latency: readonly number[], q: number): number | null {
  const total = slowerThan(latency, -1);
  if (total === 0) return null;
  let left = q * total;
  for (const [index, count] of latency.entries()) {
    const from = index === 0 ? 0 : LATENCY_BUCKETS_MS[index - 1]!;
    const to = LATENCY_BUCKETS_MS[index] ?? from;
    if (count > 0 && left <= count) return from + (to - from) * (left / count);
    left -= count;
  }
  return LATENCY_BUCKETS_MS[LATENCY_BUCKETS_MS.length - 1]!;
}

function combined(
  one: ReleaseCounters,
  other: ReleaseCounters,
  how: (a: number, b: number) => number,
): ReleaseCounters {
  const [a, b] = [one.status, other.status];
  const buckets = Math.max(one.latency.length, other.latency.length);
  return {
    requests: how(one.requests, other.requests),
    status: {
      s1xx: how(a.s1xx, b.s1xx),
      s2xx: how(a.s2xx, b.s2xx),
      s3xx: how(a.s3xx, b.s3xx),
      s4xx: how(a.s4xx, b.s4xx),
      s5xx: how(a.s5xx, b.s5xx),
    },
    latency: Array.from({ length: buckets }, (_, at) => how(one.latency[at] ?? 0, other.latency[at] ?? 0)),
  };
}

const parts = ({ requests, status, latency }: ReleaseCounters): readonly number[] => [
  requests,
  ...Object.values(status),
  ...latency,
];
