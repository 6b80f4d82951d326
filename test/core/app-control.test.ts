// core/app: pause, resume, promote, abort and cancel, at any moment, from any phase; and who may not say them any more.
import { describe, expect, it } from "vitest";
import { idFor, type BenchApp } from "./bench-object.ts";
import type { RolloutId } from "../../contracts/ids.ts";
import { isActive } from "../../core/rollout/types.ts";
import { ROLLOUT_COMMANDS } from "../../contracts/rollout-plan.ts";
import {
  command,
  newest,
  phasesOf,
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

const MINUTE = 60_000;
const migrate = { command: ["migrate"], timeoutMs: MINUTE };
const CANARY: PlanInput = {
  strategy: { kind: "canary", steps: [{ weight: 20, durationMs: MINUTE }, { weight: 50 }] },
  analysis: null,
};

/** An app of three replicas, brought into each active phase of a rollout. */
const PHASES: [string, () => BenchApp][] = [
  ["preparing", () => begun({ ...CANARY, before: migrate })],
  ["rolling", () => begun(CANARY)],
  ["verifying", () => begun(CANARY, (app) => up(app, 2))],
  ["holding", () => begun(CANARY, (app) => upAndAnswer(app, 2))],
  [
    "holding",
    () =>
      begun({ strategy: { kind: "blue_green" }, analysis: null }, (app) => {
        upAndAnswer(app, 2);
      }),
  ],
  ["finishing", () => begun({ strategy: { kind: "immediate" }, after: migrate }, (app) => upAndAnswer(app, 2))],
  ["rolling", () => begun({ strategy: { kind: "rolling", maxSurge: 1 } }, (app) => up(app, 2))],
];
function begun(plan: PlanInput, then: (app: BenchApp) => void = () => {}): BenchApp {
  const app = serving(3);
  release(app, plan);
  then(app);
  return app;
}

describe("a command", () => {
  it.each(PHASES)("ends a rollout that is %s, and the weights of before come back at once", (phase, make) => {
    for (const [word, final] of [
      ["abort", "aborted"],
      ["cancel", "cancelled"],
    ] as const) {
      const app = make();
      expect(app.phase()).toBe(phase);
      const ended = command(app, word, { reason: "wrong button" });
      expect(ended).toMatchObject({ phase: final, abortReason: word === "abort" ? "wrong button" : null });
      expect(weights(app)).toEqual({ v1: 100 });
      expect(command(app, word)).toMatchObject({ id: ended.id, phase: final });
      expect(app.tables.app.get("app")).toMatchObject({ rollout: null, current: { version: 1 } });
      app.grantAll();
      expect(phasesOf(app, app.of(1))).toEqual(["running", "running", "running"]);
      pass(app, 2 * MINUTE);
      expect([app.of(2), app.of(1).length]).toEqual([[], 3]);
    }
  });

  it.each(PHASES)("pauses a rollout that is %s, which then ends by its deadline", (phase, make) => {
    const app = make();
    const before = weights(app);
    command(app, "pause");
    command(app, "pause");
    pass(app, MINUTE);
    expect(viewOf(app)).toMatchObject({ phase, paused: { by: "user:lab" } });
    expect(weights(app)).toEqual(before);
    app.nowMs = newest(app).deadlineAtMs;
    app.tick();
    expect(isActive(newest(app).phase)).toBe(false);
    expect(weights(app)).toEqual({ v1: 100 });
  });

  it("stands the time of a hold still while paused", () => {
    const app = begun(CANARY, (it) => upAndAnswer(it, 2));
    pass(app, MINUTE / 2);
    command(app, "pause");
    pass(app, 5 * MINUTE);
    expect(weights(app)).toEqual({ v1: 80, v2: 20 });
    command(app, "resume");
    pass(app, MINUTE / 2 - 1);
    expect(viewOf(app).step?.index).toBe(1);
    pass(app, 1);
    expect(viewOf(app).step?.index).toBe(2);
  });

  it("lets nothing new in while paused, however ready it is", () => {
    const app = begun(CANARY);
    command(app, "pause");
    upAndAnswer(app, 2);
    expect(weights(app)).toEqual({ v1: 100, v2: 0 });
    command(app, "resume");
    expect(weights(app)).toEqual({ v1: 80, v2: 20 });
  });

  it("promotes one step at a time, and a pause with it", () => {
    const app = begun(CANARY, (it) => upAndAnswer(it, 2));
    command(app, "pause");
    expect(command(app, "promote").paused).toBeNull();
    upAndAnswer(app, 2);
    expect(weights(app)).toEqual({ v1: 50, v2: 50 });
    command(app, "promote");
    upAndAnswer(app, 2);
    expect(app.phase()).toBe("completed");
  });

  it("is refused once the rollout has ended, unless it is what ended it", () => {
    const app = begun(CANARY, (it) => upAndAnswer(it, 2));
    command(app, "abort");
    for (const word of ROLLOUT_COMMANDS) {
      if (word === "abort") continue;
      expect(tryCommand(app, word)).toMatchObject({ failure: { code: "rollout_not_active" } });
    }
    const done = begun({}, (it) => upAndAnswer(it, 2));
    expect(done.phase()).toBe("completed");
    expect(tryCommand(done, "promote")).toMatchObject({
      failure: { code: "rollout_not_active", message: expect.stringContaining("completed") },
    });
    expect(tryCommand(done, "abort", { rollout: idFor<RolloutId>("roll", 77) })).toMatchObject({
      failure: { code: "not_found" },
    });
  });

  it("with If-Match is taken by one of two who saw the same state", () => {
    const app = begun(CANARY, (it) => upAndAnswer(it, 2));
    const { revision } = viewOf(app);
    expect(tryCommand(app, "pause", { ifRevision: revision }).ok).toBe(true);
    expect(tryCommand(app, "promote", { ifRevision: revision })).toMatchObject({
      failure: { code: "precondition_failed" },
    });
    expect(viewOf(app)).toMatchObject({ paused: {}, step: { index: 1 } });
    expect(tryCommand(app, "promote", { ifRevision: viewOf(app).revision }).ok).toBe(true);
  });

  it("moves the revision with every phase and command, and with nothing else", () => {
    const app = begun(CANARY, (it) => it.grantAll());
    const seen = [viewOf(app).revision];
    const note = (): number => seen.push(viewOf(app).revision);
    app.tick(1_000);
    expect(viewOf(app).revision).toBe(seen[0]);
    up(app, 2);
    note();
    app.answerVerify();
    note();
    command(app, "pause");
    note();
    command(app, "abort");
    note();
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
  });
});
