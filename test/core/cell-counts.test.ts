// core/cell: what gateways counted of watched apps: to whom it is told, how often, and what of it is believed.
import { describe, expect, it } from "vitest";
import type { ReleaseId, TeamId } from "../../contracts/ids.ts";
import { type BenchCell, CELL, idFor, insId, value } from "./bench-object.ts";
import { appId, cellOf, placed, TEAM, update } from "./cell-bench.ts";

const STATUS = { s1xx: 0, s2xx: 0, s3xx: 0, s4xx: 0, s5xx: 0 };
const counters = (n: number, requests: number, more: Record<string, unknown> = {}) => ({
  ...{ instance: insId(n), generation: 1, app: appId(1), team: TEAM, release: idFor<ReleaseId>("rel", 1) },
  ...{
    runningMs: 1,
    cpuMs: 1,
    memoryByteMs: 1,
    requests,
    status: STATUS,
    bytesIn: 0,
    bytesOut: 0,
    latency: [requests],
  },
  ...more,
});
const watched = (cell: BenchCell, app = 1): void => update(cell, { watch: true }, app);
function tellings(cell: BenchCell) {
  return cell.drain("tell_counts").map(({ app, items }) => {
    return { app, requests: items.map((item) => [item.instance, item.requests]) };
  });
}

describe("counters of a watched app", () => {
  it("are told to the app, the newest of each instance, once in countEveryMs", () => {
    const cell = cellOf(2);
    const [one, two] = [placed(cell, 1), placed(cell, 2)];
    watched(cell);
    value(cell.beat(one, { watched: [counters(1, 1)] }));
    expect(cell.effects.filter(({ kind }) => kind === "tell_counts")).toMatchObject([{ cell: CELL }]);
    expect(tellings(cell)).toEqual([{ app: appId(1), requests: [[insId(1), 1]] }]);
    for (const requests of [2, 3, 4]) {
      cell.nowMs += 500;
      value(cell.beat(one, { watched: [counters(1, requests)] }));
      value(cell.beat(two, { watched: [counters(2, requests)] }));
    }
    expect(tellings(cell)).toEqual([]);
    cell.nowMs += 500;
    // Any heartbeat will do.
    value(cell.beat(one));
    const requests = [
      [insId(1), 4],
      [insId(2), 4],
    ];
    expect(tellings(cell)).toEqual([{ app: appId(1), requests }]);
    cell.nowMs += 10_000;
    value(cell.beat(one));
    expect(tellings(cell)).toEqual([]);
  });

  it("are each app's own affair", () => {
    const cell = cellOf(1);
    placed(cell, 1);
    placed(cell, 2, { app: 2 });
    watched(cell, 1);
    watched(cell, 2);
    value(cell.beat(0, { watched: [counters(1, 1)] }));
    cell.nowMs += 1_000;
    value(cell.beat(0, { watched: [counters(1, 2), counters(2, 1, { app: appId(2) })] }));
    cell.nowMs += 1_000;
    value(cell.beat(0, { watched: [counters(1, 3), counters(2, 2, { app: appId(2) })] }));
    expect(tellings(cell).map(({ app, requests }) => [app, requests[0]?.[1]])).toEqual([
      [appId(1), 1],
      [appId(2), 1],
      [appId(1), 3],
    ]);
  });

  it.each<[string, Record<string, unknown>]>([
    ["another app's instance", { app: appId(2) }],
    ["another release", { release: idFor<ReleaseId>("rel", 2) }],
    ["another generation", { generation: 2 }],
    ["an instance that nobody placed", { instance: insId(99) }],
    ["an instance on another node", { instance: insId(2) }],
  ])("of %s are not believed", (_name, lie) => {
    const cell = cellOf(2);
    const home = placed(cell, 1);
    placed(cell, 2, { avoid: [home] });
    placed(cell, 3, { app: 2 });
    watched(cell, 1);
    watched(cell, 2);
    value(cell.beat(home, { watched: [counters(1, 7, lie)] }));
    expect(tellings(cell)).toEqual([]);
  });

  it("are dropped when nothing is watched any more, and with the object's memory", () => {
    const cell = cellOf(1);
    placed(cell, 1);
    value(cell.beat(0, { watched: [counters(1, 1)] }));
    expect(tellings(cell), "nobody asked").toEqual([]);
    watched(cell);
    value(cell.beat(0, { watched: [counters(1, 2)] }));
    value(cell.beat(0, { watched: [counters(1, 3)] }));
    update(cell, { watch: false });
    cell.nowMs += 5_000;
    value(cell.beat(0, { watched: [counters(1, 4)] }));
    expect(tellings(cell).length).toBe(1);
    expect(cell.volatile.counts.size).toBe(0);
  });

  it("write no rows, wake nobody, and wait for no message", () => {
    const cell = cellOf(1);
    placed(cell, 1);
    watched(cell);
    value(cell.beat(0));
    cell.drain("tell_counts");
    const { wakeAtMs } = cell;
    value(cell.beat(0, { watched: [counters(1, 1)] }));
    expect([cell.rowsWritten, cell.wakeAtMs, cell.drain("tell_counts").length]).toEqual([0, wakeAtMs, 1]);
    // The App answers nothing at all, and still hears of the next ones.
    cell.nowMs += 2_000;
    value(cell.beat(0, { watched: [counters(1, 2, { team: idFor<TeamId>("team", 1) })] }));
    expect(cell.drain("tell_counts").length).toBe(1);
  });
});
