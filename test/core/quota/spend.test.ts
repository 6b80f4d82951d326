// Quotas as a rule: what fits, what is refused and in which words.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { QUOTAS } from "../../../contracts/quota.ts";
import { limitsOf, PLAN_NAMES, PLANS } from "../../../core/quota/plans.ts";
import { spend } from "../../../core/quota/spend.ts";
import { announced, SEED } from "../seed.ts";

const starter = { name: "starter", limits: limitsOf("starter") };

describe("a spending", () => {
  it.each([
    ["the last of what the plan allows", { apps: 9 }, { apps: 1 }, "allowed"],
    ["one more than the plan allows", { apps: 10 }, { apps: 1 }, "apps"],
    ["nothing, by a team that has too much already", { apps: 50, instances: 90 }, { apps: 0, instances: 0 }, "allowed"],
    ["less, by a team that has too much already", { instances: 90 }, { instances: -5 }, "allowed"],
    ["two things of which one is too much", { apps: 1, memoryBytes: 0 }, { apps: 1, memoryBytes: 1e15 }, "memoryBytes"],
  ])("of %s is judged so", (_what, used, asked, expected) => {
    const spending = spend(starter, used, asked);
    expect(spending.kind === "refused" ? spending.refusal.quota : spending.kind).toBe(expected);
  });

  it("is refused with the plan, what is used, what was asked for, the limit, and what to do", () => {
    const memory = spend(starter, { memoryBytes: 15.5 * 1024 ** 3 }, { memoryBytes: 768 * 1024 ** 2 });
    expect(memory).toMatchObject({
      message:
        'The team\'s plan "starter" allows 16 GiB of memory: 15.5 GiB used, 768 MiB more asked for. ' +
        "Scale an app down, or release it with smaller resources, or ask the operator of this installation for more.",
      refusal: { quota: "memoryBytes", plan: "starter", limit: 16 * 1024 ** 3 },
    });
    const cores = spend(starter, { cpuMilli: 8_000 }, { cpuMilli: 250 });
    expect(cores).toMatchObject({ message: expect.stringContaining("8 cores of CPU: 8 cores used, 0.25 cores more") });
  });

  it("is told to wait for the next day where that brings releases, and not where none are allowed", () => {
    const release = (limit: number) => {
      const spending = spend({ name: "p", limits: limitsOf("starter", { releasesPerDay: limit }) }, { releasesPerDay: limit }, { releasesPerDay: 1 }); // prettier-ignore
      return spending.kind === "refused" ? spending.message : expect.fail("allowed");
    };
    expect(release(1)).toMatch(/allows 1 release a day: .* Wait until the day ends/);
    expect(release(0)).toMatch(
      /allows 0 releases a day: .* asked for\. Ask the operator of this installation for more\.$/,
    );
  });

  it(announced("never lets a team beyond a limit, and never refuses what stays within all of them"), () => {
    const amount = fc.integer({ min: 0, max: 50 });
    const amounts = fc.record(Object.fromEntries(QUOTAS.map((quota) => [quota, amount])));
    const limits = fc.record(Object.fromEntries(QUOTAS.map((quota) => [quota, fc.option(amount)])));
    fc.assert(
      fc.property(limits, amounts, amounts, (limit, used, asked) => {
        const over = QUOTAS.filter((quota) => {
          const most = limit[quota] ?? null;
          return asked[quota]! > 0 && most !== null && used[quota]! + asked[quota]! > most;
        });
        const spending = spend({ name: "p", limits: limit as never }, used, asked);
        expect(spending.kind === "refused" ? [spending.refusal.quota] : []).toEqual(over.slice(0, 1));
      }),
      { seed: SEED },
    );
  });
});

describe("plans", () => {
  it("grow from one to the next, and name every quota", () => {
    for (const [smaller, larger] of [
      ["starter", "team"],
      ["team", "scale"],
    ] as const) {
      for (const quota of QUOTAS) expect(PLANS[larger].limits[quota]).toBeGreaterThan(PLANS[smaller].limits[quota]);
    }
    for (const name of PLAN_NAMES) expect(Object.keys(limitsOf(name)).sort()).toEqual([...QUOTAS].sort());
  });

  it("are replaced quota by quota where the operator says so, also by no limit at all", () => {
    expect(limitsOf("starter", { apps: 3, domains: null })).toEqual({
      ...PLANS.starter.limits,
      apps: 3,
      domains: null,
    });
  });
});
