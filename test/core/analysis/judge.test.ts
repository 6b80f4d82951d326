// core/analysis: the verdicts that a rollout gets for what its gateways counted.
import { describe, expect, test } from "vitest";
import { AnalysisConfig } from "../../../contracts/analysis.ts";
import { beginStep, judge } from "../../../core/analysis/judge.ts";
import { newJudge, NO_PAIR, type JudgeState } from "../../../core/analysis/state.ts";
import { BEAT_MS, chanceFrom, CONFIG, counted, hits, pair, times, watch } from "./counts.ts";

const good = pair(counted(20), counted(180));
const failing = pair(counted(20, 1), counted(180));
const alone = AnalysisConfig.parse({ errors: null, clientErrors: null, latency: null, maxErrorRateAlone: null });

describe("a release that is worse", () => {
  test("fails for its errors, and the reason gives both releases' numbers", () => {
    const { verdict } = watch(times(60, () => failing));
    expect(verdict).toMatchObject({ kind: "fail", check: "errors" });
    expect(verdict.reason).toMatch(
      /^5 % \(\d+ of \d+\) of the new release's requests failed, 0 % \(0 of [\d,]+\) of the current one's over the same time; by chance alone: at most 1 in [\d,]+$/,
    );
    expect(verdict.numbers.next.errors / verdict.numbers.next.requests).toBeCloseTo(0.05, 6);
    expect(verdict.numbers.next.requests).toBeLessThan(300);
  });

  test("fails for answers 4xx that the current release does not give", () => {
    const refusing = pair(counted(20, 0, 50, 20), counted(180, 0, 50, 9));
    expect(watch(times(60, () => refusing)).verdict).toMatchObject({ kind: "fail", check: "clientErrors" });
  });

  test("fails for its latency once it has warmed up, with both p95", () => {
    const slow = pair(counted(20, 0, 250), counted(180, 0, 100));
    const { verdict, beats } = watch(times(60, () => slow));
    expect(verdict).toMatchObject({ kind: "fail", check: "latency" });
    expect(verdict.reason).toMatch(/took longer than 100 ms.*p95 about 243 ms against 98 ms/);
    expect(beats * BEAT_MS).toBeGreaterThan(20_000);
    const cold = [...times(9, () => slow), ...times(50, () => good)];
    expect(watch(cold).verdict.kind).toBe("pass");
  });

  test("stays failed, with the verdict of that moment, whatever comes later", () => {
    const { state, verdict } = watch(times(60, () => failing));
    const later = judge(state, pair(counted(1_000_000), counted(1_000_000)), 1e9, CONFIG);
    expect(later.verdict).toEqual(verdict);
    expect(later.state).toBe(state);
  });

  test("is found when it turns bad after an hour of good numbers, with fewer than 500 requests", () => {
    const hour = [...times(1_800, () => good), ...times(25, () => failing)];
    const { verdict, beats } = watch(hour);
    expect(verdict.kind).toBe("fail");
    expect((beats - 1_800) * 20).toBeLessThan(500);
  });

  test("is found in a later step, though the split changed", () => {
    let state = watch(times(30, () => good)).state;
    state = beginStep(state, 60_000, CONFIG);
    const half = pair(counted(100, 4), counted(100));
    let kind = "";
    for (let at = 62_000; at < 82_000 && kind !== "fail"; at += BEAT_MS) {
      const judgement = judge(state, half, at, CONFIG);
      ({ state } = judgement);
      ({ kind } = judgement.verdict);
    }
    expect(kind).toBe("fail");
  });

  test("that fails every request is not judged by fewer than minRequests, but does not pass either", () => {
    const { verdict } = watch(times(9, () => pair(counted(5, 5), counted(45))));
    expect(verdict.kind).toBe("undecided");
    expect(verdict.numbers.next.requests).toBe(45);
    expect(watch(times(11, () => pair(counted(5, 5), counted(45)))).verdict.kind).toBe("fail");
  });
});

describe("a release that is not worse", () => {
  test("passes when the step has had enough requests", () => {
    const { verdict } = watch(times(10, () => good));
    expect(verdict).toMatchObject({ kind: "pass", reason: "no regression in 200 requests of this step" });
  });

  test("passes when it is better, or as bad as the current one, even if all requests of both fail", () => {
    expect(watch(times(50, () => pair(counted(20), counted(180, 90)))).verdict.kind).toBe("pass");
    expect(watch(times(50, () => pair(counted(20, 20, 5_000), counted(180, 180, 5_000)))).verdict.kind).toBe("pass");
  });

  test("passes when it is worse by less than is tolerated", () => {
    const chance = chanceFrom(7);
    const nearly = times(3_000, () =>
      pair(counted(100, hits(100, 0.0105, chance)), counted(100, hits(100, 0.01, chance))),
    );
    expect(watch(nearly).verdict.kind).toBe("pass");
  });

  test("is not failed by an outage of both that its nodes report a heartbeat earlier than the current one's", () => {
    const out = { next: counted(20, 20), current: counted(180, 180) };
    const late = [
      ...times(20, () => good),
      pair(out.next, good.current),
      ...times(20, () => pair(out.next, out.current)),
      pair(good.next, out.current),
      ...times(30, () => good),
    ];
    const seen = late.map((_, index) => watch(late.slice(0, index + 1)).verdict.kind);
    expect(seen[20]).toBe("undecided");
    expect(seen).not.toContain("fail");
    expect(seen.at(-1)).toBe("pass");
  });

  test("is not failed by what its own interval alone would say, while the current one's rate drifts with the weights", () => {
    const drifting = times(200, (index) => {
      const share = (index % 40) / 80;
      const [n, m] = index % 2 === 0 ? [20, 180] : [150, 50];
      return pair(counted(n, Math.round(n * share)), counted(m, Math.round(m * share)));
    });
    expect(watch(drifting).verdict.kind).toBe("pass");
  });
});

describe("too little traffic", () => {
  test.each(["hold", "pass"] as const)("says no_traffic with the customer's rule %s", (noTraffic) => {
    const config = AnalysisConfig.parse({ noTraffic });
    expect(watch([NO_PAIR], config).verdict).toMatchObject({
      kind: "no_traffic",
      rule: noTraffic,
      reason: "the new release has had 0 of the 50 requests that a judgement needs",
    });
    expect(watch([pair(counted(49), counted(1_000))], config).verdict.kind).toBe("no_traffic");
    expect(watch([pair(counted(50), counted(1_000))], config).verdict.kind).toBe("pass");
  });

  test("of the current release says so until the new one was judged by itself", () => {
    const { verdict } = watch(times(4, () => pair(counted(20), counted(1))));
    expect(verdict.reason).toBe(
      "the current release has had 4 of the 50 requests that a judgement needs to compare with",
    );
    expect(watch(times(12, () => pair(counted(20), counted(0)))).verdict.kind).toBe("pass");
  });

  test("counts anew in each step", () => {
    const { state } = watch(times(10, () => good));
    const next = beginStep(state, 20_000, CONFIG);
    expect(judge(next, NO_PAIR, 21_000, CONFIG).verdict.kind).toBe("no_traffic");
    expect(judge(next, NO_PAIR, 21_000, CONFIG).verdict.numbers.next.requests).toBe(200);
  });

  test("on one side at a time is gathered until both releases can be compared", () => {
    const sparse = times(400, (index) =>
      index % 3 === 0 ? pair(counted(1, 1), counted(0)) : pair(counted(0), counted(1)),
    );
    expect(watch(sparse).verdict).toMatchObject({ kind: "fail", check: "errors" });
  });
});

describe("absolute thresholds", () => {
  test("do not fail a release for one error of two requests, nor of fifty", () => {
    const config = { ...alone, maxErrorRate: 0.01, minRequests: 1 };
    expect(watch([pair(counted(2, 1), counted(0))], config).verdict.kind).not.toBe("fail");
    const one = [pair(counted(50, 1), counted(450)), ...times(20, () => good)];
    expect(watch(one, config).verdict.kind).toBe("pass");
  });

  test("fail a release beyond the highest error rate, though the current one is no better", () => {
    const both = times(100, () => pair(counted(20, 2), counted(180, 18)));
    const { verdict } = watch(both, { ...alone, maxErrorRate: 0.02 });
    expect(verdict).toMatchObject({ kind: "fail", check: "maxErrorRate" });
    expect(verdict.reason).toMatch(/^10 % .*surely at least [2-9](\.\d)? %; allowed: 2 %/);
  });

  test.each([
    ["maxP95Ms", 200, 3],
    ["maxP99Ms", 240, 1],
  ] as const)("%s is judged at the histogram's next bound, by how many took longer", (check, thresholdMs, slowMax) => {
    const config = { ...alone, [check]: thresholdMs };
    const taking = (slow: number) => {
      const [fast, late] = [counted(100 - slow, 0, 250), counted(slow, 0, 500)];
      const latency = fast.latency.map((count, index) => count + late.latency[index]!);
      return times(60, () => pair({ ...counted(100), latency }, counted(0)));
    };
    expect(watch(taking(slowMax), config).verdict.kind).toBe("pass");
    const { verdict } = watch(taking(20), config);
    expect(verdict).toMatchObject({ kind: "fail", check });
    expect(verdict.reason).toContain("took longer than 250 ms");
  });

  test("guard a release that is alone, as after the switch of a blue-green rollout", () => {
    const { verdict, beats } = watch(times(60, () => pair(counted(50, 10), counted(0))));
    expect(verdict).toMatchObject({ kind: "fail", check: "maxErrorRateAlone" });
    expect(beats * BEAT_MS).toBeLessThanOrEqual(20_000);
    expect(watch(times(60, () => pair(counted(50, 1), counted(0)))).verdict.kind).toBe("pass");
  });
});

describe("the judge's memory", () => {
  test("survives JSON at any moment, and does not grow", () => {
    let [kept, told] = [newJudge(0), newJudge(0)];
    const parts: number[] = [];
    for (let beat = 1; beat <= 300; beat += 1) {
      const each = beat % 7 === 0 ? pair(counted(20, 1), counted(180, 9)) : good;
      const before: JudgeState = JSON.parse(JSON.stringify(told));
      kept = judge(kept, each, beat * BEAT_MS, CONFIG).state;
      told = judge(before, each, beat * BEAT_MS, CONFIG).state;
      expect(told).toEqual(kept);
      parts.push(JSON.stringify(told).split(",").length);
    }
    expect(Math.max(...parts.slice(20)) - Math.min(...parts.slice(20))).toBeLessThanOrEqual(1);
    expect(JSON.stringify(told).length).toBeLessThan(6_000);
  });

  test("gives the same verdict for the same counts", () => {
    const once = watch(times(30, () => failing));
    expect(watch(times(30, () => failing))).toEqual(once);
  });

  test("stays finite and decided under counts as large as integers go", () => {
    const most = Number.MAX_SAFE_INTEGER / 4;
    const { state, verdict } = watch(
      times(3, () => pair(counted(Math.floor(most), Math.floor(most)), counted(Math.floor(most)))),
    );
    expect(verdict.kind).toBe("fail");
    expect(JSON.stringify(state)).not.toContain("null,null");
    for (const { chance } of verdict.numbers.checks) expect(Number.isFinite(chance)).toBe(true);
    for (const wealth of Object.values(state.wealth)) expect(wealth.logs.every(Number.isFinite)).toBe(true);
  });

  test("with no check at all passes everything", () => {
    expect(
      watch(
        times(9, () => failing),
        alone,
      ).verdict,
    ).toMatchObject({ kind: "pass", reason: "no check is configured" });
  });
});
