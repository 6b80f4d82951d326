// core/cell: an App with nothing left in a cell is forgotten there, and both go on well when it comes back.
import { describe, expect, it } from "vitest";
import { BenchApp, CELL, insId, nodeId, value, type BenchCell } from "./bench-object.ts";
import { appId, cellOf, commit, desiredOf, placed, reserve, seen, settle, told, update } from "./cell-bench.ts";

const HOUR = 3_600_000;

/** Nodes beat on, so that the cell looks now and then for what it may forget. */
function pass(cell: BenchCell, ms: number): void {
  for (const endMs = cell.nowMs + ms; cell.nowMs < endMs;) {
    cell.nowMs += HOUR / 2;
    value(cell.beat(0));
    cell.take({ kind: "outbox_acked", lastSeq: cell.tables.counters.get("counters")!.eventSeq });
  }
}

/** App 1 had instance n here, heard of it, and took it out again. */
function cameAndWent(cell: BenchCell, n = 1, app = 1): void {
  cell.nowMs += 1_000;
  placed(cell, n, { app });
  value(cell.beat(0, { observed: [seen(n, { kind: "ready" }, app)] }));
  told(cell);
  update(cell, { remove: [insId(n)] }, app);
  settle(cell, 0);
  told(cell);
}

describe("an App with nothing left in a cell", () => {
  it("is forgotten after a day in which nothing was said, and not before", () => {
    const cell = cellOf(1);
    cameAndWent(cell);
    pass(cell, 23 * HOUR);
    expect(cell.tables.apps.size).toBe(1);
    pass(cell, 3 * HOUR);
    expect(cell.tables.apps.size).toBe(0);
  });

  it("counts its day anew when anything is said, also over a restart", () => {
    const cell = cellOf(1);
    cameAndWent(cell);
    pass(cell, 20 * HOUR);
    cell.restart();
    update(cell, {});
    pass(cell, 20 * HOUR);
    expect(cell.tables.apps.size).toBe(1);
    pass(cell, 6 * HOUR);
    expect(cell.tables.apps.size).toBe(0);
  });

  it("leaves nothing behind, however many there were", () => {
    const cell = cellOf(1);
    for (let n = 1; n <= 300; n += 1) cameAndWent(cell, n, n);
    expect(cell.tables.apps.size).toBe(300);
    pass(cell, 27 * HOUR);
    const { apps, messages, instances, answers, held, observed } = cell.tables;
    for (const table of [apps, messages, instances, answers, held, observed]) expect(table.size).toBe(0);
    expect(cell.volatile.holdings?.holdings).toMatchObject({ apps: 0, instances: 0 });
  });

  it("is forgotten so many at a time", () => {
    const cell = cellOf(1, { forgottenPerSweepMax: 10 });
    for (let n = 1; n <= 15; n += 1) cameAndWent(cell, n, n);
    const sizes = new Set<number>();
    for (let hour = 0; hour < 32; hour += 1) {
      pass(cell, HOUR);
      sizes.add(cell.tables.apps.size);
    }
    expect([...sizes]).toEqual([15, 5, 0]);
  });
});

describe("an App is remembered", () => {
  it("while it has an instance", () => {
    const cell = cellOf(1);
    placed(cell, 1);
    told(cell);
    pass(cell, 50 * HOUR);
    expect(cell.tables.apps.size).toBe(1);
  });

  it("while an instance of it has not stopped", () => {
    const cell = cellOf(1);
    placed(cell, 1);
    told(cell);
    const { revision } = cell.tables.nodes.get(nodeId(0))!;
    update(cell, { remove: [insId(1)] });
    for (let hour = 0; hour < 50; hour += 1) {
      cell.nowMs += HOUR;
      value(cell.beat(0, { ackRevision: revision }));
    }
    expect(cell.tables.apps.size).toBe(1);
  });

  it("while it has not acknowledged what it was told", () => {
    const cell = cellOf(1);
    placed(cell, 1);
    value(cell.beat(0, { observed: [seen(1, { kind: "ready" })] }));
    update(cell, { remove: [insId(1)] });
    settle(cell, 0);
    pass(cell, 50 * HOUR);
    expect([cell.tables.apps.size, cell.tables.messages.size]).toEqual([1, 1]);
    told(cell);
    pass(cell, 26 * HOUR);
    expect(cell.tables.apps.size).toBe(0);
  });
});

describe("an App that comes back to a cell which has forgotten it", () => {
  function forgotten(): { cell: BenchCell; app: BenchApp } {
    const cell = cellOf(1);
    const app = new BenchApp();
    for (const n of [11, 12, 13]) cameAndWent(cell, n, 2);
    cameAndWent(cell);
    pass(cell, 27 * HOUR);
    expect(cell.tables.apps.size).toBe(0);
    return { cell, app };
  }

  it("goes on with its own numbers", () => {
    const { cell } = forgotten();
    reserve(cell, "again", [9]);
    const request = { key: "c", app: appId(1), seq: 77, instances: [desiredOf(9)], routeVersion: 3 };
    value(cell.take({ kind: "commit", input: request }));
    value(cell.take({ kind: "commit", input: request }));
    expect(cell.tables.apps.get(appId(1))).toMatchObject({ inSeq: 77, routeVersion: 3 });
    expect(cell.tables.instances.size).toBe(1);
  });

  it("hears messages above all it heard before, whichever App had heard most, and takes them", () => {
    const { cell, app } = forgotten();
    // It had heard less than the other App; what it hears now has a gap to it.
    expect(app.tell({ kind: "stay", node: nodeId(0) })).toBe(1);
    placed(cell, 9);
    value(cell.beat(0, { observed: [seen(9, { kind: "ready" })] }));
    const [batch] = cell.drain("deliver_messages");
    expect(batch).toMatchObject({ app: appId(1), ackedSeq: 3, messages: [{ seq: 4, kind: "observed" }] });
    const { cell: name, ackedSeq, messages } = batch!;
    const deliver = (input: { ackedSeq?: number; messages: typeof messages }) =>
      app.take({ kind: "deliver", input: { cell: name, ...input } });
    expect(deliver({ messages })).toEqual({ ackSeq: 1 });
    expect(deliver({ ackedSeq, messages })).toEqual({ ackSeq: 4 });
    expect(app.tables.cells.get(CELL)).toMatchObject({ inSeq: 4 });
    // What was on its way since before is not taken again.
    expect(deliver({ ackedSeq: 0, messages: [{ ...messages[0]!, seq: 1 }] })).toEqual({ ackSeq: 4 });
    cell.take({ kind: "delivered", app: appId(1), ackSeq: 4 });
    expect([cell.tables.messages.size, cell.tables.apps.get(appId(1))]).toMatchObject([0, { ackedSeq: 4 }]);
  });

  it("does no harm with a call from before", () => {
    const { cell } = forgotten();
    expect(commit(cell, [1])).toMatchObject({ ok: false, failure: { code: "conflict" } });
    update(cell, { remove: [insId(1)], drain: [insId(2)], confirm: [insId(1)] });
    expect(told(cell)).toMatchObject([{ kind: "gone", instances: [insId(1)] }]);
    expect(cell.tables.instances.size).toBe(0);
  });
});
