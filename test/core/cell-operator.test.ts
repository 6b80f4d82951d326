// core/cell: the operator's word on a node: cordon, drain, uncordon, removal, and what each leaves behind.
import { describe, expect, it } from "vitest";
import { Node, NodeInstance } from "../../contracts/api.ts";
import { BerthEvent } from "../../contracts/events.ts";
import { documentOf } from "../../core/cell/document.ts";
import { insId, nodeId, value } from "./bench-object.ts";
import {
  OPERATOR,
  appId,
  cellOf,
  commit,
  eventsOf,
  numberOf,
  on,
  placed,
  reserve,
  settle,
  silence,
  told,
  update,
  view,
} from "./cell-bench.ts";

const refusedBy = (answer: ReturnType<typeof reserve>) =>
  answer.refused[0]?.refusal.constraints.map(({ constraint, nodesExcluded }) => [constraint, nodesExcluded]);

describe("a cordoned node", () => {
  it("keeps what it has, takes nothing new, and says so to whom it refuses", () => {
    const cell = cellOf(1);
    placed(cell, 1);
    expect(Node.parse(value(cell.take({ kind: "cordon", input: on(0) })))).toMatchObject({
      cordoned: true,
      drain: null,
    });
    expect(refusedBy(reserve(cell, "k", [2]))).toEqual([["cordoned", 1]]);
    expect(documentOf(cell.tables, nodeId(0))?.instances.length).toBe(1);
    expect(value(cell.take({ kind: "summary", input: {} }))).toMatchObject({ readyNodes: 0 });
    expect(told(cell).filter(({ kind }) => kind === "evacuate")).toEqual([]);
  });

  it("is one event however often it is asked, and takes placements again once uncordoned, also after restarts", () => {
    const cell = cellOf(1);
    for (const kind of ["cordon", "cordon", "uncordon", "uncordon"] as const) {
      value(cell.take({ kind, input: on(0) }));
      cell.restart();
    }
    value(cell.beat(0));
    expect(eventsOf(cell, nodeId(0))).toEqual(["node.enrolled", "node.ready", "node.cordoned", "node.uncordoned"]);
    expect(reserve(cell, "k", [2]).placements.length).toBe(1);
    for (const event of cell.tables.events.values()) BerthEvent.parse(event);
    expect([...cell.tables.events.values()].at(-1)).toMatchObject({ actor: OPERATOR });
  });

  it("commits what was reserved on it before", () => {
    const cell = cellOf(1);
    reserve(cell, "k", [1]);
    value(cell.take({ kind: "cordon", input: on(0) }));
    expect(commit(cell, [1]).ok).toBe(true);
  });

  it("is not found, or gone, where there is no such node", () => {
    const cell = cellOf(1);
    for (const kind of ["cordon", "uncordon", "drain"] as const) {
      expect(cell.take({ kind, input: on(7) })).toMatchObject({ failure: { code: "not_found" } });
    }
    value(cell.take({ kind: "remove", input: { ...on(0), force: false } }));
    for (const kind of ["cordon", "uncordon", "drain"] as const) {
      expect(cell.take({ kind, input: on(0) })).toMatchObject({ failure: { code: "gone" } });
    }
  });
});

describe("a drain", () => {
  const evacuations = (cell: ReturnType<typeof cellOf>) => told(cell).filter(({ kind }) => kind === "evacuate");

  it("tells each app what is to leave, shows what holds it, and ends when nothing is left", () => {
    const cell = cellOf(1);
    for (const [n, app] of [
      [1, 1],
      [2, 1],
      [3, 2],
    ] as const)
      placed(cell, n, { app });
    settle(cell, 0, [insId(1), insId(2), insId(3)]);
    told(cell);
    expect(value(cell.take({ kind: "drain", input: on(0) }))).toMatchObject({
      cordoned: true,
      drain: { state: "draining", startedBy: OPERATOR, moved: 0, remaining: 3 },
    });
    expect(evacuations(cell)).toMatchObject([
      { node: nodeId(0), instances: [insId(1), insId(2)], reason: "drain" },
      { node: nodeId(0), instances: [insId(3)], reason: "drain" },
    ]);
    update(cell, { held: [{ instance: insId(2), reason: "no room: cpu, 300 missing" }], remove: [insId(1)] });
    expect(view(cell, 0).drain).toMatchObject({
      state: "draining",
      moved: 1,
      remaining: 3,
      holding: [
        { instance: insId(1), reason: expect.stringContaining("has not yet said that it stopped") },
        { instance: insId(2), app: appId(1), appName: "app-1", reason: "no room: cpu, 300 missing" },
        { instance: insId(3), reason: expect.stringContaining("asked to move it") },
      ],
    });
    update(cell, { remove: [insId(2)], held: [] });
    update(cell, { remove: [insId(3)] }, 2);
    expect(view(cell, 0).drain?.state).toBe("draining");
    settle(cell, 0);
    expect(view(cell, 0).drain).toMatchObject({ state: "drained", moved: 3, remaining: 0, holding: [] });
    expect(eventsOf(cell, nodeId(0)).slice(2)).toEqual(["node.draining", "node.drained"]);
    expect(cell.tables.held.size).toBe(0);
  });

  it("of an empty node is done at once, and asking again changes nothing", () => {
    const cell = cellOf(1);
    value(cell.take({ kind: "drain", input: on(0) }));
    expect(value(cell.take({ kind: "drain", input: on(0) })).drain?.state).toBe("drained");
    expect(eventsOf(cell, nodeId(0)).slice(2)).toEqual(["node.draining", "node.drained"]);
    expect(refusedBy(reserve(cell, "k", [1]))).toEqual([["draining", 1]]);
  });

  it("is told again to an app that said nothing of it, after a restart too, but not to one that did", () => {
    const cell = cellOf(1);
    placed(cell, 1);
    placed(cell, 2, { app: 2 });
    value(cell.take({ kind: "drain", input: on(0) }));
    expect(evacuations(cell).length).toBe(2);
    update(cell, { held: [{ instance: insId(1), reason: "waiting for readiness" }] });
    cell.tick(1_000);
    expect(evacuations(cell)).toEqual([]);
    for (let second = 0; second < 30; second += 1) cell.tick(1_000);
    expect(evacuations(cell)).toMatchObject([{ instances: [insId(2)] }]);
    cell.restart();
    cell.tick();
    expect(evacuations(cell)).toMatchObject([{ instances: [insId(2)] }]);
    update(cell, { held: [] });
    cell.tick(30_000);
    expect(evacuations(cell).flatMap((message) => ("instances" in message ? message.instances : []))).toEqual([
      insId(1),
      insId(2),
    ]);
  });

  it("also moves, at once, what was reserved before it began and is committed afterwards", () => {
    const cell = cellOf(1);
    placed(cell, 2, { app: 2 });
    reserve(cell, "k", [1]);
    value(cell.take({ kind: "drain", input: on(0) }));
    expect(view(cell, 0).drain).toMatchObject({ state: "draining", remaining: 2 });
    expect(evacuations(cell)).toMatchObject([{ instances: [insId(2)] }]);
    value(commit(cell, [1]));
    expect(evacuations(cell)).toContainEqual(expect.objectContaining({ instances: [insId(1)] }));
  });

  it("ends by the alarm when the last reservation on the node runs out", () => {
    const cell = cellOf(1);
    reserve(cell, "k", [1]);
    value(cell.take({ kind: "drain", input: on(0) }));
    expect(cell.wakeAtMs).not.toBeNull();
    while (view(cell, 0).drain?.state === "draining") {
      expect(cell.wakeAtMs!).toBeLessThanOrEqual(1_000_000 + 30_000);
      cell.tick(Math.max(1, cell.wakeAtMs! - cell.nowMs));
      value(cell.beat(0));
    }
    expect(cell.nowMs - 1_000_000).toBe(30_000);
  });

  it("that is called off tells the apps what stays, and says so in the story", () => {
    const cell = cellOf(1);
    placed(cell, 1);
    value(cell.take({ kind: "drain", input: on(0) }));
    update(cell, { held: [{ instance: insId(1), reason: "no room" }] });
    told(cell);
    expect(value(cell.take({ kind: "uncordon", input: on(0) }))).toMatchObject({ cordoned: false, drain: null });
    expect(told(cell)).toMatchObject([{ kind: "stay", node: nodeId(0) }]);
    expect(eventsOf(cell, nodeId(0)).slice(2)).toEqual(["node.draining", "node.drain_cancelled", "node.uncordoned"]);
    expect(cell.tables.held.size).toBe(0);
    cell.tick(60_000);
    expect(evacuations(cell)).toEqual([]);
    expect(reserve(cell, "again", [2]).placements.length).toBe(1);
  });

  it("goes on over the node's loss and return, and says meanwhile that the node is silent", () => {
    const cell = cellOf(2);
    const home = placed(cell, 1);
    value(cell.take({ kind: "drain", input: on(home) }));
    silence(cell, 12, { beating: [1 - home] });
    expect(view(cell, home)).toMatchObject({ phase: "lost", drain: { state: "draining" } });
    update(cell, { remove: [insId(1)] });
    expect(view(cell, home).drain?.holding[0]?.reason).toContain("the node is lost");
    settle(cell, home);
    expect(view(cell, home)).toMatchObject({ phase: "ready", cordoned: true, drain: { state: "drained" } });
  });

  it("of the last node that fits goes on, nothing stops, and the refusal is shown as what holds it", () => {
    const cell = cellOf(1);
    placed(cell, 1, { cpuMilli: 900 });
    value(cell.take({ kind: "drain", input: on(0) }));
    expect(refusedBy(reserve(cell, "replacement", [2], { cpuMilli: 900 }))).toEqual([["draining", 1]]);
    update(cell, { held: [{ instance: insId(1), reason: "no room: 1 of 1 nodes is draining" }] });
    for (let second = 0; second < 600; second += 1) {
      cell.nowMs += 1_000;
      if (second % 2 === 0) settle(cell, 0, [insId(1)]);
    }
    expect(documentOf(cell.tables, nodeId(0))?.instances.length).toBe(1);
    expect(view(cell, 0).drain).toMatchObject({
      state: "draining",
      holding: [{ reason: "no room: 1 of 1 nodes is draining" }],
    });
  });
});

it("a node's instances are listed with what is known of them", () => {
  const cell = cellOf(1);
  placed(cell, 1, { singleton: "strict" });
  placed(cell, 2, { app: 2 });
  settle(cell, 0, [insId(1), insId(2)]);
  update(cell, { remove: [insId(2)] }, 2);
  const { items } = value(cell.take({ kind: "nodeInstances", input: { node: nodeId(numberOf(cell, 1)) } }));
  for (const item of items) NodeInstance.parse(item);
  expect(items).toMatchObject([
    { id: insId(1), appName: "app-1", state: "run", singleton: "strict", observed: { kind: "ready" } },
    { id: insId(2), appName: "app-2", state: "gone", singleton: null },
  ]);
});
