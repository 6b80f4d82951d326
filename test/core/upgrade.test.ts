// A region's agent upgrade over pure Cells: stages, gates, what stops it, and what an operator can do about it.
import { expect, test } from "vitest";
import type { AgentUpgrade } from "../../contracts/agent-release.ts";
import { bench, NEW, type RegionBench } from "./upgrade-bench.ts";

const isOver = ({ state }: AgentUpgrade): boolean => state !== "running" && state !== "paused";

/** How many nodes had the new agent when each stage began. */
function upgradedAtStages(region: RegionBench): Record<string, number> {
  const seen: Record<string, number> = {};
  region.run((view) => {
    seen[view.stage] ??= region.upgradedCount();
    return isOver(view);
  });
  return seen;
}

test("one node, one cell, a tenth of the cells, all: each stage waits for the one before", () => {
  const region = bench({ cells: 12, nodesPerCell: 5 });
  region.start();
  const at = upgradedAtStages(region);
  expect(region.view()).toMatchObject({ state: "completed", counts: { nodes: 60, upgraded: 60 }, fault: null });
  expect(at).toEqual({ one_node: 0, one_cell: 1, ten_percent: 5, all: 10 });
  expect(region.view().story.map(({ text }) => text)).toEqual([
    `upgrade to ${NEW} started by user:op`,
    "stage one node of lab.0",
    "stage one cell",
    "stage a tenth of the cells",
    "stage all nodes",
    "completed: 60 upgraded",
  ]);
});

test("a bad release stops at the first node, whatever becomes of it: refused, reverted, or never back", () => {
  for (const kind of ["refused", "reverted", "gone"] as const) {
    const region = bench({ cells: 3, nodesPerCell: 4, bad: () => kind });
    region.start();
    region.run(isOver);
    const view = region.view();
    expect(view).toMatchObject({ state: "failed", stage: "one_node", counts: { upgraded: 0, waiting: 11 } });
    expect(region.toldCount(), kind).toBe(1);
    expect(view.fault?.name).toMatch(/^node-/);
    expect(view.story.at(-1)?.text).toContain(`stopped in stage one node: ${view.fault?.name}`);
    region.run(() => region.isQuiet());
    expect(region.namedCount()).toBe(0);
  }
});

test("one bad node in a later stage stops it there, and the rest of the region is never told", () => {
  const region = bench({ cells: 20, nodesPerCell: 4, bad: (cell, n) => (cell === 1 && n === 2 ? "reverted" : null) });
  region.start();
  region.run(isOver);
  expect(region.view()).toMatchObject({ state: "failed", stage: "ten_percent" });
  expect(region.toldCount()).toBeLessThanOrEqual(8);
});

test("paused, nobody else is told, and what is under way ends; resumed, it goes on to its end", () => {
  const region = bench({ cells: 2, nodesPerCell: 30 });
  region.start();
  region.run(({ stage }) => stage === "one_cell");
  region.run(() => region.upgradedCount() >= 2);
  expect(region.change("pause").state).toBe("paused");
  region.runFor(60_000);
  const paused = region.upgradedCount();
  expect(paused).toBeLessThan(30);
  expect(region.namedCount()).toBe(0);
  region.runFor(60_000);
  expect(region.upgradedCount()).toBe(paused);
  expect(region.change("resume").state).toBe("running");
  region.run(isOver);
  expect(region.view()).toMatchObject({ state: "completed", counts: { upgraded: 60 } });
});

test("a fault while it is paused stops it all the same", () => {
  const region = bench({ cells: 1, nodesPerCell: 4, bad: () => "reverted" });
  region.start();
  region.run(() => region.namedCount() > 0);
  region.change("pause");
  region.run(isOver);
  expect(region.view().state).toBe("failed");
});

test("aborted in any open state: documents name no agent any more, and another one may start", () => {
  for (const pauseFirst of [false, true]) {
    const region = bench({ cells: 2, nodesPerCell: 12 });
    region.start();
    region.run(({ stage }) => stage === "one_cell");
    if (pauseFirst) region.change("pause");
    expect(region.change("abort")).toMatchObject({ state: "aborted", stage: "one_cell" });
    region.run(() => region.isQuiet());
    expect(region.namedCount()).toBe(0);
    expect(region.tryChange("resume")).toMatchObject({ ok: false, failure: { code: "conflict" } });
    expect(region.tryStart("bb")).toMatchObject({ ok: true });
    region.run(isOver);
    expect(region.view()).toMatchObject({ state: "completed" });
  }
});

test("while one is under way another is refused by name; the same attempt again is the same upgrade", () => {
  const region = bench({ cells: 1, nodesPerCell: 3 });
  region.start();
  expect(region.tryStart("aa")).toMatchObject({ ok: true });
  const refused = region.tryStart("bb");
  expect(refused).toMatchObject({ ok: false, failure: { code: "conflict" } });
  expect(JSON.stringify(refused)).toContain("running in lab");
});

test("where nobody has anything to change it is over at once, and says why", () => {
  const region = bench({ cells: 2, nodesPerCell: 3, version: NEW });
  region.start();
  region.run(isOver);
  expect(region.view()).toMatchObject({ state: "completed", counts: { had: 6, upgraded: 0 } });
  expect(region.view().story.at(-1)?.text).toBe("completed: 0 upgraded, 6 had it");
  expect(region.toldCount()).toBe(0);
});

test("a cell that does not answer stops it in time, by name", () => {
  const region = bench({ cells: 3, nodesPerCell: 2, silentCell: 2 });
  region.start();
  region.run(isOver);
  expect(region.view()).toMatchObject({ state: "failed", fault: { node: null, name: "lab.2" } });
  expect(region.view().fault?.why).toMatch(/has not answered for 1[23]\d s/);
});

test("lost, doubled and late messages, and objects that start anew between any two steps, change nothing", () => {
  for (let seed = 1; seed <= 24; seed += 1) {
    const region = bench({ cells: 4, nodesPerCell: 5, chaos: seed });
    region.start();
    region.run(isOver);
    expect(region.view(), `seed ${seed}`).toMatchObject({ state: "completed", counts: { upgraded: 20 } });
    region.run(() => region.isQuiet());
    expect(region.namedCount(), `seed ${seed}`).toBe(0);
  }
});

test("with every chance of harm a bad release never reaches a second node", () => {
  for (let seed = 1; seed <= 24; seed += 1) {
    const region = bench({ cells: 4, nodesPerCell: 5, chaos: seed, bad: () => "reverted" });
    region.start();
    region.run(isOver);
    expect(region.view(), `seed ${seed}`).toMatchObject({ state: "failed", stage: "one_node" });
    expect(region.toldCount(), `seed ${seed}`).toBe(1);
  }
});

test("the next region hears of its turn when this one is completed, and not when it failed", () => {
  const good = bench({ cells: 1, nodesPerCell: 2 });
  good.start(["fra", "ams"]);
  good.run(isOver);
  good.runFor(2_000);
  expect(good.handedOver()).toMatchObject({ region: "fra", next: ["ams"], version: NEW });
  const bad = bench({ cells: 1, nodesPerCell: 2, bad: () => "refused" });
  bad.start(["fra"]);
  bad.run(isOver);
  bad.runFor(30_000);
  expect(bad.handedOver()).toBeNull();
});

test("its events go to history in order, each once", () => {
  const region = bench({ cells: 1, nodesPerCell: 2 });
  region.start();
  region.run(isOver);
  region.runFor(10_000);
  expect(region.delivered.map(({ type }) => type)).toEqual([
    "upgrade.started",
    "upgrade.stage",
    "upgrade.stage",
    "upgrade.completed",
  ]);
  expect(region.delivered.map(({ seq }) => seq)).toEqual([1, 2, 3, 4]);
});
