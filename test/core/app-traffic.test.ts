// core/app: traffic split by hand, of releases that run and of such that do not; and what rolls on top of a split.
import { describe, expect, it } from "vitest";
import { as, value, type BenchApp } from "./bench-object.ts";
import { command, newest, pass, release, serving, up, upAndAnswer, viewOf, weights } from "./app-rolling.ts";

const MINUTE = 60_000;
type Wanted = Record<`v${number}`, number>;
const trySplit = (app: BenchApp, wanted: Wanted) => {
  const list = Object.entries(wanted).map(([version, weight]) => ({ version: Number(version.slice(1)), weight }));
  return app.take({ kind: "setTraffic", input: { ...as(null), weights: list } });
};
const split = (app: BenchApp, wanted: Wanted) => value(trySplit(app, wanted));
/** v2 serves with ten replicas; v1 served before, and its instances have gone. */
const twice = (replicas = 10): BenchApp => {
  const app = serving(replicas);
  release(app);
  upAndAnswer(app, 2);
  pass(app, 2 * MINUTE);
  return app;
};

describe("a split", () => {
  it("changes all weights at once, when everything that is to serve is there and has answered", () => {
    const app = twice();
    expect(split(app, { v1: 25, v2: 75 }).rollout).toMatchObject({ reason: "traffic", toVersion: 2 });
    up(app, 1);
    expect([app.of(1).length, app.of(2).length]).toEqual([3, 10]);
    expect(weights(app)).toEqual({ v1: 0, v2: 100 });
    app.answerVerify();
    expect(weights(app)).toEqual({ v1: 25, v2: 75 });
    expect(app.phase()).toBe("completed");
    pass(app, 60 * MINUTE);
    expect(weights(app)).toEqual({ v1: 25, v2: 75 });
    const read = value(app.take({ kind: "read", input: {} }));
    expect(read).toMatchObject({ replicas: 10, currentRelease: { version: 2 } });
    expect(read.weights).toEqual([
      { version: 2, weight: 75, ready: 10 },
      { version: 1, weight: 25, ready: 3 },
    ]);
  });

  it("keeps the instances of what runs already, whoever leads", () => {
    const app = twice(4);
    split(app, { v1: 25, v2: 75 });
    upAndAnswer(app, 1);
    const [one, two] = [app.of(1), app.of(2)];
    split(app, { v1: 75, v2: 25 });
    upAndAnswer(app, 1);
    expect(weights(app)).toEqual({ v1: 75, v2: 25 });
    expect(app.of(1).slice(0, 1)).toEqual(one);
    expect(app.of(1).length).toBe(4);
    expect(two).toContain(app.of(2)[0]);
    expect(value(app.take({ kind: "read", input: {} })).currentRelease?.version).toBe(1);
  });

  it("that is as it is already changes nothing", () => {
    const app = twice(2);
    expect(split(app, { v2: 100 }).rollout).toBeNull();
    split(app, { v1: 50, v2: 50 });
    upAndAnswer(app, 1);
    expect(split(app, { v2: 50, v1: 50 }).rollout).toBeNull();
  });

  it("calls back what still drains", () => {
    const app = serving(3);
    const old = app.of(1);
    release(app);
    upAndAnswer(app, 2);
    split(app, { v1: 60, v2: 40 });
    app.answerVerify();
    expect(app.of(1)).toEqual(old);
    expect(weights(app)).toEqual({ v1: 60, v2: 40 });
  });

  it.each([
    ["weights that do not sum", { v1: 10, v2: 80 }, "unprocessable"],
    ["a release that never was", { v2: 90, v9: 10 }, "not_found"],
    ["a weight of nothing", { v1: 0, v2: 100 }, "unprocessable"],
  ] as [string, Wanted, string][])("refuses %s, and nothing changes", (_name, wanted, code) => {
    const app = twice(2);
    const before = JSON.stringify([...app.tables.app, ...app.tables.rollouts]);
    expect(trySplit(app, wanted)).toMatchObject({ failure: { code } });
    expect(JSON.stringify([...app.tables.app, ...app.tables.rollouts])).toBe(before);
  });

  it("refuses a version twice, a singleton, and an app that nothing serves", () => {
    const app = twice(2);
    const weightsOf = [
      { version: 2, weight: 50 },
      { version: 2, weight: 50 },
    ];
    expect(app.take({ kind: "setTraffic", input: { ...as(null), weights: weightsOf } })).toMatchObject({
      failure: { code: "unprocessable" },
    });
    const alone = serving(1);
    release(alone, {}, { placement: { singleton: "available" } });
    expect(trySplit(alone, { v1: 50, v2: 50 })).toMatchObject({ failure: { errors: [{ rule: "singleton" }] } });
    value(app.take({ kind: "scale", input: { ...as(null), replicas: 0 } }));
    pass(app, 5 * MINUTE);
    expect(trySplit(app, { v1: 50, v2: 50 })).toMatchObject({ failure: { code: "unprocessable" } });
  });

  it("serves on with what is ready of it when all instances of one release are gone", () => {
    const app = twice(2);
    split(app, { v1: 50, v2: 50 });
    upAndAnswer(app, 1);
    const failure = { code: "exited" as const, message: "x", exitCode: 1, signal: null, logTail: [] };
    app.observe(app.of(1), { kind: "failed", failure });
    expect(weights(app)).toEqual({ v2: 100 });
    pass(app, 2_000);
    up(app, 1);
    expect(weights(app)).toEqual({ v1: 50, v2: 50 });
  });

  it("is left in proportion by what is rolled out next, and comes back when that fails", () => {
    const app = twice(4);
    split(app, { v1: 20, v2: 80 });
    upAndAnswer(app, 1);
    release(app, { strategy: { kind: "canary", steps: [{ weight: 50 }] }, analysis: null });
    upAndAnswer(app, 3);
    expect(weights(app)).toEqual({ v1: 10, v2: 40, v3: 50 });
    command(app, "abort");
    expect(weights(app)).toEqual({ v1: 20, v2: 80 });
    expect(app.of(1).length).toBe(1);
  });

  it("whose one side has nobody ready leaves its share to the other, and no more than its step to a canary", () => {
    const app = twice(4);
    split(app, { v1: 50, v2: 50 });
    upAndAnswer(app, 1);
    release(app, { strategy: { kind: "canary", steps: [{ weight: 10 }] }, analysis: null });
    upAndAnswer(app, 3);
    expect(weights(app)).toEqual({ v1: 45, v2: 45, v3: 10 });
    const failure = { code: "exited" as const, message: "x", exitCode: 1, signal: null, logTail: [] };
    app.observe(app.of(1), { kind: "failed", failure });
    expect(weights(app)).toEqual({ v2: 90, v3: 10 });
  });

  it("is scaled in proportion, restarted whole, and ended by a rollback to one version", () => {
    const app = twice(4);
    split(app, { v1: 50, v2: 50 });
    upAndAnswer(app, 1);
    value(app.take({ kind: "scale", input: { ...as(null), replicas: 6 } }));
    upAndAnswer(app, 1);
    up(app, 2);
    app.answerVerify();
    expect([app.phase(), app.of(1).length, app.of(2).length]).toEqual(["completed", 3, 6]);
    const before = [...app.of(1), ...app.of(2)];
    value(app.take({ kind: "restart", input: as(null) }));
    up(app, 1);
    upAndAnswer(app, 2);
    expect(app.phase()).toBe("completed");
    expect(weights(app)).toEqual({ v1: 50, v2: 50 });
    pass(app, 5 * MINUTE);
    expect([...app.of(1), ...app.of(2)].some((id) => before.includes(id))).toBe(false);
    value(app.take({ kind: "rollback", input: { ...as(null), version: 2 } }));
    app.answerVerify();
    expect([app.phase(), weights(app)]).toEqual(["completed", { v2: 100 }]);
  });
});

describe("a weight set by hand in a canary rollout", () => {
  const canary = (): BenchApp => {
    const app = serving(10);
    release(app, {
      strategy: { kind: "canary", steps: [{ weight: 10, durationMs: MINUTE }, { weight: 30 }, { weight: 60 }] },
      analysis: null,
    });
    upAndAnswer(app, 2);
    return app;
  };

  it("holds it there, in proportion, until it is resumed or promoted", () => {
    const app = canary();
    const held = split(app, { v1: 55, v2: 45 });
    expect(held.rollout).toMatchObject({ id: newest(app).id, paused: { reason: "45 % set by hand" } });
    expect(weights(app)).toEqual({ v1: 90, v2: 10 });
    upAndAnswer(app, 2);
    expect([app.of(2).length, weights(app)]).toEqual([5, { v1: 55, v2: 45 }]);
    pass(app, 10 * MINUTE);
    expect(viewOf(app)).toMatchObject({ phase: "holding", step: { index: 1, weight: 45, untilMs: null } });
    command(app, "promote");
    upAndAnswer(app, 2);
    expect(weights(app)).toEqual({ v1: 40, v2: 60 });
  });

  it("gives way to the plan's when resumed", () => {
    const app = canary();
    split(app, { v1: 99, v2: 1 });
    expect(weights(app)).toEqual({ v1: 99, v2: 1 });
    command(app, "resume");
    expect(weights(app)).toEqual({ v1: 90, v2: 10 });
    pass(app, MINUTE);
    upAndAnswer(app, 2);
    expect(weights(app)).toEqual({ v1: 70, v2: 30 });
  });
});
