// contracts/analysis: what customers may ask of the judge, and the careful defaults.
import { describe, expect, test } from "vitest";
import { AnalysisConfig, AnalysisVerdict, LATENCY_BUCKETS_MS } from "../../../contracts/analysis.ts";
import { LATENCY_BUCKETS_MS as OF_GATEWAYS } from "../../../node-agent/endpoint-file.ts";
import { counted, pair, times, watch } from "./counts.ts";

describe("the configuration of an analysis", () => {
  test("of nothing is that of a careful engineer: 1 % false alarms, hold without traffic, errors and latency compared", () => {
    expect(AnalysisConfig.parse({})).toMatchObject({
      falseAlarmRate: 0.01,
      minRequests: 50,
      noTraffic: "hold",
      errors: { ratio: 1.1, share: 0.001 },
      latency: { slowerPercent: 25 },
      maxErrorRate: null,
    });
  });

  test("keeps the defaults of what a check leaves out", () => {
    expect(AnalysisConfig.parse({ latency: { slowerPercent: 50 } }).latency).toMatchObject({
      slowerPercent: 50,
      share: 0.01,
      floorMs: 25,
    });
    expect(AnalysisConfig.parse({ errors: { share: 0.02 } }).errors).toEqual({ ratio: 1.1, share: 0.02 });
    expect(AnalysisConfig.parse({ errors: null }).errors).toBeNull();
  });

  test.each([
    ["an unknown field", { maxErrors: 3 }],
    ["an unknown field of a check", { errors: { tolerance: 1 } }],
    ["a false-alarm rate of 0", { falseAlarmRate: 0 }],
    ["a false-alarm rate of a half", { falseAlarmRate: 0.5 }],
    ["an error rate in percent", { maxErrorRate: 5 }],
    ["an error rate of 0, which no data can confirm", { maxErrorRate: 0 }],
    ["a ratio below 1", { errors: { ratio: 0.5 } }],
    ["a p95 beyond the gateway's histogram", { maxP95Ms: 60_000 }],
    ["a p95 of nothing", { maxP95Ms: 0 }],
    ["NaN", { falseAlarmRate: Number.NaN }],
    ["another rule for no traffic", { noTraffic: "fail" }],
    ["no requests at all", { minRequests: 0 }],
  ])("refuses %s", (_, input) => {
    expect(AnalysisConfig.safeParse(input).success).toBe(false);
  });

  test("goes by the same buckets as the gateway counts in", () => {
    expect(OF_GATEWAYS).toEqual(LATENCY_BUCKETS_MS);
  });
});

test.each([
  ["fail", pair(counted(20, 10), counted(180)), 30],
  ["pass", pair(counted(20), counted(180)), 30],
  ["no_traffic", pair(counted(1), counted(9)), 3],
  ["undecided", pair(counted(8, 8), counted(70)), 3],
] as const)("a verdict %s survives its schema and JSON", (kind, each, beats) => {
  const { verdict } = watch(times(beats, () => each));
  expect(verdict.kind).toBe(kind);
  expect(AnalysisVerdict.parse(JSON.parse(JSON.stringify(verdict)))).toEqual(verdict);
});
