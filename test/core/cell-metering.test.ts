// core/cell: metering: a node's rows are of what was placed on it, and of nothing else, however late they come.
import { describe, expect, it } from "vitest";
import { BerthEvent } from "../../contracts/events.ts";
import type { ReleaseId, TeamId } from "../../contracts/ids.ts";
import { idFor, insId, value, type BenchCell } from "./bench-object.ts";
import { appId, cellOf, on, placed, settle, TEAM, told, update } from "./cell-bench.ts";

const NOTHING = { requests: 0, status: { s1xx: 0, s2xx: 0, s3xx: 0, s4xx: 0, s5xx: 0 }, bytesIn: 0, bytesOut: 0 };
const counters = (n: number, more: Record<string, unknown> = {}) => ({
  ...{ instance: insId(n), generation: 1, app: appId(1), team: TEAM, release: idFor<ReleaseId>("rel", 1) },
  ...{ runningMs: 300_000, cpuMs: 10, memoryByteMs: 10, ...NOTHING, ...more },
});
const row = (cell: BenchCell, seq: number, instances: unknown[], fromMs = cell.nowMs) => ({
  ...{ seq, fromMs, toMs: fromMs + 300_000, instances },
});
const eventsOf = (cell: BenchCell, type: string) =>
  [...cell.tables.events.values()].filter((event) => event.type === type).map(({ data }) => data);
const billed = (cell: BenchCell) =>
  eventsOf(cell, "node.metered").map(({ instances }) => (instances as { instance: string }[]).map((i) => i.instance));
const dropped = (cell: BenchCell) => eventsOf(cell, "node.metering_dropped");

describe("a metering row", () => {
  it.each<[string, Record<string, unknown>]>([
    ["another app", { app: appId(2) }],
    ["another team", { team: idFor<TeamId>("team", 2) }],
    ["another release", { release: idFor<ReleaseId>("rel", 2) }],
    ["another generation", { generation: 2 }],
    ["an instance that nobody placed", { instance: insId(99) }],
  ])("that bills for %s is passed on without it, and an event says so", (_name, lie) => {
    const cell = cellOf(1);
    placed(cell, 1);
    placed(cell, 2);
    const answer = value(cell.beat(0, { metering: [row(cell, 1, [counters(1, lie), counters(2)])] }));
    expect(answer.meteringAck).toBe(1);
    expect(billed(cell)).toEqual([[insId(2)]]);
    const named = lie.instance ?? insId(1);
    expect(dropped(cell)).toMatchObject([{ name: "node-0", seq: 1, dropped: 1, instances: [named] }]);
    for (const event of cell.tables.events.values()) BerthEvent.parse(event);
  });

  it("cannot bill for what runs on another node", () => {
    const cell = cellOf(2);
    const home = placed(cell, 1);
    value(cell.beat(1 - home, { metering: [row(cell, 1, [counters(1)])] }));
    expect([billed(cell), dropped(cell).length]).toEqual([[[]], 1]);
    value(cell.beat(home, { metering: [row(cell, 1, [counters(1)])] }));
    expect(billed(cell)[1]).toEqual([insId(1)]);
  });

  it("counts an instance once, and names at most twenty that it drops", () => {
    const cell = cellOf(1);
    placed(cell, 1);
    const many = Array.from({ length: 50 }, (_, n) => counters(100 + n));
    value(cell.beat(0, { metering: [row(cell, 1, [counters(1), counters(1), ...many])] }));
    expect(billed(cell)).toEqual([[insId(1)]]);
    expect(dropped(cell)).toMatchObject([{ dropped: 51, instances: { length: 20 } }]);
  });

  it("of an honest node drops nothing and says nothing", () => {
    const cell = cellOf(1);
    placed(cell, 1);
    value(cell.beat(0, { metering: [row(cell, 1, [counters(1)]), row(cell, 2, [])] }));
    expect([billed(cell), dropped(cell)]).toEqual([[[insId(1)], []], []]);
  });
});

describe("usage of an instance that has left", () => {
  function left(): BenchCell {
    const cell = cellOf(1);
    placed(cell, 1);
    told(cell);
    update(cell, { remove: [insId(1)] });
    settle(cell, 0);
    expect(cell.tables.instances.size).toBe(0);
    return cell;
  }
  /** Beats every half an hour, so that nothing is lost and the cell looks for what it may forget. */
  const pass = (cell: BenchCell, ms: number): void => {
    for (const endMs = cell.nowMs + ms; cell.nowMs < endMs;) {
      cell.nowMs += 1_800_000;
      value(cell.beat(0));
    }
  };

  it("is still billed, after a restart and days later, as long as its node has not told of the time since", () => {
    const cell = left();
    cell.restart();
    const fromMs = cell.nowMs;
    pass(cell, 5 * 86_400_000);
    value(cell.beat(0, { metering: [row(cell, 1, [counters(1)], fromMs)] }));
    expect([billed(cell), dropped(cell)]).toEqual([[[insId(1)]], []]);
  });

  it("is forgotten once the node told of a time well after it", () => {
    const cell = left();
    pass(cell, 2 * 3_600_000);
    value(cell.beat(0, { metering: [row(cell, 1, [counters(1)])] }));
    expect([billed(cell), cell.tables.left.size]).toEqual([[[insId(1)]], 1]);
    pass(cell, 2 * 3_600_000);
    expect(cell.tables.left.size).toBe(0);
    value(cell.beat(0, { metering: [row(cell, 2, [counters(1)])] }));
    expect(dropped(cell)).toMatchObject([{ seq: 2, dropped: 1 }]);
  });

  it("is forgotten when no agent would tell of it any more, or its node was removed", () => {
    const silent = left();
    pass(silent, silent.limits.leftKeptMs + 3_600_000);
    expect(silent.tables.left.size).toBe(0);
    const removed = left();
    value(removed.take({ kind: "remove", input: { ...on(0), force: false } }));
    removed.tick(removed.limits.forgetIntervalMs);
    expect(removed.tables.left.size).toBe(0);
  });

  it("is kept of the newest only where too many left", () => {
    const cell = cellOf(1, { leftKeptMax: 2 });
    for (const n of [5, 3, 4, 1]) {
      placed(cell, n);
      update(cell, { remove: [insId(n)] });
      settle(cell, 0);
    }
    cell.tick(cell.limits.forgetIntervalMs);
    expect([...cell.tables.left.keys()]).toEqual([insId(4), insId(1)]);
  });
});
