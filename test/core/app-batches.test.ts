// core/app: rolling in batches. maxSurge, maxUnavailable and the pause between, whatever the order in which instances come up.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { as, spec, value, type BenchApp } from "./bench-object.ts";
import {
  command,
  newest,
  pass,
  planOf,
  release,
  serving,
  up,
  upAndAnswer,
  viewOf,
  weights,
  type PlanInput,
} from "./app-rolling.ts";
import { roomOf } from "../../core/rollout/stages.ts";
import { SEED, announced } from "./seed.ts";

const rolling = (more: {
  maxSurge?: number | string;
  maxUnavailable?: number | string;
  pauseMs?: number;
}): PlanInput => ({
  strategy: { kind: "rolling", ...more },
});
const running = (app: BenchApp): number =>
  [...app.tables.instances.values()].filter(({ phase }) => ["placing", "committing", "running"].includes(phase.kind))
    .length;
const ready = (app: BenchApp): number => value(app.take({ kind: "read", input: {} })).readyInstances;

describe("a rolling rollout", () => {
  it("starts no more than the surge, and lets one of the old go for each that is ready", () => {
    const app = serving(4);
    release(app, rolling({ maxSurge: 1 }));
    const shares: Record<string, number>[] = [];
    for (let round = 0; round < 10 && app.phase() !== "completed"; round += 1) {
      upAndAnswer(app, 2);
      expect(running(app)).toBeLessThanOrEqual(5);
      expect(ready(app)).toBeGreaterThanOrEqual(4);
      shares.push(weights(app));
    }
    expect(shares.slice(0, 3)).toEqual([
      { v1: 75, v2: 25 },
      { v1: 50, v2: 50 },
      { v1: 25, v2: 75 },
    ]);
    expect([app.phase(), weights(app)]).toEqual(["completed", { v2: 100 }]);
    expect(newest(app)).toMatchObject({ shed: 3, shedByPlan: 3 });
  });

  it("without a surge gives up what may be missing, and never more", () => {
    const app = serving(4);
    release(app, rolling({ maxSurge: 0, maxUnavailable: "50%" }));
    app.grantAll();
    expect([ready(app), running(app)]).toEqual([2, 4]);
    upAndAnswer(app, 2);
    expect([ready(app), running(app)]).toEqual([2, 4]);
    upAndAnswer(app, 2);
    expect(app.phase()).toBe("completed");
  });

  it("pauses after each batch but the last, and promote ends a pause", () => {
    const app = serving(3);
    release(app, rolling({ maxSurge: 1, pauseMs: 30_000 }));
    up(app, 2);
    expect(app.of(2).length).toBe(1);
    expect(viewOf(app).waitingFor).toBe("the pause between two batches");
    pass(app, 29_999);
    expect(app.of(2).length).toBe(1);
    pass(app, 1);
    up(app, 2);
    expect(app.of(2).length).toBe(2);
    command(app, "promote");
    upAndAnswer(app, 2);
    expect(app.phase()).toBe("completed");
  });

  it("has time for each of its batches, and gets more with more of them, unless the customer said how long", () => {
    const app = serving(2);
    const { deadlineMs, batchMs } = app.limits;
    const given = (): number => newest(app).deadlineAtMs - newest(app).startedAtMs;
    release(app, rolling({ maxSurge: 1 }));
    expect(given()).toBe(deadlineMs + batchMs);
    value(app.take({ kind: "scale", input: { ...as(null), replicas: 20 } }));
    expect(given()).toBe(deadlineMs + 19 * batchMs);
    value(app.take({ kind: "scale", input: { ...as(null), replicas: 2 } }));
    expect(given()).toBe(deadlineMs + 19 * batchMs);
    value(app.take({ kind: "scale", input: { ...as(null), replicas: 30 } }));
    expect(given()).toBe(deadlineMs + 29 * batchMs);
    const plan = planOf(rolling({ maxSurge: 1 }));
    const input = { ...as(null), spec: spec(), privateImage: false, plan, deadlineMs: 50_000 };
    value(app.take({ kind: "acceptRelease", input }));
    value(app.take({ kind: "scale", input: { ...as(null), replicas: 20 } }));
    expect(given()).toBe(50_000);
  });

  it("is paused between two batches without their pause going on", () => {
    const app = serving(3);
    release(app, rolling({ maxSurge: 1, pauseMs: 30_000 }));
    up(app, 2);
    pass(app, 10_000);
    command(app, "pause");
    pass(app, 60_000);
    command(app, "resume");
    pass(app, 19_999);
    expect(app.of(2).length).toBe(1);
    pass(app, 1);
    expect(app.of(2).length).toBe(2);
  });

  it("starts no further batch while it is paused, and completes only when it is resumed", () => {
    const app = serving(3);
    release(app, rolling({ maxSurge: 1 }));
    app.grantAll();
    expect(command(app, "pause", { reason: "lunch" })).toMatchObject({ paused: { by: "user:lab", reason: "lunch" } });
    up(app, 2);
    expect(app.of(2).length).toBe(1);
    expect(viewOf(app).waitingFor).toContain("paused by user:lab (lunch)");
    command(app, "resume");
    upAndAnswer(app, 2);
    up(app, 2);
    command(app, "pause");
    app.answerVerify();
    expect(app.phase()).toBe("verifying");
    command(app, "resume");
    expect(app.phase()).toBe("completed");
  });

  it("fails at its deadline though it is paused, and what was given up comes back", () => {
    const app = serving(3);
    release(app, rolling({ maxSurge: 0, maxUnavailable: 1 }));
    up(app, 2);
    command(app, "pause");
    pass(app, newest(app).deadlineAtMs - app.nowMs);
    expect(viewOf(app)).toMatchObject({ phase: "failed", failure: { kind: "deadline" } });
    up(app, 1);
    expect([ready(app), weights(app)]).toEqual([3, { v1: 100 }]);
  });

  it("scaled while the last of it answer waits for the others too", () => {
    const app = serving(1);
    release(app, rolling({ maxSurge: 1, pauseMs: 1_000 }));
    up(app, 2);
    expect(app.phase()).toBe("verifying");
    value(app.take({ kind: "scale", input: { ...as(null), replicas: 3 } }));
    app.answerVerify();
    expect(app.phase()).toBe("rolling");
    for (let round = 0; round < 8 && app.phase() !== "completed"; round += 1) {
      up(app, 1);
      upAndAnswer(app, 2);
      pass(app, 1_000);
    }
    expect([app.phase(), app.of(2).length]).toEqual(["completed", 3]);
  });

  it("scaled down gives up no more of the old than the smaller size allows", () => {
    const app = serving(5);
    release(app, rolling({ maxSurge: 1, maxUnavailable: "25%" }));
    expect([ready(app), newest(app).shed]).toEqual([4, 1]);
    value(app.take({ kind: "scale", input: { ...as(null), replicas: 3 } }));
    app.grantAll();
    expect(ready(app)).toBeGreaterThanOrEqual(3);
  });

  it("scaled down counts for nothing what has not passed the smoke check", () => {
    const app = serving(4);
    value(app.take({ kind: "scale", input: { ...as(null), replicas: 6 } }));
    release(app, { ...rolling({ maxSurge: 2 }), smoke: { path: "/health" } });
    up(app, 2);
    expect(weights(app)).toEqual({ v1: 100 });
    value(app.take({ kind: "scale", input: { ...as(null), replicas: 4 } }));
    app.grantAll();
    const { state } = app.tables.route.get("route")!.route;
    expect(state.kind === "serving" && state.releases[0]!.endpoints.length).toBe(4);
  });

  it.each([
    ["25%", "25%", 4, { surge: 1, unavailable: 1 }],
    ["25%", "25%", 3, { surge: 1, unavailable: 0 }],
    [0, "25%", 3, { surge: 0, unavailable: 1 }],
    ["100%", 0, 7, { surge: 7, unavailable: 0 }],
    [2, 1, 1, { surge: 2, unavailable: 1 }],
  ] as const)("takes surge %s and unavailable %s of %i", (maxSurge, maxUnavailable, replicas, room) => {
    expect(roomOf({ maxSurge, maxUnavailable }, replicas)).toEqual(room);
  });
});

describe(announced("any batches"), () => {
  it("keep within surge and what may be missing at every moment, and end", () => {
    const amount = fc.oneof(fc.integer({ min: 0, max: 4 }), fc.constantFrom("0%", "25%", "50%", "100%"));
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 6 }),
        amount,
        amount,
        fc.infiniteStream(fc.nat(5)),
        (replicas, maxSurge, maxUnavailable, picks) => {
          const isNone = (value: number | string): boolean => value === 0 || value === "0%";
          fc.pre(!isNone(maxSurge) || !isNone(maxUnavailable));
          const app = serving(replicas);
          const { surge, unavailable } = roomOf({ maxSurge, maxUnavailable } as never, replicas);
          release(app, rolling({ maxSurge, maxUnavailable }));
          for (let round = 0; round < 60 && app.phase() !== "completed"; round += 1) {
            app.grantAll();
            const waiting = app.of(2).filter((id) => app.tables.instances.get(id)!.observed === null);
            const pick = waiting[picks.next().value! % Math.max(1, waiting.length)];
            if (pick) app.observe([pick], { kind: "ready" });
            else app.answerVerify();
            expect(running(app)).toBeLessThanOrEqual(replicas + surge);
            expect(ready(app)).toBeGreaterThanOrEqual(replicas - unavailable);
            weights(app);
          }
          expect(app.phase()).toBe("completed");
        },
      ),
      { seed: SEED, numRuns: 60 },
    );
  });
});
