// core/cell: what nodes report of themselves (conditions, notices), and reports that cannot be true.
import { describe, expect, it } from "vitest";
import { Node } from "../../contracts/api.ts";
import { BerthEvent } from "../../contracts/events.ts";
import { documentOf } from "../../core/cell/document.ts";
import { insId, nodeId, value, type BenchCell } from "./bench-object.ts";
import { cellOf, commit, eventsOf, placed, reserve, seen, settle, told, update, view } from "./cell-bench.ts";

const condition = (kind: string, message = "91 % of the disk is used") => ({ kind, message, sinceMs: 5 });
const notice = (seq: number, atMs = 5) => ({ seq, kind: "orphan_stopped", instance: null, message: "x", atMs });
const dataOf = (cell: BenchCell, type: string) =>
  [...cell.tables.events.values()].filter((event) => event.type === type).map(({ data }) => data);

describe("a condition of a node", () => {
  it.each(["disk_pressure", "engine_down", "gateway_down"])("%s keeps placements away until it is over", (kind) => {
    const cell = cellOf(1);
    value(cell.beat(0, { conditions: [condition(kind)] }));
    expect(Node.parse(view(cell, 0)).conditions).toMatchObject([{ kind }]);
    expect(reserve(cell, "k", [1]).refused[0]?.refusal.constraints).toMatchObject([
      { constraint: "not_ready", nodesExcluded: 1, detail: `1 ${kind}` },
    ]);
    cell.restart();
    expect(reserve(cell, "l", [1]).placements).toEqual([]);
    value(cell.beat(0));
    expect(reserve(cell, "m", [1]).placements.length).toBe(1);
  });

  it("is one event when it begins and one when it ends, and no row for each heartbeat between", () => {
    const cell = cellOf(1);
    value(cell.beat(0, { conditions: [condition("disk_pressure")] }));
    value(cell.beat(0, { conditions: [condition("disk_pressure", "92 %")] }));
    expect(cell.rowsWritten).toBe(0);
    cell.restart();
    value(cell.beat(0, { conditions: [condition("disk_pressure", "93 %"), condition("engine_down", "no answer")] }));
    value(cell.beat(0, { conditions: [condition("engine_down")] }));
    value(cell.beat(0));
    expect(eventsOf(cell, nodeId(0)).slice(2)).toEqual([
      "node.condition",
      "node.condition",
      "node.recovered",
      "node.recovered",
    ]);
    expect(dataOf(cell, "node.condition")).toMatchObject([
      { name: "node-0", kind: "disk_pressure", message: "91 % of the disk is used" },
      { kind: "engine_down" },
    ]);
    for (const event of cell.tables.events.values()) BerthEvent.parse(event);
  });

  it("that is named twice in one heartbeat is one", () => {
    const cell = cellOf(1);
    value(cell.beat(0, { conditions: [condition("disk_pressure"), condition("disk_pressure", "of another disk")] }));
    value(cell.beat(0));
    expect(eventsOf(cell, nodeId(0)).slice(2)).toEqual(["node.condition", "node.recovered"]);
  });
});

describe("a notice", () => {
  it("is one event however often it is repeated, also after a restart, and is acknowledged", () => {
    const cell = cellOf(1);
    expect(value(cell.beat(0, { notices: [notice(1)] })).noticeAck).toBe(1);
    cell.restart();
    expect(value(cell.beat(0, { notices: [notice(2), notice(1)] })).noticeAck).toBe(2);
    expect(value(cell.beat(0)).noticeAck).toBe(2);
    expect(dataOf(cell, "node.notice").map(({ seq }) => seq)).toEqual([1, 2]);
  });
});

describe("a report that cannot be true", () => {
  it("of a time that has not come is taken for now", () => {
    const cell = cellOf(1);
    const farMs = cell.nowMs + 1e9;
    value(cell.beat(0, { notices: [notice(1, farMs)], conditions: [{ ...condition("engine_down"), sinceMs: farMs }] }));
    expect(dataOf(cell, "node.notice")).toMatchObject([{ atMs: cell.nowMs }]);
    expect(view(cell, 0).conditions).toMatchObject([{ sinceMs: cell.nowMs }]);
  });

  it("of a revision this cell never made is overtaken: the next document is above it, and it frees no room", () => {
    const cell = cellOf(1);
    placed(cell, 1, { cpuMilli: 1_000 });
    update(cell, { remove: [insId(1)] });
    const answer = value(cell.beat(0, { ackRevision: 900 }));
    expect(answer).toMatchObject({ leaseCommitted: false });
    expect(documentOf(cell.tables, nodeId(0))).toMatchObject({ revision: 901, instances: [] });
    expect(cell.drain("wake_node").at(-1)).toMatchObject({ revision: 901 });
    expect(reserve(cell, "k", [2], { cpuMilli: 1_000 }).placements).toEqual([]);
    settle(cell, 0);
    expect(reserve(cell, "l", [2], { cpuMilli: 1_000 }).placements.length).toBe(1);
    value(commit(cell, [2], { cpuMilli: 1_000 }));
    expect(documentOf(cell.tables, nodeId(0))).toMatchObject({ revision: 902 });
  });

  it("of a revision beyond all counting is refused, and changes nothing", () => {
    const cell = cellOf(1);
    expect(cell.beat(0, { ackRevision: 2 ** 51 })).toMatchObject({ failure: { code: "invalid_request" } });
    expect(view(cell, 0).revision).toBe(1);
  });

  it("of instances nobody assigned, of another node's, or of another generation is not passed on", () => {
    const cell = cellOf(2);
    const home = placed(cell, 1);
    told(cell);
    value(cell.beat(home, { observed: [seen(99, { kind: "ready" })] }));
    value(cell.beat(1 - home, { observed: [seen(1, { kind: "ready" })] }));
    value(cell.beat(home, { observed: [{ ...seen(1, { kind: "ready" }), generation: 2 }] }));
    expect(told(cell)).toEqual([]);
    expect(cell.tables.observed.size).toBe(0);
    expect(view(cell, home).instances).toBe(1);
  });
});
