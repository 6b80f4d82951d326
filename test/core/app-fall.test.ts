// core/app: a release under way whose instances all die, in whatever phase: one is started again, several are not, and nobody waits for a deadline.
import { describe, expect, it } from "vitest";
import type { ObservedStatus } from "../../contracts/agent-protocol.ts";
import type { InstanceId } from "../../contracts/ids.ts";
import type { BenchApp } from "./bench-object.ts";
import { eventsOf } from "./app-on-bench.ts";
import { command, pass, release, serving, up, upAndAnswer, viewOf, weights, type PlanInput } from "./app-rolling.ts";

const MINUTE = 60_000;
const FAILURE = { code: "exited" as const, message: "exit 1", exitCode: 1, signal: null, logTail: [] };
const STEPS: PlanInput = {
  strategy: { kind: "canary", steps: [{ weight: 50 }, { weight: 75 }] },
  analysis: null,
};
const SMALL: PlanInput = { strategy: { kind: "canary", steps: [{ weight: 25 }, { weight: 50 }] }, analysis: null };
const crash = (app: BenchApp, ids: readonly InstanceId[]): void =>
  app.observe(ids, { kind: "backoff", failure: FAILURE, retryAtMs: app.nowMs + 1_000 } as ObservedStatus);
const begun = (plan: PlanInput, replicas = 4): BenchApp => {
  const app = serving(replicas);
  release(app, plan);
  upAndAnswer(app, 2);
  return app;
};

describe("a canary of one instance", () => {
  it("that crashes once is started again: the old serve meanwhile, and its step begins anew", () => {
    const app = begun(SMALL);
    expect(weights(app)).toEqual({ v1: 75, v2: 25 });
    crash(app, app.of(2));
    expect([app.phase(), weights(app)]).toEqual(["rolling", { v1: 100 }]);
    pass(app, app.limits.fallPatienceMs / 2);
    app.observe(app.of(2), { kind: "starting" });
    app.observe(app.of(2), { kind: "ready" });
    app.answerVerify();
    expect([app.phase(), weights(app)]).toEqual(["holding", { v1: 75, v2: 25 }]);
    pass(app, app.limits.fallPatienceMs);
    expect(app.phase()).toBe("holding");
  });

  it.each(["backoff", "unready"] as const)(
    "that is %s for longer than its patience fails it, and not before",
    (kind) => {
      const app = begun(SMALL);
      if (kind === "backoff") crash(app, app.of(2));
      else app.observe(app.of(2), { kind, failure: FAILURE });
      pass(app, app.limits.fallPatienceMs - 1);
      expect(app.phase()).toBe("rolling");
      pass(app, 1);
      expect(viewOf(app)).toMatchObject({
        phase: "failed",
        failure: { kind: "died", message: expect.stringContaining("at 25 % of the traffic") },
      });
      expect(weights(app)).toEqual({ v1: 100 });
    },
  );

  it("that crashes again soon fails it at once; long after, it is another first time", () => {
    const again = (afterMs: number): string | undefined => {
      const app = begun(SMALL);
      crash(app, app.of(2));
      app.observe(app.of(2), { kind: "ready" });
      app.answerVerify();
      pass(app, afterMs);
      crash(app, app.of(2));
      return app.phase();
    };
    expect(again(MINUTE)).toBe("failed");
    expect(again(11 * MINUTE)).toBe("rolling");
  });

  it("that fell keeps its patience over a restart of the object", () => {
    const app = begun(SMALL);
    crash(app, app.of(2));
    app.restart();
    pass(app, app.limits.fallPatienceMs);
    expect(app.phase()).toBe("failed");
  });
});

describe("a release under way whose instances all die", () => {
  it("fails at once in a step, where there are several", () => {
    const app = begun(STEPS);
    crash(app, app.of(2).slice(0, 1));
    expect(app.phase()).toBe("holding");
    crash(app, app.of(2).slice(1));
    expect(viewOf(app)).toMatchObject({ phase: "failed", failure: { kind: "died" } });
    expect(weights(app)).toEqual({ v1: 100 });
  });

  it("fails while the next step's instances come", () => {
    const app = begun(STEPS);
    command(app, "promote");
    app.grantAll();
    expect([app.phase(), app.of(2).length]).toEqual(["rolling", 3]);
    crash(app, app.of(2).slice(0, 2));
    expect(viewOf(app)).toMatchObject({ phase: "failed", failure: { kind: "died" } });
  });

  it("fails also where a new one is ready that nobody has asked yet", () => {
    const app = begun(STEPS);
    command(app, "promote");
    up(app, 2);
    expect(app.phase()).toBe("verifying");
    crash(app, app.of(2).slice(0, 2));
    expect(viewOf(app)).toMatchObject({ phase: "failed", failure: { kind: "died" } });
  });

  it.each(["canary", "blue_green"] as const)("fails during the command after, of a %s", (kind) => {
    const strategy =
      kind === "canary" ? { kind, steps: [{ weight: 50, durationMs: 1_000 }] } : { kind, watchMs: 0, warmMs: 0 };
    const app = begun({ strategy, analysis: null, after: { command: ["tell"], timeoutMs: 60 * MINUTE } });
    pass(app, 1_000);
    upAndAnswer(app, 2);
    expect([app.phase(), weights(app)]).toEqual(["finishing", { v1: 0, v2: 100 }]);
    crash(
      app,
      app.of(2).filter((id) => !app.tables.instances.get(id)!.job),
    );
    expect(viewOf(app)).toMatchObject({
      phase: "failed",
      failure: { kind: "died", message: expect.stringContaining("after the switch") },
    });
    expect(weights(app)).toEqual({ v1: 100 });
  });

  it("fails while it is paused", () => {
    const app = begun(STEPS);
    command(app, "pause");
    crash(app, app.of(2));
    expect(app.phase()).toBe("failed");
  });

  it("does not fail before it has any traffic: a green that waits to be promoted comes back by itself", () => {
    const app = begun({ strategy: { kind: "blue_green", promote: "manual" }, analysis: null });
    crash(app, app.of(2));
    pass(app, MINUTE);
    expect([app.phase(), weights(app)]).toEqual(["rolling", { v1: 100 }]);
  });

  it("does not fail for nodes that were lost: others come", () => {
    const app = begun(STEPS);
    for (const id of app.of(2)) {
      app.tell({ kind: "node_gone", node: app.tables.instances.get(id)!.placement!.node, instances: [id] });
    }
    pass(app, app.limits.fallPatienceMs + 1);
    expect(app.phase()).toBe("rolling");
    upAndAnswer(app, 2);
    expect([app.phase(), weights(app)]).toEqual(["holding", { v1: 50, v2: 50 }]);
  });

  it("is told with the weights of after", () => {
    const app = begun(STEPS);
    const [held] = eventsOf(app, "rollout.held");
    expect(held!.data["rollout"]).toMatchObject({
      weights: [
        { version: 2, weight: 50 },
        { version: 1, weight: 50 },
      ],
    });
    expect(command(app, "pause").weights).toContainEqual({ version: 2, weight: 50 });
  });
});
