// [rollout] and [http] in berth.toml, and the shares of `berth traffic`: what a person writes is what the API takes.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readBerthToml } from "../../cli/berth-toml.ts";
import { releaseSpecOf } from "../../cli/release-input.ts";
import { bar, stepText, verdictLines, weightLines } from "../../cli/rollout-picture.ts";
import { planOf } from "../../cli/rollout-toml.ts";
import { Rollout } from "../../contracts/api.ts";
import { CANARY_STEPS, RolloutPlan } from "../../contracts/rollout-plan.ts";
import { runBerth } from "./run-berth.ts";

let cwd = "";
beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), "berth-toml-"));
});
afterEach(() => rmSync(cwd, { recursive: true, force: true }));

function toml(text: string) {
  writeFileSync(join(cwd, "berth.toml"), `app = "web"\n${text}`);
  return readBerthToml(cwd);
}
const plan = (text: string, flag?: string) => planOf(toml(text)?.rollout ?? {}, flag);

describe("[rollout] of berth.toml", () => {
  it("becomes the plan, every key of it", () => {
    const text = `[rollout]
strategy = "canary"
steps = [{ weight = 10, for = "30s" }, { weight = 50 }]
smoke = { path = "/ready", status_max = 204 }
before = { command = ["migrate"], timeout = "1m" }
after = { command = ["warm", "up"] }
[rollout.analysis]
false_alarm_rate = 0.05
min_requests = 200
no_traffic = "pass"
errors = { ratio = 1.5 }
client_errors = false
latency = { slower_percent = 50, warm_up = "5s" }
max_error_rate = 0.02
max_error_rate_alone = false
max_p99 = "2s"
`;
    expect(plan(text)).toEqual({
      strategy: { kind: "canary", steps: [{ weight: 10, durationMs: 30_000 }, { weight: 50 }] },
      smoke: { path: "/ready", statusMin: 200, statusMax: 204 },
      before: { command: ["migrate"], timeoutMs: 60_000 },
      after: { command: ["warm", "up"], timeoutMs: 300_000 },
      analysis: {
        falseAlarmRate: 0.05,
        minRequests: 200,
        noTraffic: "pass",
        errors: { ratio: 1.5, share: 0.001 },
        clientErrors: null,
        latency: { slowerPercent: 50, share: 0.01, floorMs: 25, warmUpMs: 5_000 },
        maxErrorRate: 0.02,
        maxErrorRateAlone: null,
        maxP95Ms: null,
        maxP99Ms: 2_000,
      },
    });
  });

  it("left out is the careful default; without file and flag nothing is said", () => {
    expect(plan("")).toEqual(RolloutPlan.parse({}));
    expect(planOf(undefined, undefined)).toBeUndefined();
    expect(plan("[rollout]\nanalysis = false\n")?.analysis).toBeNull();
  });

  it("a flag picks another strategy, whose settings are not the file's", () => {
    const text = `[rollout]\nstrategy = "rolling"\nmax_surge = 2\nmax_unavailable = "50%"\n`;
    expect(plan(text)?.strategy).toEqual({ kind: "rolling", maxSurge: 2, maxUnavailable: "50%", pauseMs: 0 });
    expect(plan(text, "canary")?.strategy).toEqual({ kind: "canary", steps: CANARY_STEPS });
    expect(plan(text, "blue-green")?.strategy).toMatchObject({ kind: "blue_green", promote: "automatic" });
  });

  it.each([
    ["weights that go backwards", `strategy = "canary"\nsteps = [{ weight = 50 }, { weight = 10 }]`, "must rise"],
    ["nothing that may be replaced", `max_surge = 0\nmax_unavailable = 0`, "cannot both be 0"],
    ["a key of another strategy", `strategy = "canary"\nmax_surge = 1`, "belongs to the strategy rolling"],
    ["no step at all", `strategy = "canary"\nsteps = []`, "rollout.steps: must have at least 1 entry"],
    [
      "a time that is too long",
      `strategy = "canary"\nsteps = [{ weight = 5, for = "169h" }]`,
      "steps.0.for: must be at most 168 h",
    ],
    [
      "a deadline before its own steps are over",
      `strategy = "canary"\nsteps = [{ weight = 5, for = "30m" }]\ndeadline = "10m"`,
      "rollout.deadline is 10 min, but its steps alone take 30 min",
    ],
    ["an unknown strategy", `strategy = "canari"`, '"canary" or "immediate"'],
    ["half a percent", `strategy = "canary"\nsteps = [{ weight = 5.5 }]`, "must be a whole number"],
    ["a command in one text", `before = { command = "migrate" }`, "rollout.before.command: must be a list"],
    [
      "a threshold in percent",
      `analysis = { max_error_rate = 5 }`,
      "rollout.analysis.max_error_rate: must be less than 1",
    ],
    ["statuses the wrong way round", `smoke = { path = "/", status_min = 500, status_max = 200 }`, "status_min"],
    [
      "surge and missing both none, by the file's names",
      `max_surge = 0\nmax_unavailable = 0`,
      "max_surge and max_unavailable",
    ],
    ["a probe path with spaces", `smoke = { path = "/a b" }`, "no spaces"],
    [
      "a step of 100 %",
      `strategy = "canary"\nsteps = [{ weight = 100 }]`,
      "rollout.steps.0.weight: must be at most 99",
    ],
  ])("%s: refused, with the reason", (_what, text, said) => {
    expect(() => plan(`[rollout]\n${text}\n`)).toThrow(said);
  });

  it("a mistyped key is answered with the one that was meant", () => {
    expect(() => toml(`[rollout]\nmax_serge = 1\n`)).toThrow("did you mean max_surge?");
  });
});

describe("[http] of berth.toml", () => {
  it("becomes the release's policy", () => {
    const file = toml(
      `[http]\nfirst_byte_timeout = "10s"\nmax_body = "5MB"\nsticky = { by = "cookie", ttl = "1h" }\npreview = "open"\n`,
    );
    expect(releaseSpecOf(file, { kind: "image", reference: "shop/web:1" }, null).http).toEqual({
      connectTimeoutMs: 3_000,
      firstByteTimeoutMs: 10_000,
      idleTimeoutMs: 3_600_000,
      bodyBytesMax: 5 * 1024 * 1024,
      sticky: { kind: "cookie", ttlMs: 3_600_000 },
      preview: "open",
    });
  });
});

describe("faults of [http]", () => {
  it.each([
    ["an unknown way to stick", `sticky = { by = "ip" }`, 'must be { by = "cookie" } or'],
    ["previews for some", `preview = "team"`, 'http.preview: must be "open" or "signed"'],
    ["a header without its name", `sticky = { by = "header" }`, "http.sticky.name: is missing"],
    ["a size without a unit", `max_body = "lots"`, 'http.max_body: must be a number and a unit, such as "256MB"'],
    ["no time at all", `first_byte_timeout = "0s"`, "http.first_byte_timeout: must be at least 0.1 s"],
  ])("%s: named as in the file", (_what, text, said) => {
    const read = () => releaseSpecOf(toml(`[http]\n${text}\n`), { kind: "image", reference: "shop/web:1" }, null);
    expect(read).toThrow(said);
  });
});

describe("berth traffic", () => {
  it.each([
    ["shares that do not make 100", ["v7=10", "v6=80"], "they make 90"],
    ["a version named twice", ["v7=50", "v7=50"], "names a version twice"],
    ["what is no share", ["v7:10"], "write v7=10"],
  ])("%s: refused before anything is asked", async (_what, shares, said) => {
    const ran = await runBerth(["traffic", ...shares, "--app", "web"], { cwd });
    expect(ran.exitCode).toBe(2);
    expect(ran.stderr).toContain(said);
  });
});

describe("a rollout drawn", () => {
  const side = { clientErrors: 0, p50Ms: 10, p95Ms: 40, p99Ms: 90 };
  const numbers = {
    next: { ...side, requests: 200, errors: 10 },
    current: { ...side, requests: 1_800, errors: 2 },
    stepRequests: 200,
    checks: [{ check: "errors" as const, chance: 1e-6 }],
  };
  const base = {
    ...{ id: "roll_01h00000000000000000000001", app: "app_01h00000000000000000000001", reason: "release" },
    ...{ strategy: "canary", phase: "holding", fromVersion: 6, toVersion: 7, replicas: 1, ready: 1, verified: 1 },
    ...{ failure: null, waitingFor: null, startedAtMs: 0, deadlineAtMs: 60_000, endedAtMs: null, startedBy: "ada" },
    step: { index: 1, of: 3, weight: 10, sinceMs: 0, untilMs: 30_000 },
    weights: [
      { version: 7, weight: 10 },
      { version: 6, weight: 90 },
    ],
    analysis: {
      kind: "fail",
      check: "errors",
      reason: "5 % of its answers are errors, 0.1 % before; by chance alone: at most 1 in 1,000,000",
      numbers,
      atMs: 1,
    },
  };
  const rollout = Rollout.parse(base);

  it("shows the step, both weights in proportion, and the numbers that decided", () => {
    expect(stepText(rollout, 10_000)).toBe("step 1 of 3, 10 % of the traffic for another 20 s");
    const [coming, old] = weightLines(rollout).map((line) => line.replace(/[^█]/g, "").length);
    expect([coming, old]).toEqual([3, 27]);
    const text = verdictLines(rollout).join("\n");
    for (const said of ["worse", "5 % of its answers", "v7 200, v6 1,800", "5.0 %", "0.11 %", "1 in 1,000,000"])
      expect(text.split(said), said).toHaveLength(2);
  });

  it("says the chance of a false alarm once, in the same words where the judge's reason gives it and where it does not", () => {
    const said = "by chance alone: at most 1 in 1,000,000";
    for (const kind of ["fail", "undecided", "pass"] as const) {
      for (const reason of ["5 % of its answers are errors", `5 % of its answers are errors; ${said}`]) {
        const analysis = { ...base.analysis, kind, reason };
        const text = verdictLines(Rollout.parse({ ...base, analysis })).join("\n");
        expect(text.split(said), `${kind}: ${reason}`).toHaveLength(2);
      }
    }
  });

  it("a bar is as long as its share, and something is never nothing", () => {
    expect([bar(0, 10), bar(10, 10, 4), bar(5, 10, 4), bar(0.001, 10, 4)]).toEqual(["", "████", "██", "▏"]);
  });
});
