// core/app: from an accepted release to answers through the edge, and what happens when it goes wrong on the way.
import { describe, expect, it } from "vitest";
import type { InstanceFailure } from "../../contracts/failures.ts";
import type { CellName } from "../../contracts/ids.ts";
import { AppId, InstanceId, ReleaseId, RolloutId } from "../../contracts/ids.ts";
import { Route } from "../../contracts/route.ts";
import { Accepted, App } from "../../contracts/api.ts";
import { BerthEvent } from "../../contracts/events.ts";
import { BenchApp, CELL, REGION, as, placementOf, spec, summary, value } from "./bench-object.ts";

const failure: InstanceFailure = { code: "exited", message: "exit 1", exitCode: 1, signal: null, logTail: ["boom"] };
const release = (app: BenchApp, replicas?: number, more: Record<string, unknown> = {}) =>
  value(app.take({ kind: "acceptRelease", input: { ...as(null), spec: spec(more), replicas, privateImage: false } }));
const routeOf = (app: BenchApp) => value(app.take({ kind: "route", input: {} }));
const weights = (app: BenchApp): [number, number, number][] => {
  const { state } = routeOf(app);
  if (state.kind !== "serving") return [];
  return state.releases.map((entry) => [entry.version, entry.weight, entry.endpoints.length]);
};

const FULL = {
  nodesTotal: 1,
  constraints: [{ constraint: "memory" as const, nodesExcluded: 1, requested: 2, missing: 1 }],
};

describe("a deploy", () => {
  it("asks for room in the very step that accepts it, and needs one reserve and one commit for ten replicas", () => {
    const app = new BenchApp();
    release(app, 10);
    const [reserve] = app.effects.filter((effect) => effect.kind === "call_cell");
    expect(reserve?.request.kind === "reserve" && reserve.request.request.slots.length).toBe(10);
    expect(app.grantAll()).toEqual(["reserve", "commit"]);
    app.observe(app.of(1), { kind: "ready" });
    expect(app.grantAll()).toEqual(["update"]);
    expect(app.drain("verify").map((effect) => effect.instances.length)).toEqual([10]);
  });

  it("completes only when every replica answered, and speaks the contracts' shapes", () => {
    const app = new BenchApp();
    const accepted = release(app, 2);
    expect(Accepted.parse(accepted).rollout?.phase).toBe("rolling");
    expect(RolloutId.safeParse(accepted.rollout?.id).success && ReleaseId.safeParse(accepted.release?.id).success).toBe(
      true,
    );
    app.grantAll();
    for (const id of app.of(1)) expect(InstanceId.safeParse(id).success).toBe(true);
    app.observe(app.of(1), { kind: "ready" });
    expect(app.phase()).toBe("verifying");
    app.answerVerify(false);
    expect(app.phase()).toBe("verifying");
    app.tick(app.limits.verifyRetryMs);
    app.answerVerify();
    expect(app.phase()).toBe("completed");
    expect(App.parse(value(app.take({ kind: "read", input: {} })))).toMatchObject({
      status: "healthy",
      readyInstances: 2,
    });
    expect(Route.parse(routeOf(app)).state.kind).toBe("serving");
    for (const event of app.tables.events.values()) BerthEvent.parse(event);
    expect(AppId.safeParse(app.app).success).toBe(true);
  });

  it("moves weight by the share that is ready, and drains the old only after completion", () => {
    const app = new BenchApp();
    app.deploy({}, 4);
    expect(weights(app)).toEqual([[1, 100, 4]]);
    release(app);
    app.grantAll();
    const fresh = app.of(2);
    app.observe(fresh.slice(0, 1), { kind: "ready" });
    expect(weights(app)).toEqual([
      [1, 75, 4],
      [2, 25, 1],
    ]);
    app.observe(fresh.slice(1), { kind: "ready" });
    expect(weights(app)).toEqual([[2, 100, 4]]);
    const old = app.of(1);
    expect(old.map((id) => app.tables.instances.get(id)!.phase.kind)).toEqual(Array(4).fill("running"));
    app.answerVerify();
    app.grantAll();
    expect(old.map((id) => app.tables.instances.get(id)!.phase.kind)).toEqual(Array(4).fill("draining"));
    app.tick(app.limits.drainMs - 1);
    expect(app.of(1).length).toBe(4);
    app.tick(1);
    expect(app.of(1)).toEqual([]);
    const removes = app
      .drain("call_cell")
      .map(({ request }) => (request.kind === "update" ? request.request.remove : []));
    expect(removes.flat().sort()).toEqual([...old].sort());
  });

  it.each([
    ["an instance failed", { kind: "failed", failure }, {}],
    ["an instance crashed three times", { kind: "backoff", failure, retryAtMs: 9 }, { restarts: 3 }],
  ] as const)("fails when %s, and the old release is untouched", (_name, status, more) => {
    const app = new BenchApp();
    app.deploy({}, 2);
    const before = routeOf(app);
    const old = app.of(1);
    release(app);
    app.grantAll();
    app.observe(app.of(2).slice(0, 1), status, more);
    expect(app.phase()).toBe("failed");
    expect(routeOf(app)).toEqual(before);
    expect(app.of(1)).toEqual(old);
    expect(app.of(2)).toEqual([]);
    expect([...app.tables.rollouts.values()].at(-1)!.phase).toMatchObject({ failure: { kind: "instance", failure } });
  });

  it("asks the next cell for what one refuses, and fails with the sum of the refusals", () => {
    const other = "lab.1" as CellName;
    const app = new BenchApp({}, { cells: [summary(CELL), summary(other)] });
    release(app, 1, { resources: { cpuMilli: 200_000 } });
    const refusal = (missing: number) => ({
      nodesTotal: 3,
      constraints: [{ constraint: "cpu" as const, nodesExcluded: 3, requested: 200_000, missing }],
    });
    const asked: string[] = [];
    for (let round = 0; round < 20 && app.phase() === "rolling"; round += 1) {
      for (const { call, cell, request } of app.drain("call_cell")) {
        if (request.kind !== "reserve") continue;
        asked.push(cell);
        const refused = request.request.slots.map(({ instance }) => ({
          instance,
          refusal: refusal(cell === CELL ? 5 : 9),
        }));
        app.take({ kind: "reserved", call, answer: { ok: true, value: { placements: [], refused } } });
      }
      if (app.effects.every((effect) => effect.kind !== "call_cell")) app.tick(1_000);
    }
    expect(new Set(asked.slice(0, 2))).toEqual(new Set([CELL, other]));
    expect([...app.tables.rollouts.values()][0]!.phase).toMatchObject({
      kind: "failed",
      failure: { kind: "no_capacity", refusal: { nodesTotal: 6, constraints: [{ nodesExcluded: 6, missing: 5 }] } },
    });
    expect(app.tables.calls.size).toBe(0);
  });

  it("waits for the region's word instead of refusing on an old list that had no cells", () => {
    const app = new BenchApp({}, { cells: [] });
    app.nowMs += app.limits.cellsFreshMs;
    release(app);
    expect(app.effects.map((effect) => effect.kind)).toContain("ask_region");
    app.take({ kind: "cells_known", region: REGION, items: [summary()] });
    expect(app.grantAll()).toEqual(["reserve", "commit"]);
    expect([...app.tables.events.values()].some((event) => event.type === "placement.refused")).toBe(false);
  });

  it("gives old instances up one for one where there is room for only a part, and never serves fewer", () => {
    const app = new BenchApp({ placementPatienceMs: 600_000 });
    app.deploy({}, 3);
    release(app);
    let served = 3;
    let room = 1;
    for (let round = 0; round < 200 && app.phase() !== "completed"; round += 1) {
      for (const { call, request } of app.drain("call_cell")) {
        if (request.kind === "reserve") {
          const { slots } = request.request;
          const placements = slots.slice(0, room).map((slot) => placementOf(slot));
          const refused = slots.slice(room).map(({ instance }) => ({ instance, refusal: FULL }));
          room -= placements.length;
          app.take({ kind: "reserved", call, answer: { ok: true, value: { placements, refused } } });
        } else if (request.kind === "commit") app.take({ kind: "committed", call, answer: { ok: true, value: null } });
        else {
          room += request.request.remove.length;
          app.take({ kind: "updated", call, answer: { ok: true, value: null } });
        }
      }
      const placed = app.of(2).filter((id) => app.tables.instances.get(id)!.phase.kind === "running");
      app.observe(
        placed.filter((id) => app.tables.instances.get(id)!.observed === null),
        { kind: "ready" },
      );
      served = Math.min(
        served,
        weights(app).reduce((sum, [, , endpoints]) => sum + endpoints, 0),
      );
      app.answerVerify();
      app.tick(1_000);
    }
    expect(app.phase()).toBe("completed");
    expect(served).toBe(3);
  });

  it("of a restart gives up the very slot whose new instance serves, so that as many serve as before", () => {
    const app = new BenchApp();
    app.deploy({}, 3);
    const old = app.of(1);
    value(app.take({ kind: "restart", input: as(null) }));
    const [reserve] = app.drain("call_cell");
    const slots = reserve!.request.kind === "reserve" ? reserve!.request.request.slots : [];
    const refused = slots.slice(1).map(({ instance }) => ({ instance, refusal: FULL }));
    const placements = [placementOf(slots[0]!)];
    app.take({ kind: "reserved", call: reserve!.call, answer: { ok: true, value: { placements, refused } } });
    for (const { call, request } of app.drain("call_cell")) {
      if (request.kind === "commit") app.take({ kind: "committed", call, answer: { ok: true, value: null } });
    }
    app.observe([slots[0]!.instance], { kind: "ready" });
    expect(app.tables.instances.get(old[0]!)!.phase.kind).toBe("draining");
    expect(weights(app).reduce((sum, [, , endpoints]) => sum + endpoints, 0)).toBe(3);
  });

  it("gives up nothing of the old for what no node could ever take", () => {
    const app = new BenchApp();
    app.deploy({}, 1);
    const [old] = app.of(1);
    value(app.take({ kind: "restart", input: as(null) }));
    const [first] = app.drain("call_cell");
    value(app.take({ kind: "scale", input: { ...as(null), replicas: 2 } }));
    const [second] = app.drain("call_cell").filter(({ request }) => request.kind === "reserve");
    const slotOf = ({ request }: NonNullable<typeof first>) =>
      (request.kind === "reserve" ? request.request.slots : [])[0]!;
    const placements = [placementOf(slotOf(first!))];
    app.take({ kind: "reserved", call: first!.call, answer: { ok: true, value: { placements, refused: [] } } });
    app.grantAll();
    app.observe([slotOf(first!).instance], { kind: "ready" });
    const refusal = { nodesTotal: 1, constraints: [], impossible: true };
    const refused = [{ instance: slotOf(second!).instance, refusal }];
    app.take({ kind: "reserved", call: second!.call, answer: { ok: true, value: { placements: [], refused } } });
    app.tick();
    expect([app.phase(), app.tables.instances.get(old!)!.phase.kind]).toEqual(["failed", "running"]);
  });

  it("pins the first digest that a node resolves, once, and later documents carry it", () => {
    const app = new BenchApp();
    app.deploy();
    app.observe(app.of(1), { kind: "ready" }, { digest: "sha256:aa" });
    app.observe(app.of(1), { kind: "ready" }, { digest: "sha256:bb" });
    expect([...app.tables.events.values()].filter((event) => event.type === "release.pinned").length).toBe(1);
    value(app.take({ kind: "scale", input: { ...as(null), replicas: 2 } }));
    const [reserve] = app.drain("call_cell");
    if (reserve?.request.kind !== "reserve") throw new Error("no reserve");
    const placements = reserve.request.request.slots.map((slot) => placementOf(slot));
    app.take({ kind: "reserved", call: reserve.call, answer: { ok: true, value: { placements, refused: [] } } });
    const [commit] = app.drain("call_cell");
    const source = commit?.request.kind === "commit" ? commit.request.request.instances[0]!.source : null;
    expect(source).toEqual({ kind: "image", reference: "shop/web:1", digest: "sha256:aa" });
  });

  it("gives up at its deadline, however quiet everything is", () => {
    const app = new BenchApp();
    value(
      app.take({ kind: "acceptRelease", input: { ...as(null), spec: spec(), deadlineMs: 5_000, privateImage: false } }),
    );
    app.grantAll();
    expect(app.wakeAtMs).toBeLessThanOrEqual(app.nowMs + 5_000);
    app.tick(5_000);
    expect([...app.tables.rollouts.values()][0]!.phase).toMatchObject({
      kind: "failed",
      failure: { kind: "deadline" },
    });
  });
});
