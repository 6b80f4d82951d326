// core/app: canaries. Steps of weight and time, judged or held until promoted; the old whole until the end.
import { describe, expect, it } from "vitest";
import { BenchApp, as, value } from "./bench-object.ts";
import { command, newest, pass, phasesOf, release, serving, up, upAndAnswer, viewOf, weights } from "./app-rolling.ts";

const MINUTE = 60_000;
const canary = (steps: { weight: number; durationMs?: number }[]) => ({
  strategy: { kind: "canary" as const, steps },
  analysis: null,
});

describe("a canary", () => {
  it("gives each step its instances first, then its weight once they answered, and keeps the old whole until 100", () => {
    const app = serving(10);
    const old = app.of(1);
    release(
      app,
      canary([
        { weight: 5, durationMs: MINUTE },
        { weight: 25, durationMs: MINUTE },
      ]),
    );
    up(app, 2);
    expect(app.of(2).length).toBe(1);
    expect(weights(app)).toEqual({ v1: 100, v2: 0 });
    app.answerVerify();
    expect(weights(app)).toEqual({ v1: 95, v2: 5 });
    expect(viewOf(app)).toMatchObject({ phase: "holding", strategy: "canary", step: { index: 1, of: 3, weight: 5 } });
    pass(app, MINUTE - 1);
    expect(viewOf(app).step?.index).toBe(1);
    pass(app, 1);
    upAndAnswer(app, 2);
    expect(app.of(2).length).toBe(3);
    expect(weights(app)).toEqual({ v1: 75, v2: 25 });
    expect(phasesOf(app, old)).toEqual(Array(10).fill("running"));
    pass(app, MINUTE);
    expect(weights(app)).toEqual({ v1: 75, v2: 25 });
    up(app, 2);
    expect(app.of(2).length).toBe(10);
    expect(weights(app)).toEqual({ v1: 75, v2: 25 });
    app.answerVerify();
    expect(app.phase()).toBe("completed");
    expect(weights(app)).toEqual({ v2: 100 });
    expect(phasesOf(app, old)).toEqual(Array(10).fill("draining"));
  });

  it("of an app with one replica runs one beside one", () => {
    const app = serving(1);
    release(app, canary([{ weight: 10 }]));
    upAndAnswer(app, 2);
    expect([app.of(1).length, app.of(2).length]).toEqual([1, 1]);
    expect(weights(app)).toEqual({ v1: 90, v2: 10 });
    command(app, "promote");
    app.answerVerify();
    expect(app.phase()).toBe("completed");
    expect(weights(app)).toEqual({ v2: 100 });
  });

  it("of a first release has nothing to compare with, and is rolled at once", () => {
    const app = new BenchApp({}, { replicas: 2 });
    release(app, canary([{ weight: 5 }]));
    upAndAnswer(app, 1);
    expect(app.phase()).toBe("completed");
    expect(viewOf(app).step).toBeNull();
    expect(weights(app)).toEqual({ v1: 100 });
  });

  it("goes back to before at once when an instance of it fails for good, and says why", () => {
    const app = serving(4);
    release(app, canary([{ weight: 50 }]));
    upAndAnswer(app, 2);
    expect(weights(app)).toEqual({ v1: 50, v2: 50 });
    const failure = { code: "exited" as const, message: "exit 1", exitCode: 1, signal: null, logTail: ["boom"] };
    app.observe(app.of(2).slice(0, 1), { kind: "failed", failure });
    expect(weights(app)).toEqual({ v1: 100 });
    expect(viewOf(app)).toMatchObject({ phase: "failed", failure: { kind: "instance", failure } });
  });

  it("gives up when none of it is ready any more, through no fault of a node", () => {
    const app = serving(2);
    release(app, canary([{ weight: 30 }]));
    upAndAnswer(app, 2);
    const failure = { code: "never_ready" as const, message: "503", exitCode: null, signal: null, logTail: [] };
    app.observe(app.of(2), { kind: "unready", failure });
    expect(weights(app)).toEqual({ v1: 100 });
    pass(app, app.limits.fallPatienceMs);
    expect(viewOf(app)).toMatchObject({ phase: "failed", failure: { kind: "died" } });
    expect(weights(app)).toEqual({ v1: 100 });
  });

  it("that lost its node gets another instance, and its step begins anew", () => {
    const app = serving(2);
    release(app, canary([{ weight: 30, durationMs: MINUTE }]));
    upAndAnswer(app, 2);
    const [first] = app.of(2);
    pass(app, MINUTE / 2);
    const { node } = app.tables.instances.get(first!)!.placement!;
    app.tell({ kind: "node_gone", node, instances: [first!] });
    expect(weights(app)).toEqual({ v1: 100 });
    expect(app.phase()).toBe("rolling");
    upAndAnswer(app, 2);
    expect(weights(app)).toEqual({ v1: 70, v2: 30 });
    pass(app, MINUTE - 1);
    expect(viewOf(app)).toMatchObject({ phase: "holding", step: { index: 1 } });
  });

  it("ends by its deadline, a day after the last hold at the latest, with everything as before", () => {
    const app = serving(2, { promoteWithinMs: 300_000, deadlineMs: 60_000 });
    release(app, canary([{ weight: 30 }]));
    upAndAnswer(app, 2);
    const { deadlineAtMs, startedAtMs } = newest(app);
    expect(deadlineAtMs - startedAtMs).toBe(app.limits.deadlineMs + app.limits.batchMs + app.limits.promoteWithinMs);
    pass(app, deadlineAtMs - app.nowMs);
    expect(viewOf(app)).toMatchObject({
      phase: "failed",
      failure: { kind: "deadline", waitingFor: expect.stringContaining("promote it") },
    });
    expect(weights(app)).toEqual({ v1: 100 });
  });

  it("survives a restart of the object between a change of weight and its publication", () => {
    const app = serving(2);
    release(app, canary([{ weight: 30 }]));
    upAndAnswer(app, 2);
    const { route, publishedVersion } = app.tables.route.get("route")!;
    expect(publishedVersion).toBeLessThan(route.version);
    app.restart();
    app.tick();
    const [written] = app.drain("publish_route");
    expect(written?.route).toEqual(route);
    expect(weights(app)).toEqual({ v1: 70, v2: 30 });
    expect(viewOf(app)).toMatchObject({ phase: "holding", step: { weight: 30 } });
  });

  it("is scaled where it is: both sides grow, and it goes on with its step", () => {
    const app = serving(4);
    release(app, canary([{ weight: 25 }]));
    upAndAnswer(app, 2);
    const scaled = value(app.take({ kind: "scale", input: { ...as(null), replicas: 8 } }));
    expect(scaled.rollout).toMatchObject({ id: newest(app).id, replicas: 8, phase: "holding" });
    up(app, 1);
    up(app, 2);
    expect([app.of(1).length, app.of(2).length]).toEqual([8, 2]);
    expect(weights(app)).toEqual({ v1: 75, v2: 25 });
    command(app, "promote");
    upAndAnswer(app, 2);
    expect([app.phase(), app.of(2).length]).toEqual(["completed", 8]);
  });

  it("is not hurried by a restart", () => {
    const app = serving(2);
    release(app, canary([{ weight: 25 }]));
    upAndAnswer(app, 2);
    expect(app.take({ kind: "restart", input: as(null) })).toMatchObject({ failure: { code: "conflict" } });
    expect(weights(app)).toEqual({ v1: 75, v2: 25 });
  });

  it("gives way to a newer release, whose weights start from what served before", () => {
    const app = serving(2);
    release(app, canary([{ weight: 50 }]));
    upAndAnswer(app, 2);
    release(app, canary([{ weight: 10 }]));
    expect(weights(app)).toEqual({ v1: 100 });
    upAndAnswer(app, 3);
    expect(weights(app)).toEqual({ v1: 90, v3: 10 });
    expect(phasesOf(app, app.of(2))).toEqual(["draining"]);
  });
});
