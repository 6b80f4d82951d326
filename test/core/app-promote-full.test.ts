// core/app: promote with full: all that is left of a plan at once, but no instance unasked and no command skipped.
import { describe, expect, it } from "vitest";
import { as, type BenchApp } from "./bench-object.ts";
import {
  newest,
  pass,
  release,
  serving,
  tryCommand,
  up,
  upAndAnswer,
  viewOf,
  weights,
  type PlanInput,
} from "./app-rolling.ts";

const full = (app: BenchApp) =>
  app.take({ kind: "controlRollout", input: { ...as(null), rollout: newest(app).id, command: "promote", full: true } });
const CANARY: PlanInput = { strategy: { kind: "canary", steps: [{ weight: 10 }, { weight: 50 }] }, analysis: null };
const begun = (plan: PlanInput): BenchApp => {
  const app = serving(10);
  release(app, plan);
  return app;
};

describe("promote with full", () => {
  it("of a canary brings the rest, asks each of them, and then gives it everything", () => {
    const app = begun(CANARY);
    upAndAnswer(app, 2);
    expect(full(app).ok).toBe(true);
    expect(weights(app)).toEqual({ v1: 90, v2: 10 });
    up(app, 2);
    expect([app.phase(), weights(app), app.of(2).length]).toEqual(["verifying", { v1: 90, v2: 10 }, 10]);
    app.answerVerify();
    expect([app.phase(), weights(app)]).toEqual(["completed", { v2: 100 }]);
  });

  it("is taken before the first step stands, and in a pause", () => {
    const app = begun(CANARY);
    tryCommand(app, "pause");
    expect(full(app)).toMatchObject({ ok: true, value: { paused: null } });
    upAndAnswer(app, 2);
    expect([app.phase(), weights(app)]).toEqual(["completed", { v2: 100 }]);
  });

  it("skips neither the command after nor what fails on the way", () => {
    const app = begun({ ...CANARY, after: { command: ["tell"] } });
    upAndAnswer(app, 2);
    full(app);
    upAndAnswer(app, 2);
    expect([app.phase(), weights(app)]).toEqual(["finishing", { v1: 0, v2: 100 }]);
    const bad = begun(CANARY);
    upAndAnswer(bad, 2);
    full(bad);
    up(bad, 2);
    bad.answerVerify(false);
    pass(bad, bad.limits.verifyPatienceMs + 1);
    expect(viewOf(bad)).toMatchObject({ phase: "failed", failure: { kind: "verification" } });
    expect(weights(bad)).toEqual({ v1: 100 });
  });

  it("of a green that waits is the switch without its trial; blue stays warm", () => {
    const app = begun({ strategy: { kind: "blue_green", promote: "manual" }, analysis: null });
    upAndAnswer(app, 2);
    expect(weights(app)).toEqual({ v1: 100, v2: 0 });
    full(app);
    expect([app.phase(), weights(app)]).toEqual(["completed", { v1: 0, v2: 100 }]);
    expect(app.tables.app.get("app")!.warm).toMatchObject({ target: { version: 1 } });
  });

  it("of batches with pauses leaves the pauses out", () => {
    const app = begun({ strategy: { kind: "rolling", maxSurge: 5, pauseMs: 3_600_000 } });
    full(app);
    for (let batch = 0; batch < 3; batch += 1) upAndAnswer(app, 2);
    expect([app.phase(), weights(app)]).toEqual(["completed", { v2: 100 }]);
  });

  it("is refused while the command before runs, where nothing is held, and with another word", () => {
    const preparing = begun({ ...CANARY, before: { command: ["migrate"] } });
    expect(full(preparing)).toMatchObject({
      failure: { code: "conflict", message: expect.stringContaining("before") },
    });
    const plain = begun({ strategy: { kind: "immediate" } });
    expect(full(plain)).toMatchObject({ failure: { code: "conflict" } });
    const input = { ...as(null), rollout: newest(plain).id, command: "abort" as const, full: true };
    expect(plain.take({ kind: "controlRollout", input })).toMatchObject({ failure: { code: "invalid_request" } });
  });

  it("said twice is taken twice", () => {
    const app = begun(CANARY);
    upAndAnswer(app, 2);
    full(app);
    expect(full(app)).toMatchObject({ ok: true });
    upAndAnswer(app, 2);
    expect(full(app)).toMatchObject({ failure: { code: "rollout_not_active" } });
  });
});
