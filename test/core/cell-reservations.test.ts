// core/cell: the reservation protocol: what is granted once, half, late, again, or to nobody.
import { describe, expect, it } from "vitest";
import { insId, nodeId, value, type BenchCell } from "./bench-object.ts";
import { appId, cellOf, commit, placed, reserve, settle, slotOf, update } from "./cell-bench.ts";

const heldCpu = (cell: BenchCell): number =>
  value(cell.take({ kind: "listNodes", input: {} })).items.reduce((sum, node) => sum + node.reserved.cpuMilli, 0);
const constraintsOf = (answer: ReturnType<typeof reserve>) =>
  answer.refused.map(({ refusal }) => refusal.constraints.map(({ constraint }) => constraint));

describe("a reserve", () => {
  it("grants what fits, refuses the rest, and a repetition under its key gets the same and holds no more", () => {
    const cell = cellOf(1);
    const first = reserve(cell, "k", [1, 2, 3], { cpuMilli: 400 });
    expect([first.placements.length, first.refused.length]).toEqual([2, 1]);
    cell.restart();
    expect(reserve(cell, "k", [1, 2, 3], { cpuMilli: 400 })).toEqual(first);
    expect(heldCpu(cell)).toBe(800);
  });

  it("half granted is completed elsewhere or given back: what is not committed is free again at once", () => {
    const cell = cellOf(1);
    reserve(cell, "k", [1, 2, 3], { cpuMilli: 400 });
    update(cell, { remove: [insId(1), insId(2)] });
    expect(heldCpu(cell)).toBe(0);
    expect(commit(cell, [1], { cpuMilli: 400 })).toMatchObject({ failure: { code: "conflict" } });
  });

  it("that nobody follows up runs out by alarm, and a commit after that is refused, also when it is repeated", () => {
    const cell = cellOf(1, { summaryIntervalMs: 1e9 });
    const startedAtMs = cell.nowMs;
    reserve(cell, "k", [1]);
    while (cell.tables.reservations.size > 0) {
      expect(cell.wakeAtMs).not.toBeNull();
      expect(cell.wakeAtMs!).toBeLessThanOrEqual(startedAtMs + 30_000);
      cell.tick(Math.max(1, cell.wakeAtMs! - cell.nowMs));
    }
    expect(cell.nowMs).toBe(startedAtMs + 30_000);
    expect(heldCpu(cell)).toBe(0);
    for (let time = 0; time < 2; time += 1) {
      expect(commit(cell, [1])).toMatchObject({
        failure: { code: "conflict", message: expect.stringContaining("no longer held") },
      });
    }
  });

  it("keeps its end over a restart", () => {
    const cell = cellOf(1);
    reserve(cell, "k", [1]);
    cell.restart();
    cell.tick(30_000);
    expect(cell.tables.reservations.size).toBe(0);
  });

  it("under a new key moves the room of an instance instead of holding it twice", () => {
    const cell = cellOf(1);
    reserve(cell, "k", [1], { cpuMilli: 600 });
    expect(reserve(cell, "l", [1], { cpuMilli: 600 }).placements.length).toBe(1);
    expect(heldCpu(cell)).toBe(600);
  });

  it("that comes a second time after everything was settled holds nothing more and names where the instance is", () => {
    const cell = cellOf(2);
    const home = placed(cell, 1, { cpuMilli: 600 });
    cell.tick(30_000);
    expect(cell.tables.answers.size).toBe(0);
    const late = reserve(cell, "k1", [1], { cpuMilli: 600 });
    expect(late.placements).toMatchObject([{ instance: insId(1), node: nodeId(home) }]);
    expect(heldCpu(cell)).toBe(600);
  });

  it("cannot be committed by another app, nor in another generation", () => {
    const cell = cellOf(1);
    reserve(cell, "k", [1]);
    expect(commit(cell, [1], { app: 2 })).toMatchObject({ failure: { code: "conflict" } });
    expect(commit(cell, [1]).ok).toBe(true);
  });

  it("is refused with cell_full, and nothing else, in a cell that holds as many instances as it may", () => {
    const cell = cellOf(2, { instancesPerCellMax: 3 });
    placed(cell, 1);
    const answer = reserve(cell, "k", [2, 3, 4]);
    expect(answer.placements.length).toBe(2);
    expect(constraintsOf(answer)).toEqual([["cell_full"]]);
    update(cell, { remove: [insId(2)] });
    expect(reserve(cell, "l", [5]).placements.length).toBe(1);
  });

  it("holds host ports from the first promise until the instance before has stopped", () => {
    const cell = cellOf(1);
    const policy = { hostPorts: [25_565] };
    reserve(cell, "k", [1], { policy });
    expect(constraintsOf(reserve(cell, "l", [2], { policy }))).toEqual([["ports"]]);
    value(commit(cell, [1], { policy }));
    expect(constraintsOf(reserve(cell, "m", [2], { policy }))).toEqual([["ports"]]);
    update(cell, { remove: [insId(1)] });
    expect(constraintsOf(reserve(cell, "n", [2], { policy }))).toEqual([["ports"]]);
    settle(cell, 0);
    expect(reserve(cell, "o", [2], { policy }).placements.length).toBe(1);
  });

  it("stays away from apps of its team that are only promised room so far", () => {
    const cell = cellOf(1);
    reserve(cell, "k", [1], { app: 2 });
    const policy = { awayFrom: ["app-2"] };
    expect(constraintsOf(reserve(cell, "l", [2], { policy }))).toEqual([["away_from"]]);
    update(cell, { remove: [insId(1)] }, 2);
    expect(reserve(cell, "m", [2], { policy }).placements.length).toBe(1);
  });

  it("keeps an app off nodes where one of its team stays away from it, reserved or running, until that has gone", () => {
    const cell = cellOf(1);
    const policy = { awayFrom: ["app-2"] };
    reserve(cell, "k", [1], { policy });
    expect(constraintsOf(reserve(cell, "l", [2], { app: 2 }))).toEqual([["away_from"]]);
    value(commit(cell, [1], { policy }));
    const { refused } = reserve(cell, "m", [2], { app: 2 });
    expect(refused[0]?.refusal.constraints).toMatchObject([{ constraint: "away_from", detail: "kept away by app-1" }]);
    expect(reserve(cell, "n", [3], { app: 3 }).placements.length).toBe(1);
    update(cell, { remove: [insId(1)] });
    settle(cell, 0);
    expect(reserve(cell, "o", [2], { app: 2 }).placements.length).toBe(1);
  });

  it("prefers a node that said it has the image", () => {
    for (const has of [0, 1, 2]) {
      const cell = cellOf(3);
      value(cell.beat(has, { images: ["sha256:abc"] }));
      const slots = [{ ...slotOf(1), image: "sha256:abc" }];
      const input = { key: "k", app: appId(1), leaseMs: 30_000, occupied: [], slots };
      expect(value(cell.take({ kind: "reserve", input })).placements[0]?.node).toBe(nodeId(has));
    }
  });
});

it("never holds more than a node has, whatever order of calls came before", () => {
  const cell = cellOf(2);
  let n = 0;
  for (let round = 0; round < 200; round += 1) {
    const ns = [(n += 1), (n += 1), (n += 1)];
    const granted = reserve(cell, `k${round}`, ns, { cpuMilli: 90 + (round % 7) * 40 }).placements.map(({ instance }) =>
      ns.find((candidate) => insId(candidate) === instance)!,
    );
    if (round % 3 === 0 && granted.length > 0) commit(cell, granted, { cpuMilli: 90 + (round % 7) * 40 });
    if (round % 4 === 1)
      update(cell, { remove: [...cell.tables.instances.keys()].slice(0, 2).map((id) => id as never) });
    if (round % 5 === 2) for (const node of [0, 1]) settle(cell, node);
    cell.nowMs += 2_000;
    for (const node of value(cell.take({ kind: "listNodes", input: {} })).items) {
      expect(node.reserved.cpuMilli).toBeLessThanOrEqual(node.capacity.cpuMilli);
    }
  }
});
