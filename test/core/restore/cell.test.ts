// core/restore and core/cell/adoption: a Cell made from a backup listens first, stops nothing that runs, and repeats no number.
import { describe, expect, it } from "vitest";
import { RESTORE_SKIP } from "../../../contracts/backup.ts";
import type { DesiredDocument } from "../../../contracts/desired.ts";
import { documentOf } from "../../../core/cell/document.ts";
import { restoredCell } from "../../../core/restore/cell.ts";
import type { CopyRow } from "../../../core/restore/types.ts";
import { BenchCell, insId, nodeId, value } from "../bench-object.ts";
import { appId, cellOf, desiredOf, placed, seen, told } from "../cell-bench.ts";

const ADOPT_MS = 45_000;

function copyOf(cell: BenchCell): CopyRow[] {
  return Object.entries(cell.tables).flatMap(([table, rows]) =>
    [...rows].map(([key, row]) => ({ table, key, value: structuredClone(row) as unknown })),
  );
}
function restoredFrom(rows: readonly CopyRow[], apps = [appId(1)]): BenchCell {
  const cell = new BenchCell();
  const skip = { eventSeq: 5_000_000, nowMs: cell.nowMs, adoptMs: ADOPT_MS, apps };
  for (const { table, key, value: row } of restoredCell(rows, skip)) {
    (cell.tables[table as keyof BenchCell["tables"]] as Map<string, unknown>).set(key, row);
  }
  cell.tick();
  cell.effects = [];
  return cell;
}
const documentFor = (cell: BenchCell, n: number): DesiredDocument => documentOf(cell.tables, nodeId(n))!;

describe("a Cell made from a backup", () => {
  it("gives no document and takes no placement before its nodes have said what they run", () => {
    const before = cellOf(2);
    placed(before, 1);
    const cell = restoredFrom(copyOf(before));
    expect(documentOf(cell.tables, nodeId(0))).toBeNull();
    const request = { key: "k", app: appId(1), leaseMs: 1_000, occupied: [], slots: [] };
    expect(cell.take({ kind: "reserve", input: request })).toMatchObject({
      ok: false,
      failure: { code: "overloaded" },
    });
    // A region's snapshot without what runs here would be worse than the one before.
    expect(cell.take({ kind: "roster", input: {} })).toMatchObject({ ok: false, failure: { code: "overloaded" } });
    cell.tick(20_000);
    expect(cell.drain("probe_gateway")).toEqual([]);
    expect(cell.drain("wake_node")).toEqual([]);
  });

  it("goes on once every node was heard, with documents above all that they know and events above all that Postgres has", () => {
    const before = cellOf(2);
    const home = placed(before, 1);
    const copy = copyOf(before);
    const known = documentFor(before, home).revision;
    const cell = restoredFrom(copy);
    value(cell.beat(home, { ackRevision: known + 7, observed: [seen(1, { kind: "ready" })] }));
    expect(documentOf(cell.tables, nodeId(home))).toBeNull();
    value(cell.beat(1 - home));
    const document = documentFor(cell, home);
    expect(document.revision).toBeGreaterThan(known + RESTORE_SKIP);
    expect(document.instances.map(({ instance }) => instance)).toEqual([insId(1)]);
    expect(cell.tables.counters.get("counters")!.eventSeq).toBeGreaterThanOrEqual(5_000_000);
    const [message, ...others] = told(cell);
    expect(others).toEqual([]);
    expect(message).toMatchObject({ kind: "restored", last: true, present: [{ observed: { instance: insId(1) } }] });
    expect(message!.seq).toBeGreaterThan(RESTORE_SKIP);
  });

  it("takes an agent that does not know yet what runs for one that has said nothing", () => {
    const before = cellOf(1);
    placed(before, 1);
    const cell = restoredFrom(copyOf(before));
    value(cell.beat(0, { ackRevision: 0, observed: [] }));
    expect(documentOf(cell.tables, nodeId(0))).toBeNull();
    value(cell.beat(0, { ackRevision: 3, observed: [seen(1, { kind: "ready" })] }));
    expect(documentFor(cell, 0).instances).toHaveLength(1);
  });

  it("asks for the document of a node that runs what it does not know, adopts that, and never leaves it out", () => {
    const before = cellOf(1);
    placed(before, 1);
    const cell = restoredFrom(copyOf(before));
    const observed = [seen(1, { kind: "ready" }), seen(2, { kind: "ready" })];
    const asked = value(cell.beat(0, { ackRevision: 40, observed }));
    expect(asked).toMatchObject({ tellDocument: true, revision: 40 });
    cell.tick(ADOPT_MS);
    expect(documentOf(cell.tables, nodeId(0))).toBeNull();
    const instances = [desiredOf(1), desiredOf(2)];
    const document = { node: nodeId(0), revision: 40, instances, routes: {}, watch: [] };
    expect(value(cell.beat(0, { ackRevision: 40, observed, document })).tellDocument).toBeUndefined();
    expect(documentFor(cell, 0).instances.map(({ instance }) => instance)).toEqual([insId(1), insId(2)]);
    expect(documentFor(cell, 0).revision).toBeGreaterThan(40);
    const present = told(cell).flatMap((message) => (message.kind === "restored" ? message.present : []));
    expect(present.map(({ desired }) => desired.instance)).toContain(insId(2));
  });

  it("forgets what its node has stopped since, because a stop is final, and frees its room", () => {
    const before = cellOf(1);
    placed(before, 1);
    placed(before, 2);
    const cell = restoredFrom(copyOf(before));
    value(cell.beat(0, { ackRevision: 9, observed: [seen(2, { kind: "ready" })] }));
    expect(documentFor(cell, 0).instances.map(({ instance }) => instance)).toEqual([insId(2)]);
    expect(told(cell)).toMatchObject([{ kind: "restored", present: [{ desired: { instance: insId(2) } }] }]);
  });

  it("waits no longer than its window for a node that stays silent, and calls it lost only after that", () => {
    const before = cellOf(2);
    placed(before, 1, { policy: {} });
    const cell = restoredFrom(copyOf(before));
    value(cell.beat(0, { ackRevision: 9, observed: [seen(1, { kind: "ready" })] }));
    expect(cell.drain("wake_node")).toEqual([]);
    cell.tick(ADOPT_MS);
    expect(cell.drain("wake_node").map(({ node }) => node)).toContain(nodeId(0));
    expect(cell.tables.nodes.get(nodeId(1))!.phase).toBe("ready");
  });

  it("acknowledges no metering before it knows whose it is", () => {
    const before = cellOf(2);
    const cell = restoredFrom(copyOf(before));
    const metering = [{ seq: 1, fromMs: 0, toMs: 1, instances: [] }];
    expect(value(cell.beat(0, { ackRevision: 9, metering })).meteringAck).toBe(0);
    value(cell.beat(1, { ackRevision: 9 }));
    expect(value(cell.beat(0, { ackRevision: 9, metering })).meteringAck).toBe(1);
  });

  it("tells Apps that believe they have instances here, although it has none of them", () => {
    const cell = restoredFrom(copyOf(cellOf(1)), [appId(3)]);
    value(cell.beat(0, { ackRevision: 9 }));
    expect(told(cell)).toMatchObject([{ kind: "restored", present: [], last: true }]);
  });

  it("still revokes a node while it listens", () => {
    const cell = restoredFrom(copyOf(cellOf(2)));
    value(cell.take({ kind: "revoke", input: { node: nodeId(0), actor: "user:op" } }));
    expect(cell.beat(0)).toMatchObject({ ok: false, failure: { code: "node_revoked" } });
  });
});
