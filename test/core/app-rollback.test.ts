// core/app: the way back. What still runs of the release before is called back in the very step; what does not, starts anew.
import { describe, expect, it } from "vitest";
import { releasesOf } from "../../contracts/route.ts";
import { BenchApp, as, value } from "./bench-object.ts";
import { eventsOf } from "./app-on-bench.ts";
import { command, pass, phasesOf, release, serving, up, upAndAnswer, viewOf, weights } from "./app-rolling.ts";
import { imagesToKeep } from "../../core/app/releases.ts";
import { openContext } from "../../core/app/context.ts";

const back = (app: BenchApp, version?: number) =>
  value(app.take({ kind: "rollback", input: { ...as(null), ...(version ? { version } : {}) } }));
const updates = (app: BenchApp) =>
  app.drain("call_cell").flatMap(({ call, request }) => {
    app.take({ kind: request.kind === "update" ? "updated" : "committed", call, answer: { ok: true, value: null } });
    return request.kind === "update" ? [request.request] : [];
  });
/** v2 serves; v1 drains, as its Cell knows. */
const replaced = (replicas = 3, more: Record<string, unknown> = {}): BenchApp => {
  const app = new BenchApp();
  app.deploy(more, replicas);
  release(app, undefined, more);
  upAndAnswer(app, 2);
  app.grantAll();
  return app;
};

describe("a rollback", () => {
  it("serves by what still drains in the very step, and its Cell hears that it runs on", () => {
    const app = replaced();
    const old = app.of(1);
    expect(phasesOf(app, old)).toEqual(["draining", "draining", "draining"]);
    pass(app, 30_000);
    app.drain("call_cell");
    back(app);
    expect(weights(app)).toEqual({ v1: 100, v2: 0 });
    expect(phasesOf(app, old)).toEqual(["running", "running", "running"]);
    expect(updates(app)).toMatchObject([{ run: old, drain: [], remove: [] }]);
    app.tick();
    expect(updates(app).filter(({ run }) => run?.length)).toEqual([]);
    app.answerVerify();
    expect(app.phase()).toBe("completed");
    expect(eventsOf(app, "instance.recalled").length).toBe(3);
    pass(app, 10 * 60_000);
    expect([app.of(1), app.of(2)]).toEqual([old, []]);
  });

  it("tells a Cell again what it called back, if the object was restarted before the answer", () => {
    const app = replaced(1);
    back(app);
    app.restart();
    app.tick();
    expect(updates(app)).toMatchObject([{ run: app.of(1) }]);
  });

  it("starts anew what has gone, and gives it everything as soon as one of it is ready", () => {
    const app = replaced(3);
    pass(app, 2 * 60_000);
    expect(app.of(1)).toEqual([]);
    back(app);
    app.grantAll();
    expect(weights(app)).toEqual({ v2: 100 });
    app.observe(app.of(1).slice(0, 1), { kind: "ready" });
    expect(weights(app)).toEqual({ v1: 100, v2: 0 });
    upAndAnswer(app, 1);
    expect(app.phase()).toBe("completed");
  });

  it("calls back some and starts the rest", () => {
    const app = replaced(3);
    const old = app.of(1);
    const { node } = app.tables.instances.get(old[0]!)!.placement!;
    app.tell({ kind: "node_gone", node, instances: old.slice(0, 1) });
    app.grantAll();
    back(app);
    expect(weights(app)).toEqual({ v1: 100, v2: 0 });
    upAndAnswer(app, 1);
    expect(app.phase()).toBe("completed");
    expect(app.of(1).slice(1)).toEqual(old.slice(1));
    expect(app.of(1)[0]).not.toBe(old[0]);
  });

  it.each([
    ["failureDomains", "required", 1],
    ["nodes", "required", 1],
    ["failureDomains", "preferred", 2],
  ])("calls back only what may share its place with what is there: %s %s", (rule, must, recalled) => {
    const app = replaced(2, { placement: { [rule]: must } });
    const old = app.of(1);
    const [first, second] = old.map((id) => app.tables.instances.get(id)!);
    // Its slot was moved there, next door to the other one's old place.
    app.tables.instances.set(second!.id, { ...second!, placement: first!.placement });
    back(app);
    const phases = phasesOf(app, old);
    expect(phases.filter((kind) => kind === "running").length).toBe(recalled);
    upAndAnswer(app, 1);
    expect([app.phase(), weights(app)]).toEqual(["completed", { v1: 100 }]);
  });

  it("of a canary that is under way is the split from before, at once", () => {
    const app = serving(2);
    release(app, { strategy: { kind: "canary", steps: [{ weight: 50 }] }, analysis: null });
    upAndAnswer(app, 2);
    back(app);
    expect(weights(app)).toEqual({ v1: 100 });
    app.answerVerify();
    expect([app.phase(), viewOf(app).toVersion]).toEqual(["completed", 1]);
  });

  it("goes to what served before, not to what was rolled back from in between; again, to what served before that", () => {
    const app = replaced(2);
    back(app);
    app.answerVerify();
    release(app);
    upAndAnswer(app, 3);
    expect(weights(app)).toEqual({ v3: 100 });
    expect(back(app).release).toMatchObject({ version: 1 });
    app.answerVerify();
    const again = app.take({ kind: "rollback", input: as(null) });
    expect(again).toMatchObject({ ok: false, failure: { code: "nothing_to_roll_back" } });
    back(app, 2);
    upAndAnswer(app, 2);
    expect(back(app).release).toMatchObject({ version: 1 });
  });

  it("forth and back again calls back each time", () => {
    const app = replaced(2);
    const [one, two] = [app.of(1), app.of(2)];
    for (let round = 0; round < 3; round += 1) {
      back(app, 1);
      app.answerVerify();
      expect(weights(app)).toEqual({ v1: 100 });
      back(app, 2);
      app.answerVerify();
      expect(weights(app)).toEqual({ v2: 100 });
    }
    app.grantAll();
    expect([app.of(1), app.of(2)]).toEqual([one, two]);
  });

  it("finds its release kept however many releases failed since", () => {
    const app = serving(1, { releasesKept: 2, drainMs: 0 });
    release(app);
    upAndAnswer(app, 2);
    app.tick(1);
    app.grantAll();
    for (let version = 3; version <= 7; version += 1) {
      release(app);
      command(app, "abort");
      app.grantAll();
    }
    expect(value(app.take({ kind: "rollback", input: as(null) })).release?.version).toBe(1);
  });

  it("finds its release and image kept: what serves, is warm or may be gone back to is not cleaned up", () => {
    const app = serving(1, { releasesKept: 2, drainMs: 0 });
    release(app, { strategy: { kind: "blue_green", watchMs: 0, warmMs: 3_600_000 }, analysis: null });
    upAndAnswer(app, 2);
    for (let version = 3; version <= 6; version += 1) {
      release(app, { strategy: { kind: "canary", steps: [{ weight: 50 }] }, analysis: null });
      up(app, version);
      pass(app, 1_000);
    }
    const kept = [...app.tables.releases.values()].map(({ release: { version } }) => version);
    expect(kept).toEqual(expect.arrayContaining([1, 2, 6]));
    const ctx = openContext(app.tables, app.volatile, { nowMs: app.nowMs, seed: "0".repeat(32) }, app.limits);
    for (const row of app.tables.releases.values()) {
      ctx.draft.put("releases", row.release.id, {
        ...row,
        release: { ...row.release, digest: `d${row.release.version}` },
      });
    }
    expect(imagesToKeep(ctx)).toEqual(expect.arrayContaining(["d1", "d2", "d6"]));
  });
});

describe("maintenance", () => {
  it("is told to visitors while everything runs on, and rollouts go on", () => {
    const app = serving(2);
    const on = (value_: boolean) => app.take({ kind: "setMaintenance", input: { ...as(null), on: value_ } });
    expect(value(on(true)).maintenance).toBe(true);
    const state = () => app.tables.route.get("route")!.route.state;
    expect(state()).toMatchObject({ kind: "unavailable", reason: "maintenance" });
    release(app);
    upAndAnswer(app, 2);
    expect(app.phase()).toBe("completed");
    // Who works on it finds it by its name.
    expect(releasesOf(state())).toMatchObject([{ version: 2, weight: 100, endpoints: [{}, {}] }]);
    expect(value(on(true)).weights).toEqual([{ version: 2, weight: 100, ready: 2 }]);
    value(on(false));
    expect(weights(app)).toEqual({ v2: 100 });
    expect(eventsOf(app, "app.maintenance").length).toBe(2);
  });
});
