// core/app: where Apps look for room for what was lost, when thousands of them do so at once with equally old lists.
import { describe, expect, it } from "vitest";
import type { CellName, InstanceId } from "../../contracts/ids.ts";
import type { CellSummary, NodeKind } from "../../core/messages.ts";
import { nodeOf } from "./app-on-bench.ts";
import { BenchApp, CELL, REGION, summary } from "./bench-object.ts";

const cellName = (number: number) => `lab.${number}` as CellName;
const rack = (failureDomain: string, cpuMilli: number): NodeKind => ({
  failureDomain,
  runtime: "docker",
  labels: {},
  hostPorts: [],
  rooms: [[cpuMilli, cpuMilli * 2, 100_000, 1_000, 4]],
});
const cellWith = (cell: CellName, ...kinds: NodeKind[]): CellSummary => ({ ...summary(cell), kinds });
/** The rack of every node that the bench grants (placementOf). */
const LOST_RACK = "rack-0";

/** An App that serves with one instance in CELL, and whose list is a minute old when its node falls silent for good. */
function bereaved(cells: CellSummary[], { app = 1, replicas = 1 } = {}): BenchApp {
  const bench = new BenchApp({}, { app });
  bench.deploy({}, replicas);
  bench.take({ kind: "cells_known", region: REGION, items: cells });
  bench.nowMs += 60_000;
  bench.tick();
  bench.effects = [];
  const [first] = bench.of(1) as [InstanceId];
  bench.tell({ kind: "node_gone", node: nodeOf(bench, first), instances: [first] });
  return bench;
}
const asked = (app: BenchApp): CellName[] =>
  app.drain("call_cell").flatMap(({ cell, request }) => (request.kind === "reserve" ? [cell] : []));
const askedRegion = (app: BenchApp): boolean => app.drain("ask_region").length > 0;
const refuseAll = (app: BenchApp): CellName[] =>
  app.drain("call_cell").flatMap(({ call, cell, request }) => {
    if (request.kind !== "reserve") return [];
    const refused = request.request.slots.map(({ instance }) => ({
      instance,
      refusal: { nodesTotal: 1, constraints: [] },
    }));
    app.take({ kind: "reserved", call, answer: { ok: true, value: { placements: [], refused } } });
    return [cell];
  });

describe("an App that replaces what was lost", () => {
  it("asks the cell where it was first, if another rack there shows room, although it fits better elsewhere", () => {
    const app = bereaved([cellWith(CELL, rack("other", 8_000)), cellWith(cellName(1), rack("other", 500))]);
    expect(asked(app)).toEqual([CELL]);
  });

  it("passes over the rack that was lost, whose other nodes fall silent next", () => {
    const app = bereaved([cellWith(CELL, rack(LOST_RACK, 500)), cellWith(cellName(1), rack("other", 8_000))]);
    expect(asked(app)).toEqual([cellName(1)]);
  });

  it("passes over racks where its siblings are, while there are others", () => {
    const sibling = "rack-1";
    const app = bereaved([cellWith(CELL, rack(sibling, 500)), cellWith(cellName(1), rack("other", 8_000))], {
      replicas: 2,
    });
    const racks = [...app.tables.instances.values()].flatMap(({ placement }) => placement?.failureDomain ?? []);
    expect(racks).toContain(sibling);
    expect(asked(app)).toEqual([cellName(1)]);
  });

  it("takes the lost rack where nothing else shows room", () => {
    const app = bereaved([cellWith(CELL, rack(LOST_RACK, 500)), cellWith(cellName(1), rack("other", 10))]);
    expect(asked(app)).toEqual([CELL]);
  });

  it("comes to other cells than its neighbours, which hold the same list", () => {
    const cells = Array.from({ length: 40 }, (_, number) => cellWith(cellName(number), rack(`rack-${number}`, 500)));
    const chosen = new Map<CellName, number>();
    for (let app = 1; app <= 100; app += 1) {
      for (const cell of asked(bereaved(cells, { app }))) chosen.set(cell, (chosen.get(cell) ?? 0) + 1);
    }
    expect(chosen.has(CELL)).toBe(false);
    expect(chosen.size).toBeGreaterThan(12);
    expect(Math.max(...chosen.values())).toBeLessThan(25);
  });

  it("never waits for the Region where there are cells to ask, and then asks it in its turn, not with all the others", () => {
    const turns: number[] = [];
    for (let number = 1; number <= 40; number += 1) {
      const app = bereaved([cellWith(CELL, rack("other", 10)), cellWith(cellName(1), rack("other", 10))], {
        app: number,
      });
      const lostAtMs = app.nowMs;
      expect(refuseAll(app)).toHaveLength(1);
      expect(refuseAll(app)).toHaveLength(1);
      while (!askedRegion(app)) {
        app.nowMs = Math.max(app.nowMs + 1, app.wakeAtMs ?? Infinity);
        expect(app.nowMs).toBeLessThanOrEqual(lostAtMs + 2 * app.limits.lostAskSpreadMs);
        app.tick();
        refuseAll(app);
      }
      turns.push(app.nowMs - lostAtMs);
    }
    const inTheFirstSeconds = turns.filter((turn) => turn < 2_000).length;
    expect(inTheFirstSeconds).toBeLessThan(turns.length / 2);
    expect(new Set(turns).size).toBeGreaterThan(2);
  });

  it("spares the Region the question where the old list was good enough", () => {
    const app = bereaved([cellWith(CELL, rack("other", 500)), cellWith(cellName(1), rack("other", 500))]);
    app.grantAll();
    app.tick(app.limits.lostAskSpreadMs * 2);
    expect(askedRegion(app)).toBe(false);
  });

  it("still waits for the Region's word where it knows no other cell", () => {
    const app = bereaved([cellWith(CELL, rack("other", 10))]);
    expect(asked(app)).toEqual([]);
    expect(askedRegion(app)).toBe(true);
  });
});
