// core/app: which cells an App asks, by what its Region said, and when it does not believe an old list.
import { describe, expect, it } from "vitest";
import type { CellName } from "../../contracts/ids.ts";
import type { CellSummary, NodeKind } from "../../core/messages.ts";
import { BenchApp, CELL, REGION, as, spec, summary, value } from "./bench-object.ts";

const OTHER = "lab.1" as CellName;
const kind = (failureDomain: string, cpuMilli: number, nodes = 1, more: Partial<NodeKind> = {}): NodeKind => ({
  failureDomain,
  runtime: "docker",
  labels: {},
  hostPorts: [],
  rooms: [[cpuMilli, cpuMilli * 2, 100_000, 1_000, nodes]],
  ...more,
});
const cellWith = (cell: CellName, ...kinds: NodeKind[]): CellSummary => ({ ...summary(cell), kinds });
const knows = (app: BenchApp, ...items: CellSummary[]): void =>
  void app.take({ kind: "cells_known", region: REGION, items });
const release = (app: BenchApp, replicas: number, more: Record<string, unknown> = {}) =>
  value(app.take({ kind: "acceptRelease", input: { ...as(null), spec: spec(more), replicas, privateImage: false } }));
const asked = (app: BenchApp) =>
  app
    .drain("call_cell")
    .flatMap(({ cell, request }) => (request.kind === "reserve" ? [{ cell, ...request.request }] : []));
/** Answered as soon as it is asked, so that only what is asked later shows. */
const askedRegion = (app: BenchApp): boolean => app.drain("ask_region").length > 0;

describe("an App that looks for room", () => {
  it("asks the cell where its slot fits best", () => {
    const app = new BenchApp({}, { cells: [cellWith(CELL, kind("r1", 8_000)), cellWith(OTHER, kind("r1", 1_000))] });
    release(app, 1);
    expect(asked(app).map(({ cell }) => cell)).toEqual([OTHER]);
  });

  it("asks cells of other racks at once for replicas that are to be apart, and tells each where the others are going", () => {
    const app = new BenchApp({}, { cells: [cellWith(CELL, kind("r1", 8_000)), cellWith(OTHER, kind("r2", 8_000))] });
    release(app, 2, { placement: { failureDomains: "required" } });
    const calls = asked(app);
    expect(new Set(calls.map(({ cell }) => cell))).toEqual(new Set([CELL, OTHER]));
    for (const { cell, occupied } of calls) {
      expect(occupied.map(({ failureDomain }) => failureDomain)).toEqual([cell === CELL ? "r2" : "r1"]);
    }
  });

  it("asks one cell for all that fits there", () => {
    const app = new BenchApp(
      {},
      { cells: [cellWith(CELL, kind("r1", 1_000, 64)), cellWith(OTHER, kind("r1", 8_000))] },
    );
    release(app, 20);
    const calls = asked(app);
    expect(calls.map(({ cell, slots }) => [cell, slots.length])).toEqual([[CELL, 20]]);
  });

  it("asks those without room by their summaries too, the emptiest first, before it says that there is none", () => {
    const app = new BenchApp({}, { cells: [cellWith(CELL, kind("r1", 10)), cellWith(OTHER, kind("r1", 10))] });
    release(app, 1);
    expect(asked(app)).toHaveLength(1);
    expect(askedRegion(app)).toBe(false);
  });

  it("asks its Region again, and waits a call long, where a list from before the release shows no room", () => {
    const app = new BenchApp({}, { cells: [cellWith(CELL, kind("r1", 10))] });
    app.nowMs += 100;
    release(app, 1);
    expect(asked(app)).toEqual([]);
    expect(askedRegion(app)).toBe(true);
    app.nowMs += 5;
    knows(app, cellWith(CELL, kind("r1", 1_000)));
    expect(asked(app).map(({ cell }) => cell)).toEqual([CELL]);
  });

  it("uses an old list that shows room at once, while it asks for a new one", () => {
    const app = new BenchApp({}, { cells: [cellWith(CELL, kind("r1", 1_000))] });
    app.nowMs += 60_000;
    release(app, 1);
    expect(asked(app)).toHaveLength(1);
    expect(askedRegion(app)).toBe(true);
  });

  it("fails a rollout at once, by name, in a region where nobody ever enrolled a node", () => {
    const app = new BenchApp({}, { cells: [] });
    app.nowMs += 100;
    release(app, 1);
    app.nowMs += 5;
    knows(app);
    app.tick();
    const [rollout] = [...app.tables.rollouts.values()];
    expect(rollout?.phase).toMatchObject({
      kind: "failed",
      failure: { kind: "no_capacity", message: `no node was ever enrolled in region ${REGION}` },
    });
  });

  it("says for how many of the replicas there is no room, and why", () => {
    const app = new BenchApp({}, { cells: [cellWith(CELL, kind("r1", 10))] });
    release(app, 2);
    const [call] = app.drain("call_cell");
    const slots = call!.request.kind === "reserve" ? call!.request.request.slots : [];
    const constraints = [{ constraint: "cpu" as const, nodesExcluded: 1, requested: 250, missing: 240 }];
    const refused = slots.map(({ instance }) => ({ instance, refusal: { nodesTotal: 1, constraints } }));
    app.take({ kind: "reserved", call: call!.call, answer: { ok: true, value: { placements: [], refused } } });
    const told = [...app.tables.events.values()].filter(({ type }) => type === "placement.refused");
    const message = "of 1 node, 1 excluded by cpu (240 m missing on the nearest)";
    expect(told.map(({ data }) => data)).toMatchObject([
      { waiting: 1, replicas: 2, message },
      { waiting: 2, replicas: 2, message },
    ]);
  });
});
