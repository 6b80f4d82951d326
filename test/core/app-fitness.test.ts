// core/app: which releases may be brought back by name: none whose command before did not end well, and none that a check refused, unless somebody insists.
import { describe, expect, it } from "vitest";
import type { InstanceId } from "../../contracts/ids.ts";
import { BenchApp, as, value } from "./bench-object.ts";
import {
  command,
  newest,
  pass,
  release,
  serving,
  up,
  upAndAnswer,
  viewOf,
  weights,
  type PlanInput,
} from "./app-rolling.ts";

const MINUTE = 60_000;
const MIGRATE = { command: ["./migrate"], timeoutMs: MINUTE };
const SMOKE: PlanInput = { smoke: { path: "/health" } };
const jobsOf = (app: BenchApp): InstanceId[] =>
  [...app.tables.instances.values()].filter(({ job, phase }) => job && phase.kind !== "ended").map(({ id }) => id);
const rollback = (app: BenchApp, version: number, force?: boolean) =>
  app.take({ kind: "rollback", input: { ...as(null), version, ...(force ? { force } : {}) } });
const split = (app: BenchApp, wanted: Record<number, number>, force?: boolean) => {
  const weightsOf = Object.entries(wanted).map(([version, weight]) => ({ version: Number(version), weight }));
  return app.take({ kind: "setTraffic", input: { ...as(null), weights: weightsOf, ...(force ? { force } : {}) } });
};
const endJob = (app: BenchApp, exitCode: number): void => {
  app.grantAll();
  app.observe(jobsOf(app), { kind: "stopped", exitCode });
  app.grantAll();
};
const failSmoke = (app: BenchApp): void => {
  for (const { rollout, instances } of app.drain("verify")) {
    const results = instances.map((instance) => {
      const { generation } = app.tables.instances.get(instance)!;
      return { instance, generation, ok: false, message: "/health answered 500, not 200 to 399", smoke: true };
    });
    app.take({ kind: "verified", input: { rollout, results } });
  }
};
const refusedBySmoke = (): BenchApp => {
  const app = serving(2);
  release(app, SMOKE);
  up(app, 2);
  for (let tries = 0; app.phase() !== "failed" && tries < 30; tries += 1) {
    failSmoke(app);
    pass(app, 1_000);
  }
  expect(viewOf(app)).toMatchObject({ phase: "failed", failure: { kind: "smoke" } });
  return app;
};

describe("a release whose command before failed", () => {
  const failed = (): BenchApp => {
    const app = serving(2);
    release(app, { before: MIGRATE });
    endJob(app, 3);
    return app;
  };

  it.each([false, true])(
    "is refused by rollback and traffic, also by force (%s), saying why and what to do",
    (force) => {
      const app = failed();
      const why = {
        code: "unprocessable",
        message: expect.stringMatching(/v2 .*command before .*failed.*exit code 3.*Deploy it anew/),
      };
      expect(rollback(app, 2, force)).toMatchObject({
        failure: { ...why, errors: [{ pointer: "/version", rule: "prepared" }] },
      });
      expect(split(app, { 1: 90, 2: 10 }, force)).toMatchObject({
        failure: { ...why, errors: [{ pointer: "/weights/1/version" }] },
      });
      expect(weights(app)).toEqual({ v1: 100 });
    },
  );

  it("says so when it was never run to its end, and while it runs", () => {
    const app = serving(2);
    release(app, { before: MIGRATE });
    expect(rollback(app, 2)).toMatchObject({ failure: { message: expect.stringContaining("still running") } });
    command(app, "cancel");
    expect(rollback(app, 2)).toMatchObject({ failure: { message: expect.stringContaining("never ended") } });
  });

  it("may be brought back where the command ended well, whatever came after it", () => {
    const app = serving(2);
    release(app, { before: MIGRATE });
    endJob(app, 0);
    command(app, "cancel");
    expect(rollback(app, 2).ok).toBe(true);
    upAndAnswer(app, 2);
    expect(weights(app)).toEqual({ v2: 100 });
  });
});

describe("scale to zero", () => {
  it("leaves a release that is prepared while nothing runs free to be scaled up", () => {
    const app = serving(2);
    value(app.take({ kind: "scale", input: { ...as(null), replicas: 0 } }));
    release(app, { before: MIGRATE });
    endJob(app, 0);
    expect(app.phase()).toBe("completed");
    expect([...app.tables.releases.values()].at(-1)).toMatchObject({ completed: true, prepared: true });
  });

  it("is refused while the command before the first release runs, and brings nothing into service without it", () => {
    const app = new BenchApp({}, { replicas: 2 });
    release(app, { before: MIGRATE });
    const scaled = app.take({ kind: "scale", input: { ...as(null), replicas: 0 } });
    expect(scaled).toMatchObject({
      failure: { code: "unprocessable", message: expect.stringContaining("still running") },
    });
    endJob(app, 0);
    upAndAnswer(app, 1);
    expect(weights(app)).toEqual({ v1: 100 });
    expect(app.take({ kind: "scale", input: { ...as(null), replicas: 0 } }).ok).toBe(true);
  });
});

describe("a release that its smoke check refused", () => {
  it("is refused by rollback and traffic until somebody insists; in service, nothing is held against it", () => {
    const app = refusedBySmoke();
    const why = { code: "unprocessable", message: expect.stringMatching(/smoke check .*answered 500.*--force/) };
    expect(rollback(app, 2)).toMatchObject({ failure: { ...why, errors: [{ rule: "rejected" }] } });
    expect(split(app, { 1: 50, 2: 50 })).toMatchObject({ failure: why });
    expect(rollback(app, 2, true).ok).toBe(true);
    upAndAnswer(app, 2);
    expect(weights(app)).toEqual({ v2: 100 });
    value(rollback(app, 1));
    upAndAnswer(app, 1);
    expect(rollback(app, 2).ok).toBe(true);
  });

  it("is split in by force without being asked for its smoke check again", () => {
    const app = refusedBySmoke();
    value(split(app, { 1: 50, 2: 50 }, true));
    up(app, 2);
    const { id } = newest(app);
    const asked = app.effects.filter((effect) => effect.kind === "verify" && effect.rollout === id);
    expect(asked).toMatchObject([{ path: "/" }, { path: "/" }]);
    expect(asked.some((effect) => "smoke" in effect)).toBe(false);
    app.answerVerify();
    expect(weights(app)).toEqual({ v1: 50, v2: 50 });
  });
});

describe("a split by hand", () => {
  it("asks each release by its own readiness path, and by the smoke check it came with", () => {
    const app = new BenchApp();
    const probes = (path: string) => ({ probes: { readiness: { kind: "http", path } } });
    app.deploy(probes("/ready-1"), 2);
    release(app, { smoke: { path: "/smoke-2" } }, probes("/ready-2"));
    upAndAnswer(app, 2);
    pass(app, 5 * MINUTE);
    value(split(app, { 1: 50, 2: 50 }));
    up(app, 1);
    const asked = app.effects.filter((effect) => effect.kind === "verify");
    expect(new Set(asked.map(({ path, smoke }) => `${path} ${smoke?.path}`))).toEqual(
      new Set(["/ready-1 undefined", "/smoke-2 /smoke-2"]),
    );
    for (const { instances, path } of asked) {
      const versions = new Set(instances.map((id) => app.tables.instances.get(id)!.version));
      expect([...versions]).toEqual([path === "/ready-1" ? 1 : 2]);
    }
    app.answerVerify();
    expect(weights(app)).toEqual({ v1: 50, v2: 50 });
  });

  it("fails where a release does not pass the smoke check it came with, and everything stays", () => {
    const app = serving(2);
    release(app, SMOKE);
    upAndAnswer(app, 2);
    value(rollback(app, 1));
    upAndAnswer(app, 1);
    pass(app, 5 * MINUTE);
    value(split(app, { 1: 50, 2: 50 }));
    up(app, 2);
    for (let tries = 0; app.phase() !== "failed" && tries < 30; tries += 1) {
      failSmoke(app);
      pass(app, 1_000);
    }
    expect(viewOf(app)).toMatchObject({ phase: "failed", failure: { kind: "smoke" } });
    expect(weights(app)).toEqual({ v1: 100 });
  });

  it("during a manual blue-green is refused, and says what to do; naming its two versions is an answer to it", () => {
    const app = serving(2);
    release(app);
    upAndAnswer(app, 2);
    release(app, { strategy: { kind: "blue_green", promote: "manual" }, analysis: null });
    upAndAnswer(app, 3);
    const { id } = newest(app);
    const why = expect.stringMatching(
      /v3 is being rolled out \(blue-green, holding\): promote, abort or cancel .*between v2 and v3/,
    );
    const others: Record<number, number>[] = [{ 1: 50, 2: 50 }, { 3: 100 }, { 2: 100 }, { 1: 20, 2: 40, 3: 40 }];
    for (const wanted of others) {
      expect(split(app, wanted)).toMatchObject({ failure: { code: "conflict", message: why } });
    }
    expect([newest(app).id, app.phase()]).toEqual([id, "holding"]);
    expect(split(app, { 2: 60, 3: 40 })).toMatchObject({ ok: true, value: { rollout: { reason: "traffic" } } });
    upAndAnswer(app, 3);
    expect(weights(app)).toEqual({ v2: 60, v3: 40 });
  });

  it("during a canary that is about other versions is refused, too; a scale or a split under way is no reason", () => {
    const app = serving(2);
    release(app);
    upAndAnswer(app, 2);
    release(app, { strategy: { kind: "canary", steps: [{ weight: 30 }] }, analysis: null });
    upAndAnswer(app, 3);
    expect(split(app, { 1: 50, 2: 50 })).toMatchObject({ failure: { code: "conflict" } });
    command(app, "abort");
    value(split(app, { 1: 50, 2: 50 }));
    value(split(app, { 1: 40, 2: 60 }));
    upAndAnswer(app, 1);
    expect(weights(app)).toEqual({ v1: 40, v2: 60 });
  });
});
