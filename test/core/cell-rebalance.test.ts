// core/cell: rebalance: what is planned, that plans respect every constraint, and how one is executed, interrupted and ended.
import { describe, expect, it } from "vitest";
import { Rebalance } from "../../contracts/api.ts";
import { documentOf } from "../../core/cell/document.ts";
import { CELL, insId, nodeId, value, type BenchCell } from "./bench-object.ts";
import {
  OPERATOR,
  cellOf,
  commit,
  eventsOf,
  numberOf,
  on,
  placed,
  reserve,
  settle,
  silence,
  told,
  update,
  view,
  type Wanted,
} from "./cell-bench.ts";

const ask = (cell: BenchCell, execute = false) => cell.take({ kind: "rebalance", input: { actor: OPERATOR, execute } });
const plan = (cell: BenchCell, execute = false): Rebalance => Rebalance.parse(value(ask(cell, execute)));

/** Instance n on node n for each given share of its cpu. */
function filled(shares: readonly number[], want: readonly Wanted[] = []): BenchCell {
  const cell = cellOf(shares.length);
  shares.forEach((share, n) => {
    if (share === 0) return;
    const avoid = shares.map((_, other) => other).filter((other) => other !== n);
    const home = placed(cell, n, { app: n + 1, cpuMilli: share * 10, avoid, ...want[n] });
    expect(home).toBe(n);
  });
  told(cell);
  return cell;
}
const movesOf = ({ steps }: Rebalance) => steps.map(({ fromName, toName }) => `${fromName} → ${toName}`);

describe("the plan of a rebalance", () => {
  it.each([
    ["empties the least used node onto the fullest that has room", [80, 10, 50], ["node-1 → node-0"]],
    ["empties several, each wholly", [50, 20, 20], ["node-1 → node-0", "node-2 → node-0"]],
    ["never moves anything to an empty node", [60, 50, 0], []],
    ["moves nothing twice", [30, 30, 30], ["node-0 → node-1", "node-2 → node-1"]],
  ])("%s", (_name, shares, moves) => {
    const cell = filled(shares);
    const made = plan(cell);
    expect(made.steps.length).toBe(moves.length);
    expect(made.freed.length).toBe(made.nodesUsedBefore - made.nodesUsedAfter);
    expect(new Set(made.steps.map(({ to }) => to)).size).toBe(moves.length > 0 ? 1 : 0);
    for (const { to } of made.steps) expect(made.freed.map(({ node }) => node)).not.toContain(to);
    if (new Set(shares).size === shares.length) expect(movesOf(made)).toEqual(moves);
    expect(cell.rowsWritten).toBe(0);
  });

  it("says what it gains", () => {
    expect(plan(filled([80, 10, 0]))).toMatchObject({
      nodesUsedBefore: 2,
      nodesUsedAfter: 1,
      freed: [{ name: "node-1" }],
      utilisationBeforePercent: 45,
      utilisationAfterPercent: 90,
      executing: false,
      reason: null,
    });
  });

  it.each<[string, number[], Wanted[], RegExp]>([
    ["nothing is in use", [0, 0], [], /No node that takes placements holds anything/],
    ["only one node is in use", [50, 0], [], /no other node in use/],
    [
      "nothing fits",
      [60, 50],
      [],
      /node-1 \(50 % reserved\) cannot be emptied: app-2 v1 #1 fits on no other node in use \(cpu: 100 missing/,
    ],
    [
      "singletons would be interrupted",
      [80, 10],
      [{ singleton: "available" }, { singleton: "available" }],
      /moving singleton app-2 v1 #1 \(available\) would interrupt it/,
    ],
    [
      "apps stay away from each other",
      [50, 10],
      [{ policy: { awayFrom: ["app-2"] } }, { policy: { awayFrom: ["app-1"] } }],
      /away_from/,
    ],
    ["the one in use stays away from the other", [50, 10], [{ policy: { awayFrom: ["app-2"] } }, {}], /away_from/],
    ["host ports collide", [50, 10], [{ policy: { hostPorts: [9_900] } }, { policy: { hostPorts: [9_900] } }], /ports/],
    [
      "replicas must be on nodes of their own",
      [50, 10],
      [{ policy: { nodes: "required" } }, { app: 1, policy: { nodes: "required" } }],
      /nodes/,
    ],
    [
      "replicas must be in racks of their own",
      [50, 10],
      [{ policy: { failureDomains: "required" } }, { app: 1, policy: { failureDomains: "required" } }],
      /failure_domains/,
    ],
  ])("says why there is none when %s", (_name, shares, want, reason) => {
    const made = plan(filled(shares, want));
    expect(made.steps).toEqual([]);
    expect(made.reason).toMatch(reason);
  });

  it("leaves out nodes that are cordoned, draining, silent or busy, as sources and as targets", () => {
    const cordoned = filled([80, 10]);
    value(cordoned.take({ kind: "cordon", input: on(0) }));
    expect(plan(cordoned).steps).toEqual([]);
    const busy = filled([80, 10]);
    for (const n of [0, 1]) reserve(busy, `busy${n}`, [9 + n], { app: 9, cpuMilli: 10, avoid: [1 - n] });
    expect(plan(busy).reason).toContain("something is just being placed on it");
    const leaving = filled([80, 10]);
    for (const n of [0, 1]) update(leaving, { drain: [insId(n)] }, n + 1);
    expect(plan(leaving).reason).toContain("on its way out");
    const silent = filled([80, 10]);
    silence(silent, 6, { beating: [1] });
    expect(plan(silent).steps).toEqual([]);
  });

  it("keeps a node in use that something is to move to, although its own would fit elsewhere", () => {
    const cell = filled([20, 40, 50], [{ policy: { awayFrom: ["app-3"] } }]);
    expect(movesOf(plan(cell))).toEqual(["node-0 → node-1"]);
  });

  it("stays within its limit of steps", () => {
    const cell = cellOf(2, { rebalanceStepsMax: 1 });
    for (const n of [1, 2]) placed(cell, n, { avoid: [1], cpuMilli: 200 });
    for (const n of [3, 4]) placed(cell, n, { avoid: [0], cpuMilli: 50 });
    expect(plan(cell).reason).toContain("one plan has at most 1 moves");
  });
});

describe("a rebalance that is executed", () => {
  const moved = (cell: BenchCell, n: number): void => {
    const app = n + 1;
    const home = numberOf(cell, n);
    reserve(cell, `r${n}`, [100 + n], { app, cpuMilli: 50, avoid: [home] });
    value(commit(cell, [100 + n], { app, cpuMilli: 50 }));
    update(cell, { remove: [insId(n)], held: [] }, app);
  };

  it("cordons the nodes it empties, tells the apps, and opens them again when they are empty", () => {
    const cell = filled([80, 5, 5]);
    expect(plan(cell, true)).toMatchObject({ executing: true, steps: [{}, {}] });
    expect(told(cell)).toMatchObject([
      { kind: "evacuate", reason: "rebalance", instances: [insId(1)], to: { [insId(1)]: nodeId(0) } },
      { kind: "evacuate", reason: "rebalance", instances: [insId(2)], to: { [insId(2)]: nodeId(0) } },
    ]);
    expect([0, 1, 2].map((n) => view(cell, n).cordoned)).toEqual([false, true, true]);
    cell.restart();
    moved(cell, 1);
    expect(numberOf(cell, 101)).toBe(0);
    expect(plan(cell)).toMatchObject({ executing: true, steps: [{ instance: insId(2) }] });
    moved(cell, 2);
    expect([0, 1, 2].map((n) => view(cell, n).cordoned)).toEqual([false, false, false]);
    expect(eventsOf(cell, CELL)).toEqual(["cell.rebalancing", "cell.rebalancing"]);
    expect([...cell.tables.events.values()].at(-1)).toMatchObject({
      data: { state: "finished", moved: 2, remaining: 0 },
    });
    for (const n of [0, 1, 2]) settle(cell, n);
    expect(plan(cell)).toMatchObject({ nodesUsedBefore: 1, steps: [] });
    expect(documentOf(cell.tables, nodeId(0))?.instances.length).toBe(3);
  });

  it("answers whoever asks for it once more with what is left of it, and begins nothing anew", () => {
    const cell = filled([80, 5, 5]);
    plan(cell, true);
    told(cell);
    moved(cell, 1);
    const { deadlineAtMs } = [...cell.tables.rebalance.values()][0]!;
    cell.nowMs += 1_000;
    expect(plan(cell, true)).toMatchObject({
      ...{ executing: true, steps: [{ instance: insId(2) }], reason: null },
      freed: [{ node: nodeId(1) }, { node: nodeId(2) }],
    });
    expect([...cell.tables.rebalance.values()]).toMatchObject([{ deadlineAtMs, moved: 1 }]);
    expect(eventsOf(cell, CELL)).toEqual(["cell.rebalancing"]);
  });

  it("does nothing when nothing is to be gained", () => {
    const cell = filled([60, 50]);
    expect(plan(cell, true)).toMatchObject({ executing: false, steps: [] });
    expect([told(cell), eventsOf(cell, CELL)]).toEqual([[], []]);
  });

  it("ends at its deadline by the alarm: what has not moved stays where it is", () => {
    const cell = filled([80, 5]);
    plan(cell, true);
    told(cell);
    const deadlineAtMs = cell.nowMs + cell.limits.rebalanceMaxMs;
    while (cell.tables.rebalance.size > 0) {
      expect(cell.nowMs).toBeLessThan(deadlineAtMs + 1);
      expect(cell.wakeAtMs!).toBeLessThanOrEqual(deadlineAtMs);
      cell.nowMs = Math.max(cell.nowMs + 1, Math.min(cell.wakeAtMs!, cell.nowMs + 2_000));
      for (const n of [0, 1]) settle(cell, n, n === 1 ? [insId(1)] : []);
    }
    expect(told(cell).at(-1)).toMatchObject({ kind: "stay", node: nodeId(1) });
    expect(view(cell, 1)).toMatchObject({ cordoned: false, instances: 1 });
    expect([...cell.tables.events.values()].at(-1)).toMatchObject({ data: { state: "stopped", remaining: 1 } });
  });

  it.each(["uncordon", "drain"] as const)("lets go of a node that the operator wants to %s", (kind) => {
    const cell = filled([80, 5]);
    plan(cell, true);
    told(cell);
    value(cell.take({ kind, input: on(1) }));
    expect(cell.tables.rebalance.size).toBe(0);
    expect(view(cell, 1)).toMatchObject({ cordoned: kind === "drain" });
    expect(told(cell)).toMatchObject([kind === "drain" ? { kind: "evacuate", reason: "drain" } : { kind: "stay" }]);
  });

  it("lets go of a node that is lost: its instances are replaced as always", () => {
    const cell = filled([80, 5]);
    plan(cell, true);
    told(cell);
    silence(cell, 12, { beating: [0] });
    expect(cell.tables.rebalance.size).toBe(0);
    expect(told(cell).filter(({ kind }) => kind === "node_gone").length).toBe(1);
  });

  it("calls off what it asked of a node that is lost, so that nothing leaves it for that once it is back", () => {
    const cell = filled([80, 5]);
    plan(cell, true);
    told(cell);
    silence(cell, 12, { beating: [0] });
    expect(told(cell)).toContainEqual(expect.objectContaining({ kind: "stay", node: nodeId(1) }));
    value(cell.beat(1));
    cell.tick(cell.limits.evacuateAgainMs + 1);
    expect(told(cell).filter(({ kind }) => kind === "evacuate")).toEqual([]);
    expect(view(cell, 1)).toMatchObject({ cordoned: false, instances: 1 });
  });
});
