// core/app: blue-green. All of green beside all of blue, checked, switched at once, on trial, and blue warm for a way back.
import { describe, expect, it } from "vitest";
import type { InstanceFailure } from "../../contracts/failures.ts";
import { as, value } from "./bench-object.ts";
import {
  command,
  pass,
  phasesOf,
  release,
  serving,
  tryCommand,
  up,
  upAndAnswer,
  viewOf,
  weights,
} from "./app-rolling.ts";

const MINUTE = 60_000;
const down: InstanceFailure = { code: "never_ready", message: "503", exitCode: null, signal: null, logTail: [] };
const blueGreen = (more: { promote?: "manual"; watchMs?: number; warmMs?: number } = {}) => ({
  strategy: { kind: "blue_green" as const, ...more },
  analysis: null,
});

describe("a blue-green rollout", () => {
  it("gives green nothing but its own name until all of it answered; then everything at once", () => {
    const app = serving(3);
    release(app, blueGreen());
    up(app, 2);
    expect(app.of(2).length).toBe(3);
    expect(weights(app)).toEqual({ v1: 100, v2: 0 });
    app.answerVerify();
    expect(weights(app)).toEqual({ v1: 0, v2: 100 });
    expect(viewOf(app)).toMatchObject({ phase: "holding", step: { weight: 100 } });
    pass(app, MINUTE);
    expect(app.phase()).toBe("completed");
  });

  it("waits for promote where it is asked to, and green takes over from nobody before", () => {
    const app = serving(2);
    release(app, blueGreen({ promote: "manual" }));
    upAndAnswer(app, 2);
    expect(viewOf(app)).toMatchObject({ phase: "holding", step: { index: 1, of: 2, weight: 0, untilMs: null } });
    expect(viewOf(app).waitingFor).toContain("promote it");
    pass(app, 60 * MINUTE);
    app.observe(app.of(1), { kind: "unready", failure: down });
    expect(weights(app)).toEqual({});
    app.observe(app.of(1), { kind: "ready" });
    expect(weights(app)).toEqual({ v1: 100, v2: 0 });
    expect(command(app, "promote")).toMatchObject({ phase: "holding", step: { index: 2, weight: 100 } });
    expect(weights(app)).toEqual({ v1: 0, v2: 100 });
  });

  it("keeps blue warm until its time, and healing of it stops", () => {
    const app = serving(2);
    const blue = app.of(1);
    release(app, blueGreen({ watchMs: MINUTE, warmMs: 5 * MINUTE }));
    upAndAnswer(app, 2);
    pass(app, MINUTE);
    expect(app.phase()).toBe("completed");
    expect(phasesOf(app, blue)).toEqual(["running", "running"]);
    const read = value(app.take({ kind: "read", input: {} }));
    expect(read).toMatchObject({
      warm: { version: 1 },
      weights: [
        { version: 2, weight: 100, ready: 2 },
        { version: 1, weight: 0 },
      ],
    });
    app.observe(blue.slice(0, 1), { kind: "failed", failure: down });
    expect(app.of(1)).toEqual(blue.slice(1));
    pass(app, 4 * MINUTE);
    expect(phasesOf(app, blue.slice(1))).toEqual(["draining"]);
    expect(value(app.take({ kind: "read", input: {} })).warm).toBeNull();
  });

  it("has nobody stand in for a warm blue whose node is silent", () => {
    const app = serving(2);
    const blue = app.of(1);
    release(app, blueGreen({ watchMs: 0 }));
    up(app, 2);
    const { node } = app.tables.instances.get(blue[0]!)!.placement!;
    app.tell({ kind: "node_suspect", node, instances: blue.slice(0, 1) });
    app.grantAll();
    expect(app.of(1).length).toBe(3);
    app.answerVerify();
    expect(app.phase()).toBe("completed");
    app.grantAll();
    expect(app.of(1)).toEqual(blue);
    app.tell({ kind: "node_cleared", node });
    expect(app.of(1)).toEqual(blue);
  });

  it("gives blue everything back at once when green dies in its watch", () => {
    const app = serving(2);
    release(app, blueGreen());
    upAndAnswer(app, 2);
    const green = app.of(2);
    app.observe(green.slice(0, 1), { kind: "unready", failure: down });
    expect(weights(app)).toEqual({ v1: 0, v2: 100 });
    app.observe(green.slice(1), { kind: "unready", failure: down });
    expect(weights(app)).toEqual({ v1: 100 });
    expect(viewOf(app)).toMatchObject({
      phase: "failed",
      failure: { kind: "died", message: expect.stringContaining("v2") },
    });
  });

  it("is ordinary healing for a green that dies after its watch", () => {
    const app = serving(1);
    release(app, blueGreen({ watchMs: MINUTE }));
    upAndAnswer(app, 2);
    pass(app, MINUTE);
    app.observe(app.of(2), { kind: "failed", failure: { ...down, code: "exited" } });
    expect(app.phase()).toBe("completed");
    pass(app, 5_000);
    expect(app.of(2).length).toBe(1);
  });

  it("has nothing to promote before green stands, and says so", () => {
    const app = serving(2);
    release(app, blueGreen({ promote: "manual" }));
    expect(tryCommand(app, "promote")).toMatchObject({ failure: { code: "conflict" } });
    expect(weights(app)).toEqual({ v1: 100 });
  });

  it.each([
    ["memory", null],
    ["ports", null],
    ["labels", 1],
    ["away_from", 1],
    ["cordoned", 1],
  ] as const)(
    "gives way in the warm when a newer rollout finds no room, if that would help: %s, then v%s is warm",
    (constraint, kept) => {
      const app = serving(1, { placementPatienceMs: 600_000 });
      release(app, blueGreen({ watchMs: 0 }));
      upAndAnswer(app, 2);
      expect(value(app.take({ kind: "read", input: {} })).warm?.version).toBe(1);
      release(app, blueGreen({ watchMs: 0 }));
      const constraints = [{ constraint, nodesExcluded: 1, requested: null, missing: null }];
      for (const { call, request } of app.drain("call_cell")) {
        if (request.kind !== "reserve") continue;
        const refused = request.request.slots.map(({ instance }) => ({
          instance,
          refusal: { nodesTotal: 1, constraints },
        }));
        app.take({ kind: "reserved", call, answer: { ok: true, value: { placements: [], refused } } });
      }
      app.tick(1);
      expect(value(app.take({ kind: "read", input: {} })).warm?.version ?? null).toBe(kept);
      expect(phasesOf(app, app.of(1))).toEqual([kept === null ? "draining" : "running"]);
      expect(weights(app)["v2"]).toBe(100);
    },
  );

  it("leads back to the warm blue in one step: nobody has to start", () => {
    const app = serving(2);
    const blue = app.of(1);
    release(app, blueGreen({ watchMs: MINUTE }));
    upAndAnswer(app, 2);
    pass(app, MINUTE);
    const back = value(app.take({ kind: "rollback", input: as(null) }));
    expect(back.rollout).toMatchObject({ reason: "rollback", strategy: "immediate", toVersion: 1 });
    expect(weights(app)).toEqual({ v1: 100, v2: 0 });
    app.answerVerify();
    expect(app.phase()).toBe("completed");
    expect(app.of(1)).toEqual(blue);
    expect(phasesOf(app, app.of(2))).toEqual(["draining", "draining"]);
    expect(value(app.take({ kind: "read", input: {} })).warm).toBeNull();
  });
});
