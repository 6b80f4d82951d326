// core/analysis/counters: what came between two readings of cumulative counters, and quantiles of histograms.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ReleaseCounters } from "../../../contracts/analysis.ts";
import { increments, NOTHING_COUNTED, quantileMs, sum } from "../../../core/analysis/counters.ts";
import { announced, SEED } from "../seed.ts";
import { counted } from "./counts.ts";

const count = fc.nat({ max: 1_000_000 });
const counters: fc.Arbitrary<ReleaseCounters> = fc.record({
  requests: count,
  status: fc.record({ s1xx: count, s2xx: count, s3xx: count, s4xx: count, s5xx: count }),
  latency: fc.array(count, { minLength: 14, maxLength: 14 }),
});

describe("increments", () => {
  test(announced("are what was added"), () => {
    fc.assert(
      fc.property(counters, counters, (before, added) => {
        expect(increments(before, sum(before, added))).toEqual(added);
      }),
      { seed: SEED },
    );
  });

  test("are all of the new counters when the counting began again from 0", () => {
    expect(increments(counted(100, 3), counted(7, 1))).toEqual(counted(7, 1));
  });

  test("notice a restart by any counter that fell, even when there are more requests than before", () => {
    expect(increments(counted(10, 10), counted(12, 0))).toEqual(counted(12, 0));
    expect(increments(counted(10, 0, 1_000), counted(12, 0, 25))).toEqual(counted(12, 0, 25));
  });

  test("are nothing when nothing came, and never negative", () => {
    expect(increments(counted(5, 1), counted(5, 1)).requests).toBe(0);
    fc.assert(
      fc.property(counters, counters, (before, after) => {
        const { requests, status, latency } = increments(before, after);
        for (const part of [requests, ...Object.values(status), ...latency]) expect(part).toBeGreaterThanOrEqual(0);
      }),
      { seed: SEED },
    );
  });

  test("begin with a gateway that does not count latencies yet and go on with one that does", () => {
    const before = { ...counted(5), latency: [] };
    expect(increments(before, sum(before, counted(3))).latency).toEqual(counted(3).latency);
  });
});

describe("quantiles", () => {
  test.each([
    ["nothing", NOTHING_COUNTED.latency, null],
    ["one bucket", counted(10, 0, 50).latency, 37.5],
    ["beyond the last bound", counted(10, 0, 20_000).latency, 10_000],
  ])("of %s", (_, latency, expected) => {
    expect(quantileMs(latency, 0.5)).toBe(expected);
  });
});
