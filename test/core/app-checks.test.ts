// core/app: what is checked before and after a release: its commands, the smoke check, and which plans an app cannot be rolled by.
import { describe, expect, it } from "vitest";
import type { ObservedStatus } from "../../contracts/agent-protocol.ts";
import { RolloutPlan, TrafficPut } from "../../contracts/rollout-plan.ts";
import type { InstanceId } from "../../contracts/ids.ts";
import { answerAll } from "./app-on-bench.ts";
import { BenchApp, as, spec, value } from "./bench-object.ts";
import { pass, planOf, release, serving, tryRelease, up, upAndAnswer, viewOf, weights } from "./app-rolling.ts";

const MINUTE = 60_000;
const MIGRATE = { command: ["./migrate", "--all"], timeoutMs: MINUTE };
const jobsOf = (app: BenchApp): InstanceId[] =>
  [...app.tables.instances.values()].filter(({ job, phase }) => job && phase.kind !== "ended").map(({ id }) => id);
const ended = (exitCode: number | null): ObservedStatus => ({ kind: "stopped", exitCode });

describe("the command before a release", () => {
  it("runs once, alone, with the release's image, before anything of it starts", () => {
    const app = serving(2);
    release(app, { before: MIGRATE }, { placement: { hostPorts: [8443] }, command: ["serve"] });
    expect(viewOf(app)).toMatchObject({ phase: "preparing", waitingFor: "the command before the release" });
    const commits = [...answerAll(app), ...answerAll(app)].filter(({ kind }) => kind === "commit");
    const [desired, ...others] = commits.flatMap((call) => (call.kind === "commit" ? call.request.instances : []));
    expect(others).toEqual([]);
    expect(desired).toMatchObject({
      command: ["./migrate", "--all"],
      job: { timeoutMs: MINUTE },
      version: 2,
      hostPorts: [],
      singleton: null,
    });
    expect(weights(app)).toEqual({ v1: 100 });
    const [job] = jobsOf(app) as [InstanceId];
    app.observe([job], { kind: "starting" });
    expect(app.phase()).toBe("preparing");
    app.observe([job], ended(0));
    expect(app.phase()).toBe("rolling");
    app.grantAll();
    expect(jobsOf(app)).toEqual([]);
    expect(app.of(2).length).toBe(2);
    upAndAnswer(app, 2);
    expect(app.phase()).toBe("completed");
  });

  it.each([
    ["ends otherwise than with 0", ended(3), { which: "before", exitCode: 3 }],
    ["is ended at its time-out", ended(null), { which: "before", exitCode: null }],
    [
      "fails with its last lines",
      {
        kind: "failed",
        failure: { code: "exited", message: "exit 1", exitCode: 1, signal: null, logTail: ["no table"] },
      },
      { exitCode: 1, logTail: ["no table"] },
    ],
  ] as [string, ObservedStatus, object][])(
    "that %s ends the rollout, and nothing of the release starts",
    (_n, status, failure) => {
      const app = serving(2);
      release(app, { before: MIGRATE });
      app.grantAll();
      app.observe(jobsOf(app), status);
      expect(viewOf(app)).toMatchObject({ phase: "failed", failure: { kind: "command", ...failure } });
      app.grantAll();
      expect([jobsOf(app), app.of(2), weights(app)]).toEqual([[], [], { v1: 100 }]);
    },
  );

  it("that says nothing is given up a little after its time-out", () => {
    const app = serving(1);
    release(app, { before: MIGRATE });
    app.grantAll();
    app.observe(jobsOf(app), { kind: "starting" });
    pass(app, MINUTE + app.limits.jobSlackMs - 1);
    expect(app.phase()).toBe("preparing");
    pass(app, 1);
    expect(viewOf(app)).toMatchObject({ phase: "failed", failure: { kind: "command", exitCode: null } });
  });

  it("is not run twice when its node is lost: nobody knows how far it got", () => {
    const app = serving(1);
    release(app, { before: MIGRATE });
    app.grantAll();
    const [job] = jobsOf(app) as [InstanceId];
    app.observe([job], { kind: "starting" });
    app.tell({ kind: "node_gone", node: app.tables.instances.get(job)!.placement!.node, instances: [job] });
    expect(viewOf(app)).toMatchObject({
      phase: "failed",
      failure: { kind: "command", message: expect.stringContaining("lost") },
    });
    app.grantAll();
    expect(jobsOf(app)).toEqual([]);
  });

  it("survives a restart of the object, and runs beside a singleton that serves on", () => {
    const app = new BenchApp();
    app.deploy({ placement: { singleton: "strict" } }, 1);
    release(app, { before: MIGRATE }, { placement: { singleton: "strict" } });
    app.restart();
    app.tick();
    app.grantAll();
    const [job] = jobsOf(app) as [InstanceId];
    expect(app.tables.instances.get(job)).toMatchObject({ phase: { kind: "running" } });
    expect(weights(app)).toEqual({ v1: 100 });
    app.observe([job], ended(0));
    expect(weights(app)).toEqual({});
    expect(app.tables.instances.get(app.of(1)[0] ?? ("" as InstanceId))).toBeUndefined();
  });

  it.each([
    ["a release beside another", () => serving(2)],
    ["a first release", () => new BenchApp()],
  ])("is not gone around by another size: %s waits for it as before", (_name, make) => {
    const app = make();
    release(app, { before: MIGRATE });
    app.grantAll();
    const scaled = value(app.take({ kind: "scale", input: { ...as(null), replicas: 3 } }));
    expect(scaled.rollout).toMatchObject({ reason: "release", phase: "preparing", replicas: 3 });
    expect(app.take({ kind: "restart", input: as(null) })).toMatchObject({ failure: { code: "conflict" } });
    const started = (): number =>
      app.of(app.tables.releases.size).filter((id) => !app.tables.instances.get(id)!.job).length;
    expect(started()).toBe(0);
    app.observe(jobsOf(app), ended(0));
    app.grantAll();
    expect(started()).toBe(3);
  });

  it("goes to nobody who has no room for it", () => {
    const app = serving(1);
    release(app, { before: MIGRATE });
    const constraints = [{ constraint: "memory" as const, nodesExcluded: 1, requested: 1, missing: 1 }];
    answerAll(app, { nodesTotal: 1, constraints });
    app.tick();
    pass(app, 0);
    for (let round = 0; round < 20 && app.phase() === "preparing"; round += 1) {
      answerAll(app, { nodesTotal: 1, constraints });
      app.tick(1_000);
    }
    expect(viewOf(app)).toMatchObject({ phase: "failed", failure: { kind: "no_capacity" } });
  });
});

describe("the command after a release", () => {
  const finishing = (): BenchApp => {
    const app = serving(2);
    release(app, { after: MIGRATE });
    upAndAnswer(app, 2);
    app.grantAll();
    return app;
  };

  it("runs once everything goes to the new one, which is in service for good when it is done", () => {
    const app = finishing();
    expect([app.phase(), weights(app)]).toEqual(["finishing", { v2: 100 }]);
    expect(app.of(1).length).toBe(2);
    app.observe(jobsOf(app), ended(0));
    expect(app.phase()).toBe("completed");
    app.grantAll();
    expect(jobsOf(app)).toEqual([]);
  });

  it("waits for those that a scale has meanwhile asked for, also where there were none", () => {
    const app = new BenchApp();
    const input = { ...as(null), spec: spec(), replicas: 0, privateImage: false, plan: planOf({ after: MIGRATE }) };
    value(app.take({ kind: "acceptRelease", input }));
    app.grantAll();
    expect(app.phase()).toBe("finishing");
    value(app.take({ kind: "scale", input: { ...as(null), replicas: 1 } }));
    app.observe(jobsOf(app), ended(0));
    expect(app.phase()).toBe("rolling");
    upAndAnswer(app, 1);
    expect([app.phase(), weights(app)]).toEqual(["completed", { v1: 100 }]);
  });

  it("that fails brings the old back", () => {
    const app = finishing();
    app.observe(jobsOf(app), ended(1));
    expect(viewOf(app)).toMatchObject({ phase: "failed", failure: { kind: "command", which: "after" } });
    expect(weights(app)).toEqual({ v1: 100 });
  });
});

describe("a smoke check", () => {
  const smoke = { path: "/health?deep=1" };
  /** Answers of one instance each. */
  const answer = (app: BenchApp, passes: (id: InstanceId) => boolean): void => {
    for (const { rollout, instances, smoke: asked } of app.drain("verify")) {
      expect(asked).toMatchObject({ path: "/health?deep=1", statusMin: 200, statusMax: 399 });
      const results = instances.map((instance) => {
        const { generation } = app.tables.instances.get(instance)!;
        const ok = passes(instance);
        return {
          instance,
          generation,
          ok,
          message: ok ? "" : "/health?deep=1 answered 500, not 200 to 399",
          smoke: !ok,
        };
      });
      app.take({ kind: "verified", input: { rollout, results } });
    }
  };

  it("lets nobody have traffic who has not passed it, however the rollout goes", () => {
    const app = serving(2);
    release(app, { smoke });
    up(app, 2);
    const [good] = app.of(2);
    expect(weights(app)).toEqual({ v1: 100 });
    answer(app, (id) => id === good);
    expect(weights(app)).toEqual({ v1: 50, v2: 50 });
    const { state } = app.tables.route.get("route")!.route;
    const named = state.kind === "serving" ? state.releases.find(({ version }) => version === 2)!.endpoints : [];
    expect(named.map(({ instance }) => instance)).toEqual([good]);
    pass(app, app.limits.verifyRetryMs);
    answer(app, () => true);
    expect([app.phase(), weights(app)]).toEqual(["completed", { v2: 100 }]);
  });

  it("asks by a route that names who the visitors' route does not", () => {
    const app = serving(1);
    release(app, { smoke });
    up(app, 2);
    const [asked] = app.drain("verify");
    const { state } = asked!.route;
    const named = state.kind === "serving" ? state.releases.flatMap(({ endpoints }) => endpoints) : [];
    expect(named.map(({ instance }) => instance)).toEqual(app.of(2));
  });

  it("that goes on failing ends the rollout within its patience, with what was answered", () => {
    const app = serving(2);
    release(app, { smoke });
    up(app, 2);
    const since = app.nowMs;
    for (let round = 0; round < 100 && app.phase() !== "failed"; round += 1) {
      answer(app, () => false);
      pass(app, app.limits.verifyRetryMs);
    }
    expect(app.nowMs - since).toBeLessThanOrEqual(app.limits.smokePatienceMs + app.limits.verifyRetryMs);
    expect(viewOf(app)).toMatchObject({ failure: { kind: "smoke", message: expect.stringContaining("500") } });
    expect(weights(app)).toEqual({ v1: 100 });
  });
});

describe("a plan", () => {
  it.each(["canary", "blue_green"] as const)("%s is refused for a singleton, and for what follows one", (kind) => {
    const app = serving(1);
    const alone = { placement: { singleton: "available" } };
    expect(tryRelease(app, { strategy: { kind } }, alone)).toMatchObject({
      failure: { code: "unprocessable", errors: [{ pointer: "/plan/strategy", rule: "singleton" }] },
    });
    release(app, {}, alone);
    upAndAnswer(app, 2);
    app.tell({ kind: "gone", instances: [...app.tables.instances.keys()] as InstanceId[] });
    app.grantAll();
    upAndAnswer(app, 2);
    expect(tryRelease(app, { strategy: { kind } })).toMatchObject({ failure: { code: "unprocessable" } });
  });

  it("is remembered for what comes without one, and gives way where it does not suit", () => {
    const app = serving(2);
    release(app, { strategy: { kind: "canary" }, analysis: null });
    upAndAnswer(app, 2);
    const changed = value(
      app.take({ kind: "changeEnvironment", input: { ...as(null), set: { A: "sealed" }, unset: [] } }),
    );
    expect(changed.rollout).toMatchObject({ reason: "environment", strategy: "canary" });
    expect(release(app).rollout).toMatchObject({ strategy: "canary" });
    value(app.take({ kind: "scale", input: { ...as(null), replicas: 1 } }));
    expect(release(app, undefined, { placement: { singleton: "available" } }).rollout).toMatchObject({
      strategy: "rolling",
    });
  });

  it.each([
    ["steps that go backwards", { strategy: { kind: "canary", steps: [{ weight: 20 }, { weight: 10 }] } }],
    ["a step of 100 %", { strategy: { kind: "canary", steps: [{ weight: 100 }] } }],
    ["no surge and nothing that may be missing", { strategy: { kind: "rolling", maxSurge: 0, maxUnavailable: "0%" } }],
    ["a smoke path with spaces", { smoke: { path: "/a b" } }],
    ["a strategy that is none", { strategy: { kind: "yolo" } }],
    ["a command without words", { before: { command: [] } }],
  ])("is refused with %s", (_name, plan) => {
    expect(RolloutPlan.safeParse(plan).success).toBe(false);
  });

  it("has careful defaults", () => {
    expect(planOf({})).toMatchObject({
      strategy: { kind: "rolling", maxSurge: "100%", maxUnavailable: 0, pauseMs: 0 },
    });
    expect(planOf({ strategy: { kind: "canary" } }).strategy).toMatchObject({
      steps: [{ weight: 5 }, { weight: 20 }, { weight: 50 }],
    });
    expect(TrafficPut.safeParse({ weights: [{ version: 1, weight: 90 }] }).success).toBe(false);
  });
});
