// An agent upgrade in a cell: who is told, in what number, and what counts as well and as failed.
import { expect, test } from "vitest";
import type { CellUpgradeRequest, CellUpgradeView } from "../../core/messages.ts";
import { documentOf } from "../../core/cell/document.ts";
import { compareVersions } from "../../core/upgrade/version.ts";
import { insId, nodeId, value, type BenchCell } from "./bench-object.ts";
import { cellOf, eventsOf, placed, seen, silence } from "./cell-bench.ts";

const OLD = "1.0.0";
const NEW = "1.1.0";
const ATTEMPT = "00000000000000aa";
const SOAK_MS = 10_000;

const report = (version: string, upgrade: { state: string; message: string } | null = null, more = {}) => ({
  agentVersion: version,
  agent: {
    able: true,
    sha256: null,
    gatewayVersion: version,
    upgrade: upgrade === null ? null : { attempt: ATTEMPT, ...upgrade },
    ...more,
  },
});

function ask(cell: BenchCell, more: Partial<CellUpgradeRequest> = {}): CellUpgradeView {
  const base = { attempt: ATTEMPT, seq: 1, version: NEW, manifest: "a.b.c", nodesMax: null, closed: false };
  return value(cell.take({ kind: "upgrade", input: { ...base, ...more } }));
}

const namedOn = (cell: BenchCell, count: number): number[] =>
  Array.from({ length: count }, (_, n) => n).filter((n) => documentOf(cell.tables, nodeId(n))?.agent !== undefined);

function fleet(count: number, limits = {}): BenchCell {
  const cell = cellOf(count, limits);
  for (let n = 0; n < count; n += 1) value(cell.beat(n, report(OLD)));
  return cell;
}

/** Everybody beats as often as real agents do; those in `upgraded` with the new version. */
function goOn(cell: BenchCell, count: number, ms: number, upgraded: ReadonlySet<number>): void {
  for (let past = 0; past < ms; past += 2_000) {
    cell.tick(2_000);
    for (let n = 0; n < count; n += 1) value(cell.beat(n, report(upgraded.has(n) ? NEW : OLD)));
  }
}

test("versions are compared number by number, and a build of one's own is older than any release", () => {
  const sorted = ["1.10.0", "bench", "1.9.9", "2.0.0", "1.9.10"].toSorted(compareVersions);
  expect(sorted).toEqual(["bench", "1.9.9", "1.9.10", "1.10.0", "2.0.0"]);
  expect(compareVersions("1.2.3", "1.2.3")).toBe(0);
});

test("no more nodes than wanted, nor than may change at once, are told; the others' documents stay as they are", () => {
  const cell = fleet(12);
  const revisions = () => Array.from({ length: 12 }, (_, n) => cell.tables.nodes.get(nodeId(n))!.revision);
  const before = revisions();
  expect(ask(cell, { nodesMax: 0 }).counts).toMatchObject({ nodes: 12, waiting: 12, underWay: 0 });
  expect(revisions()).toEqual(before);
  expect(ask(cell, { seq: 2, nodesMax: 1 }).counts).toMatchObject({ waiting: 11, underWay: 1 });
  expect(namedOn(cell, 12)).toHaveLength(1);
  expect(ask(cell, { seq: 3 }).counts).toMatchObject({ waiting: 4, underWay: 8 });
  const named = namedOn(cell, 12);
  expect(named).toHaveLength(8);
  expect(revisions().map((revision, n) => revision - before[n]!)).toEqual(
    before.map((_, n) => Number(named.includes(n))),
  );
  expect(documentOf(cell.tables, nodeId(named[0]!))?.agent).toEqual({ attempt: ATTEMPT, manifest: "a.b.c" });
});

test("a node that is heard with the new version, its gateway too, and well for the soak time, is done; the next one is told", () => {
  const cell = fleet(3, { upgradeAtOnceMax: 1 });
  ask(cell);
  const [first] = namedOn(cell, 3);
  goOn(cell, 3, SOAK_MS + 2_000, new Set([first!]));
  expect(ask(cell).counts).toMatchObject({ upgraded: 1, underWay: 1, waiting: 1 });
  expect(namedOn(cell, 3)).not.toContain(first);
  expect(eventsOf(cell, nodeId(first!)).slice(-2)).toEqual(["node.upgrading", "node.upgraded"]);
});

test("a node with instances goes first: on an empty one nothing can show what is wrong", () => {
  const cell = fleet(3);
  const node = placed(cell, 1);
  ask(cell, { nodesMax: 1 });
  expect(namedOn(cell, 3)).toEqual([node]);
});

test.each(["refused", "reverted"])(
  "a node that %s it is a fault, by name and reason, and nobody else is told",
  (state) => {
    const cell = fleet(4, { upgradeAtOnceMax: 2 });
    ask(cell);
    const [first, second] = namedOn(cell, 4);
    value(cell.beat(first!, report(OLD, { state, message: "the signature is by no key that is pinned here" })));
    const { fault, counts } = ask(cell);
    expect(fault).toMatchObject({ name: `node-${first}` });
    expect(fault?.why).toBe(`${state} ${NEW}: the signature is by no key that is pinned here`);
    expect(counts).toMatchObject({ underWay: 1, waiting: 2 });
    expect(namedOn(cell, 4)).toEqual([second]);
    goOn(cell, 4, SOAK_MS + 2_000, new Set([second!]));
    expect(ask(cell).counts).toMatchObject({ upgraded: 1, underWay: 0, waiting: 2 });
    expect(eventsOf(cell, nodeId(first!)).at(-1)).toBe("node.upgrade_failed");
  },
);

test("an instance that was ready and is unready at the end of the soak time is a fault; one that was not ready before is none", () => {
  const cell = fleet(1);
  placed(cell, 1);
  placed(cell, 2);
  value(cell.beat(0, { ...report(OLD), observed: [seen(1, { kind: "ready" }), seen(2, { kind: "starting" })] }));
  ask(cell);
  const failing = {
    kind: "unready",
    failure: { code: "never_ready", message: "", exitCode: null, signal: null, logTail: [] },
  };
  const observe = (ms: number, first: Record<string, unknown>) => {
    for (let past = 0; past < ms; past += 2_000) {
      cell.tick(2_000);
      value(cell.beat(0, { ...report(NEW), observed: [seen(1, first), seen(2, failing)] }));
    }
  };
  observe(SOAK_MS - 4_000, failing);
  expect(ask(cell).fault).toBeNull();
  observe(6_000, failing);
  expect(ask(cell).fault?.why).toBe("no longer ready since the upgrade: app-1 v1 #1");
});

test("the same instance, ready again in time, is no fault", () => {
  const cell = fleet(1);
  placed(cell, 1);
  value(cell.beat(0, { ...report(OLD), observed: [seen(1, { kind: "ready" })] }));
  ask(cell);
  for (let past = 0; past < SOAK_MS + 4_000; past += 2_000) {
    cell.tick(2_000);
    const kind = past < 6_000 ? "starting" : "ready";
    value(cell.beat(0, { ...report(NEW), observed: [seen(1, { kind })] }));
  }
  expect(ask(cell)).toMatchObject({ fault: null, counts: { upgraded: 1 } });
});

test("a node that falls silent with the new agent is a fault; so is one that never comes back with it", () => {
  const cell = fleet(2, { upgradeAtOnceMax: 1, upgradeNodeMs: 60_000 });
  ask(cell);
  const [first] = namedOn(cell, 2);
  value(cell.beat(first!, report(NEW)));
  silence(cell, 12, { beating: [1 - first!] });
  expect(ask(cell).fault?.why).toBe(`is lost since it runs ${NEW}`);

  const late = fleet(1, { upgradeNodeMs: 60_000 });
  ask(late);
  value(late.beat(0, report(OLD, { state: "fetching", message: "503: the store is away" })));
  for (let n = 0; n < 31; n += 1) {
    late.tick(2_000);
    value(late.beat(0, report(OLD, { state: "fetching", message: "503: the store is away" })));
  }
  expect(ask(late).fault?.why).toBe(`did not come back with ${NEW} within 60 s: fetching, 503: the store is away`);
});

test("a gateway that stays at the old version holds the node up, and is a fault in the end", () => {
  const cell = fleet(1, { upgradeNodeMs: 60_000 });
  ask(cell);
  for (let n = 0; n < 28; n += 1) {
    cell.tick(2_000);
    value(cell.beat(0, report(NEW, null, { gatewayVersion: OLD })));
  }
  expect(ask(cell)).toMatchObject({ fault: null, counts: { underWay: 1 } });
  for (let n = 0; n < 3; n += 1) {
    cell.tick(2_000);
    value(cell.beat(0, report(NEW, null, { gatewayVersion: OLD })));
  }
  expect(ask(cell).fault?.why).toBe(`its gateway is ${OLD}, not ${NEW}, within 60 s`);
});

test("nodes that have it, are newer, are away, or cannot be upgraded are counted and left alone", () => {
  const cell = cellOf(5);
  value(cell.beat(0, report(NEW)));
  value(cell.beat(1, report("2.0.0")));
  value(cell.beat(2, report(OLD, null, { able: false, unable: "no launcher started it" })));
  value(cell.beat(3)); // of before upgrades
  silence(cell, 12, { beating: [0, 1, 2, 3] });
  value(cell.beat(2, report(OLD, null, { able: false, unable: "no launcher started it" })));
  value(cell.beat(0, report(NEW)));
  value(cell.beat(1, report("2.0.0")));
  const told = ask(cell);
  expect(told.counts).toEqual({ nodes: 5, had: 2, upgraded: 0, underWay: 0, waiting: 0, unable: 2, away: 1 });
  expect(told.unable.map(({ name, why }) => [name, why])).toEqual([
    ["node-2", "no launcher started it"],
    ["node-3", "its agent is from before upgrades: install the new one by hand"],
  ]);
  expect(namedOn(cell, 5)).toEqual([]);
});

test("a late word is passed over; the end takes the word back from who has not changed over", () => {
  const cell = fleet(4, { upgradeAtOnceMax: 2 });
  ask(cell, { seq: 5, nodesMax: 1 });
  expect(ask(cell, { seq: 4, nodesMax: null }).seq).toBe(5);
  expect(namedOn(cell, 4)).toHaveLength(1);
  const [first] = namedOn(cell, 4);
  const revision = cell.tables.nodes.get(nodeId(first!))!.revision;
  ask(cell, { seq: 6, nodesMax: 0, closed: true });
  expect(namedOn(cell, 4)).toEqual([]);
  expect(cell.tables.nodes.get(nodeId(first!))!.revision).toBe(revision + 1);
  goOn(cell, 4, 20_000, new Set());
  expect(namedOn(cell, 4)).toEqual([]);
});

test("a Cell that starts anew goes on: who is under way stays so, and no instance is touched", () => {
  const cell = fleet(3, { upgradeAtOnceMax: 1 });
  placed(cell, 1);
  ask(cell);
  const [first] = namedOn(cell, 3);
  cell.restart();
  goOn(cell, 3, SOAK_MS + 4_000, new Set([first!]));
  expect(ask(cell).counts).toMatchObject({ upgraded: 1, underWay: 1 });
  expect(cell.tables.instances.get(insId(1))?.state.kind).toBe("desired");
});
