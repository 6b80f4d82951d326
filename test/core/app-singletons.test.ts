// core/app: singletons (invariant 4): one at most, over releases, moves and lost nodes; the next starts once the last is known gone.
import { beforeEach, describe, expect, it } from "vitest";
import type { InstanceId } from "../../contracts/ids.ts";
import type { InstanceFailure } from "../../contracts/failures.ts";
import { answerAll, nodeOf, phaseOf, rowOf } from "./app-on-bench.ts";
import { BenchApp, CELL, as, spec, value } from "./bench-object.ts";

const failure: InstanceFailure = { code: "exited", message: "exit 1", exitCode: 1, signal: null, logTail: [] };
const alone = (singleton: "available" | "strict" = "available") => ({ placement: { singleton }, stopGraceMs: 20_000 });
const routeOf = (app: BenchApp) => app.tables.route.get("route")!.route.state;
const release = (app: BenchApp, more: Record<string, unknown>, replicas?: number) =>
  app.take({ kind: "acceptRelease", input: { ...as(null), spec: spec(more), replicas, privateImage: false } });

const settle = (app: BenchApp): string[] => {
  const kinds: string[] = [];
  for (let calls = answerAll(app); calls.length > 0; calls = answerAll(app))
    kinds.push(...calls.map(({ kind }) => kind));
  return kinds;
};

let app: BenchApp;
let first: InstanceId;
beforeEach(() => {
  app = new BenchApp();
  app.deploy(alone());
  first = app.of(1)[0]!;
});
const gone = (...instances: InstanceId[]) => app.tell({ kind: "gone", instances });
/** All instances that may run now, as the App sees it. */
const running = () => [...app.tables.instances.values()].filter(({ phase }) => phase.kind === "running").length;

describe("how many a singleton may be", () => {
  it.each([
    ["a release with three replicas", () => release(app, alone(), 3)],
    ["a scale to two", () => app.take({ kind: "scale", input: { ...as(null), replicas: 2 } })],
  ])("%s is refused with what to do about it, and changes nothing", (_name, ask) => {
    const before = [app.tables.releases.size, app.tables.app.get("app")!.replicas];
    expect(ask()).toMatchObject({ ok: false, failure: { code: "unprocessable", errors: [{ pointer: "/replicas" }] } });
    expect([app.tables.releases.size, app.tables.app.get("app")!.replicas]).toEqual(before);
  });

  it("refuses the mark on an app that has three replicas until it is scaled to one, and a rollback to it takes one", () => {
    const wide = new BenchApp();
    wide.deploy(alone());
    release(wide, {}, 1);
    settle(wide);
    wide.tell({ kind: "gone", instances: wide.of(1).concat([...wide.tables.instances.keys()] as InstanceId[]) });
    wide.bringUp();
    value(wide.take({ kind: "scale", input: { ...as(null), replicas: 3 } }));
    wide.bringUp();
    expect(wide.phase()).toBe("completed");
    expect(release(wide, alone())).toMatchObject({ ok: false });
    const back = value(wide.take({ kind: "rollback", input: { ...as(null), version: 1 } }));
    expect(back.rollout).toMatchObject({ replicas: 1, toVersion: 1 });
  });

  it("tells the Cell what it is", () => {
    const other = new BenchApp();
    release(other, { placement: { singleton: "strict", hostPorts: [443] } });
    answerAll(other);
    const [call] = other.drain("call_cell");
    expect(call?.request).toMatchObject({
      kind: "commit",
      request: { instances: [{ singleton: "strict", hostPorts: [443] }] },
    });
  });
});

describe("a release of a singleton", () => {
  it("stops the old one, waits until its node has said so, and only then asks for room for the new", () => {
    value(release(app, alone()));
    expect(phaseOf(app, first)).toBe("stopping");
    const [update] = answerAll(app);
    expect(update).toMatchObject({ kind: "update", request: { remove: [first], confirm: [first] } });
    expect(settle(app)).toEqual([]);
    expect(app.of(2)).toEqual([]);
    expect(routeOf(app)).toMatchObject({ kind: "unavailable" });
    const rollout = [...app.tables.rollouts.values()].at(-1)!;
    expect(rollout.phase).toMatchObject({ waitingFor: "0 of 1 ready; 1 waiting for the old one to be known stopped" });
    gone(first);
    expect(phaseOf(app, first)).toBe("ended");
    app.bringUp();
    expect([app.phase(), running()]).toEqual(["completed", 1]);
    expect(rowOf(app, app.of(2)[0]!)).toMatchObject({ generation: 2 });
  });

  it("asks again for a confirmation that does not come, and takes it however late", () => {
    value(release(app, alone()));
    answerAll(app);
    app.tick(app.limits.confirmRetryMs - 1);
    expect(answerAll(app)).toEqual([]);
    app.tick(1);
    // While the Cell has not answered yet, it does not wake itself to ask what it is asking already.
    expect(app.wakeAtMs).toBeGreaterThan(app.nowMs);
    expect(answerAll(app)).toMatchObject([{ request: { remove: [first], confirm: [first] } }]);
    app.restart();
    app.take({ kind: "poke", input: {} });
    gone(first);
    app.bringUp();
    expect(app.phase()).toBe("completed");
  });

  it("that fails goes back to the old release, again one after the other", () => {
    value(release(app, alone()));
    settle(app);
    gone(first);
    settle(app);
    const [second] = app.of(2) as [InstanceId];
    app.observe([second], { kind: "failed", failure });
    expect(app.phase()).toBe("failed");
    settle(app);
    expect([phaseOf(app, second), app.of(1)]).toEqual(["stopping", []]);
    gone(second);
    settle(app);
    const [third] = app.of(1) as [InstanceId];
    expect(rowOf(app, third)).toMatchObject({ version: 1, generation: 3 });
    app.observe([third], { kind: "ready" });
    expect(routeOf(app)).toMatchObject({ kind: "serving", releases: [{ version: 1, weight: 100 }] });
  });

  it("that is cancelled before the old one stopped brings the old release back", () => {
    const { rollout } = value(release(app, alone()));
    settle(app);
    value(app.take({ kind: "controlRollout", input: { ...as(null), command: "cancel", rollout: rollout!.id } }));
    expect([app.of(1), app.of(2)]).toEqual([[], []]);
    gone(first);
    settle(app);
    expect(app.of(1).length).toBe(1);
    expect(rowOf(app, app.of(1)[0]!).generation).toBe(2);
  });

  it("that supersedes another before the old one stopped is the only one that is placed", () => {
    value(release(app, alone()));
    settle(app);
    value(release(app, alone()));
    gone(first);
    app.bringUp();
    expect([app.phase(), app.of(2), app.of(3).length]).toEqual(["completed", [], 1]);
  });

  it("whose old instance never says that it stopped fails by its deadline, and says what it waited for", () => {
    value(release(app, alone()));
    settle(app);
    app.tick(app.limits.deadlineMs);
    expect(app.phase()).toBe("failed");
    const { phase } = [...app.tables.rollouts.values()].at(-1)!;
    expect(phase).toMatchObject({ failure: { kind: "deadline", waitingFor: expect.stringContaining("old one") } });
  });

  it.each([
    ["to one that is none", alone(), {}],
    ["from one that is none", {}, alone()],
    ["that is only a restart", alone(), null],
  ])("%s is one after the other too", (_name, before, after) => {
    const other = new BenchApp();
    other.deploy(before);
    const [old] = other.of(1) as [InstanceId];
    if (after) value(release(other, after));
    else value(other.take({ kind: "restart", input: as(null) }));
    settle(other);
    expect(phaseOf(other, old)).toBe("stopping");
    expect([...other.tables.instances.values()].filter(({ phase }) => phase.kind !== "ended").length).toBe(1);
    other.tell({ kind: "gone", instances: [old] });
    other.bringUp();
    expect(other.phase()).toBe("completed");
  });
});

describe("a singleton whose node is lost", () => {
  it("is not replaced while it may still run there, and leaves the route", () => {
    app.tell({ kind: "node_gone", node: nodeOf(app, first), instances: [], kept: [first] });
    settle(app);
    app.tick(3_600_000);
    expect([app.of(1), phaseOf(app, first)]).toEqual([[first], "running"]);
    expect(routeOf(app)).toEqual({ kind: "unavailable", reason: "no_ready_instance" });
    app.tell({ kind: "node_back", node: nodeOf(app, first) });
    app.observe([first], { kind: "ready" });
    expect(routeOf(app)).toMatchObject({ kind: "serving" });
    expect(app.tables.instances.size).toBe(1);
  });

  it("is replaced as soon as the Cell says that it is gone (strict, removed), and never runs again", () => {
    const node = nodeOf(app, first);
    app.tell({ kind: "node_gone", node, instances: [], kept: [first] });
    app.tell({ kind: "node_gone", node, instances: [first] });
    settle(app);
    const [second] = app.of(1) as [InstanceId];
    expect(rowOf(app, second)).toMatchObject({ generation: 2, phase: { kind: "running" } });
    app.tell({ kind: "node_back", node });
    expect(phaseOf(app, first)).toBe("ended");
    expect(app.of(1)).toEqual([second]);
  });

  it("waits for its end when it was stopping there, and goes on when the Cell knows it is gone", () => {
    const node = nodeOf(app, first);
    value(release(app, alone("strict")));
    settle(app);
    app.tell({ kind: "node_gone", node, instances: [], kept: [first] });
    settle(app);
    expect(app.of(2)).toEqual([]);
    app.tell({ kind: "node_gone", node, instances: [first] });
    app.bringUp();
    expect(app.phase()).toBe("completed");
    expect(phaseOf(app, first)).toBe("ended");
  });
});

describe("a singleton that ends by itself", () => {
  it("is replaced once its node has confirmed that it is gone", () => {
    app.observe([first], { kind: "failed", failure });
    settle(app);
    app.tick(app.limits.replaceBackoffMs);
    expect(app.of(1)).toEqual([]);
    gone(first);
    settle(app);
    expect(rowOf(app, app.of(1)[0]!)).toMatchObject({ generation: 2 });
  });

  it("is replaced without asking when its node said that it stopped for good", () => {
    app.observe([first], { kind: "stopped", exitCode: 0 });
    settle(app);
    app.tick(app.limits.replaceBackoffMs);
    settle(app);
    expect(phaseOf(app, first)).toBe("ended");
    expect(app.of(1).length).toBe(1);
  });
});

describe("a singleton that is to leave its node", () => {
  const evacuate = () => app.tell({ kind: "evacuate", node: nodeOf(app, first), instances: [first], reason: "drain" });

  it("runs on until room for the next is held, stops, and the next starts once it is gone", () => {
    const node = nodeOf(app, first);
    evacuate();
    expect(phaseOf(app, first)).toBe("running");
    const [reserve] = answerAll(app);
    expect(reserve).toMatchObject({ kind: "reserve", request: { leaseMs: app.limits.reservationLeaseMs + 20_000 } });
    expect(phaseOf(app, first)).toBe("stopping");
    expect(settle(app)).toEqual(["update"]);
    const [second] = app.of(1) as [InstanceId];
    expect(phaseOf(app, second)).toBe("committing");
    expect(nodeOf(app, second)).not.toBe(node);
    gone(first);
    expect(settle(app)).toContain("commit");
    app.observe([second], { kind: "ready" });
    expect(routeOf(app)).toMatchObject({ kind: "serving", releases: [{ weight: 100 }] });
  });

  it("stays where it runs while there is no room elsewhere, and says so", () => {
    evacuate();
    const refusal = { nodesTotal: 1, constraints: [] };
    for (const { call, request } of app.drain("call_cell")) {
      if (request.kind !== "reserve") continue;
      const refused = request.request.slots.map(({ instance }) => ({ instance, refusal }));
      app.take({ kind: "reserved", call, answer: { ok: true, value: { placements: [], refused } } });
    }
    app.tick(app.limits.heldIntervalMs);
    expect(phaseOf(app, first)).toBe("running");
    expect(routeOf(app)).toMatchObject({ kind: "serving" });
    answerAll(app);
    expect(app.tables.cells.get(CELL)!.heldTold).toContain("no room for its replacement");
  });

  it("finds room anew when what was held for it expired before the old one had stopped", () => {
    evacuate();
    settle(app);
    const [second] = app.of(1) as [InstanceId];
    app.tick(300_000);
    settle(app);
    gone(first);
    const [commit] = app.drain("call_cell");
    expect(commit?.request.kind).toBe("commit");
    const answer = { ok: false as const, failure: { code: "conflict" as const, message: "no longer held" } };
    app.take({ kind: "committed", call: commit!.call, answer });
    settle(app);
    const [third] = app.of(1) as [InstanceId];
    expect(rowOf(app, third)).toMatchObject({ generation: 3, phase: { kind: "running" } });
    expect([phaseOf(app, second), running()]).toEqual(["ended", 1]);
  });

  it("is not stopped on a node that is lost: it may run there, and nobody could confirm its end", () => {
    const node = nodeOf(app, first);
    app.tell({ kind: "node_gone", node, instances: [], kept: [first] });
    app.tell({ kind: "evacuate", node, instances: [first], reason: "drain" });
    settle(app);
    expect([phaseOf(app, first), app.of(1)]).toEqual(["running", [first]]);
  });

  it("is destroyed without waiting for anybody", () => {
    value(app.take({ kind: "destroy", input: as(null) }));
    settle(app);
    expect(phaseOf(app, first)).toBe("ended");
  });
});
