// core/app: the reservation protocol over several cells and regions: what is granted is used or given back, never forgotten.
import { describe, expect, it } from "vitest";
import type { CellName, InstanceId, RegionName, TeamId } from "../../contracts/ids.ts";
import type { Refusal } from "../../contracts/failures.ts";
import type { AppEffect, CellCall } from "../../core/app/types.ts";
import { BenchApp, CELL, as, idFor, placementOf, spec, summary, value } from "./bench-object.ts";

const OTHER = "lab.1" as CellName;
const FULL: Refusal = {
  nodesTotal: 2,
  constraints: [{ constraint: "cpu", nodesExcluded: 2, requested: 250, missing: 50 }],
};
type Call = Extract<AppEffect, { kind: "call_cell" }>;

const release = (app: BenchApp, replicas?: number, more: Record<string, unknown> = {}) =>
  value(app.take({ kind: "acceptRelease", input: { ...as(null), spec: spec(more), replicas, privateImage: false } }));
const fail = (app: BenchApp, { call }: Call): void =>
  void app.take({ kind: "call_failed", call, message: "no answer" });
const slotsOf = ({ request }: Call) => (request.kind === "reserve" ? request.request.slots : []);

/** Grants the first `granted` slots of a reserve, refuses the others. */
function answerReserve(app: BenchApp, call: Call, granted: number): void {
  const slots = slotsOf(call);
  const placements = slots.slice(0, granted).map((slot) => placementOf(slot));
  const refused = slots.slice(granted).map(({ instance }) => ({ instance, refusal: FULL }));
  app.take({ kind: "reserved", call: call.call, answer: { ok: true, value: { placements, refused } } });
}
function settle(app: BenchApp, calls: readonly Call[]): void {
  for (const { call, request } of calls) {
    app.take({ kind: request.kind === "commit" ? "committed" : "updated", call, answer: { ok: true, value: null } });
  }
}
const twoCells = () => new BenchApp({}, { cells: [summary(CELL), summary(OTHER)] });
const removes = (calls: readonly { request: CellCall }[]) =>
  calls.flatMap(({ request }) => (request.kind === "update" ? request.request.remove : []));

describe("a reserve", () => {
  it("carries what placement needs: policy, image, team, and the nodes to stay away from", () => {
    const app = new BenchApp();
    const placement = { strategy: "spread", labels: { disk: "nvme" }, hostPorts: [443], awayFrom: ["db"] };
    release(app, 1, { placement });
    const [first] = app.drain("call_cell");
    expect(first?.request).toMatchObject({
      request: { team: idFor<TeamId>("team", 1), slots: [{ placement, image: null, avoid: [] }] },
    });
    const bundle = new BenchApp();
    const hash = `sha256:${"a".repeat(64)}`;
    release(bundle, 1, { source: { kind: "bundle", hash }, command: ["node", "x.js"] });
    expect(slotsOf(bundle.drain("call_cell")[0]!)[0]).toMatchObject({ image: hash, runtimes: ["docker", "process"] });
  });

  it("names the image's digest once the release is pinned to it", () => {
    const app = new BenchApp();
    app.deploy();
    app.observe(app.of(1), { kind: "ready" }, { digest: "sha256:d1" });
    value(app.take({ kind: "scale", input: { ...as(null), replicas: 2 } }));
    expect(app.drain("call_cell").flatMap(slotsOf)).toMatchObject([{ image: "sha256:d1" }]);
  });

  it("is followed by a document that names the images of releases a rollback may go to", () => {
    const app = new BenchApp();
    for (const digest of ["sha256:d1", "sha256:d2"]) {
      app.deploy({ source: { kind: "image", reference: `shop/web:${digest}` } });
      const version = [...app.tables.releases.values()].at(-1)!.release.version;
      app.observe(app.of(version), { kind: "ready" }, { digest });
    }
    release(app);
    answerReserve(
      app,
      app.drain("call_cell").find(({ request }) => request.kind === "reserve")!,
      1,
    );
    const [commit] = app.drain("call_cell").filter(({ request }) => request.kind === "commit");
    expect(commit?.request).toMatchObject({ request: { instances: [{ keepImages: ["sha256:d2", "sha256:d1"] }] } });
  });

  it("of a release stored before there were policies uses the default", () => {
    const app = new BenchApp();
    app.deploy();
    const [[id, kept]] = [...app.tables.releases] as [[string, never]];
    const old = structuredClone(kept) as { release: { spec: { placement?: unknown } } };
    delete old.release.spec.placement;
    app.tables.releases.set(id, old as never);
    value(app.take({ kind: "scale", input: { ...as(null), replicas: 2 } }));
    const calls = app.drain("call_cell");
    expect(calls.flatMap(slotsOf)).toMatchObject([{ placement: { strategy: "pack", hostPorts: [] } }]);
    answerReserve(
      app,
      calls.find(({ request }) => request.kind === "reserve")!,
      1,
    );
    app.grantAll();
    expect([...app.tables.instances.values()].at(-1)!.phase.kind).toBe("running");
  });
});

describe("an app with several cells", () => {
  it("asks the next cell for what the first refused, and completes what was half granted", () => {
    const app = twoCells();
    release(app, 3);
    const [first] = app.drain("call_cell");
    answerReserve(app, first!, 1);
    const calls = app.drain("call_cell");
    const next = calls.find(({ request }) => request.kind === "reserve")!;
    expect(next.cell).not.toBe(first!.cell);
    expect(slotsOf(next).length).toBe(2);
    answerReserve(app, next, 2);
    settle(
      app,
      calls.filter(({ request }) => request.kind === "commit"),
    );
    settle(app, app.drain("call_cell"));
    expect(new Set(app.of(1).map((id) => app.tables.instances.get(id)!.cell))).toEqual(new Set([CELL, OTHER]));
  });

  it("sums up what each of them said when all refuse", () => {
    const app = twoCells();
    release(app);
    for (let [call] = app.drain("call_cell"); call; [call] = app.drain("call_cell")) answerReserve(app, call, 0);
    const [refused] = [...app.tables.events.values()].filter(({ type }) => type === "placement.refused");
    expect(refused?.data).toMatchObject({
      refusal: { nodesTotal: 4, constraints: [{ nodesExcluded: 4, missing: 50 }] },
    });
  });

  it("gives up at once on what no node could ever take", () => {
    const app = twoCells();
    release(app);
    for (let [call] = app.drain("call_cell"); call; [call] = app.drain("call_cell")) {
      const refused = slotsOf(call).map(({ instance }) => ({ instance, refusal: { ...FULL, impossible: true } }));
      app.take({ kind: "reserved", call: call.call, answer: { ok: true, value: { placements: [], refused } } });
    }
    expect(app.wakeAtMs).toBe(app.nowMs);
    app.tick();
    expect(app.phase()).toBe("failed");
    const [rollout] = [...app.tables.rollouts.values()];
    expect(rollout!.phase).toMatchObject({ failure: { kind: "no_capacity", refusal: { impossible: true } } });
  });

  it("passes over a cell that does not answer, and gives back what that granted after all", () => {
    const app = twoCells();
    release(app);
    const [silent] = app.drain("call_cell");
    const [old] = app.of(1) as [InstanceId];
    let calls: Call[] = [];
    for (let tries = 0; calls.every(({ cell }) => cell === silent!.cell); tries += 1) {
      expect(tries).toBeLessThan(10);
      fail(app, silent!);
      app.tick(app.limits.callRetryMaxMs);
      calls = app.drain("call_cell");
    }
    const elsewhere = calls.find(({ cell }) => cell !== silent!.cell)!;
    answerReserve(app, elsewhere, 1);
    settle(app, app.drain("call_cell"));
    const [fresh] = app.of(1) as [InstanceId];
    expect(app.tables.instances.get(fresh)).toMatchObject({ generation: 2, phase: { kind: "running" } });
    expect(app.tables.instances.get(old)!.phase.kind).toBe("stopping");
    answerReserve(app, silent!, 1);
    const late = app.drain("call_cell").filter(({ cell }) => cell === silent!.cell);
    expect(removes(late)).toEqual([old]);
    settle(app, late);
    expect(app.tables.instances.get(old)!.phase.kind).toBe("ended");
    app.observe([fresh], { kind: "ready" });
    app.answerVerify();
    expect(app.phase()).toBe("completed");
  });

  it("stays with a silent cell when it is the only one", () => {
    const app = new BenchApp();
    release(app);
    const [silent] = app.drain("call_cell");
    for (let tries = 0; tries < 8; tries += 1) {
      fail(app, silent!);
      app.tick(app.limits.callRetryMaxMs);
      expect(app.drain("call_cell")).toEqual([silent]);
    }
  });
});

describe("an app with several regions", () => {
  const FAR = "far" as RegionName;
  const twoRegions = () => {
    const app = new BenchApp();
    const row = app.tables.app.get("app")!;
    app.tables.app.set("app", { ...row, regions: [...row.regions, FAR] });
    return app;
  };

  it("asks the other region when the first has no room, and starts from its own again the next time", () => {
    const app = twoRegions();
    app.take({ kind: "cells_known", region: FAR, items: [summary("far.0" as CellName)] });
    release(app);
    const cells: string[] = [];
    for (let [call] = app.drain("call_cell"); call; [call] = app.drain("call_cell")) {
      cells.push(call.cell);
      answerReserve(app, call, 0);
    }
    expect(cells).toEqual([CELL, "far.0"]);
    app.tick(app.limits.placementRetryMs);
    const [again] = app.drain("call_cell");
    expect(again?.cell).toBe(CELL);
  });

  it("passes over a region that does not answer", () => {
    const app = twoRegions();
    value(app.take({ kind: "scale", input: { ...as(null), replicas: 2 } }));
    release(app, 2);
    for (let tries = 0; tries < 8 && app.drain("call_cell").flatMap(slotsOf).length < 2; tries += 1) {
      app.take({ kind: "region_failed", region: FAR, message: "no answer" });
      app.tick(app.limits.callRetryMaxMs);
    }
    expect([...app.tables.instances.values()].map(({ region }) => region)).toEqual(["lab", "lab"]);
  });
});

describe("a rollout that ends between reserve and commit", () => {
  it.each([
    ["before the answer to the reserve", false],
    ["while the commit is out", true],
  ])("%s: gives back every reservation", (_when, isGranted) => {
    const app = twoCells();
    const { rollout } = release(app, 3);
    const [reserve] = app.drain("call_cell");
    if (isGranted) answerReserve(app, reserve!, 3);
    const ids = app.of(1);
    value(app.take({ kind: "controlRollout", input: { ...as(null), command: "cancel", rollout: rollout!.id } }));
    if (!isGranted) answerReserve(app, reserve!, 3);
    const seen: Call[] = [];
    for (let calls = app.drain("call_cell"); calls.length > 0; calls = app.drain("call_cell")) {
      seen.push(...calls);
      settle(app, calls);
    }
    expect(removes(seen).toSorted()).toEqual(ids.toSorted());
    expect(app.tables.calls.size).toBe(0);
    expect([...app.tables.instances.values()].every(({ phase }) => phase.kind === "ended")).toBe(true);
  });

  it("places anew what a Cell no longer held at the commit", () => {
    const app = new BenchApp();
    release(app, 2);
    const [reserve] = app.drain("call_cell");
    answerReserve(app, reserve!, 2);
    const before = app.of(1);
    const [commit] = app.drain("call_cell");
    const answer = { ok: false as const, failure: { code: "conflict" as const, message: "no longer held" } };
    app.take({ kind: "committed", call: commit!.call, answer });
    const calls = app.drain("call_cell");
    expect(removes(calls).toSorted()).toEqual(before.toSorted());
    expect(calls.flatMap(slotsOf).map(({ generation }) => generation)).toEqual([2, 2]);
  });
});
