// core/cell: many silent nodes at once, nodes that come back, and what is said of unreachable ones.
import { describe, expect, it } from "vitest";
import { documentOf } from "../../core/cell/document.ts";
import { CELL, insId, nodeId, value, type BenchCell } from "./bench-object.ts";
import {
  cellOf,
  eventsOf,
  numberOf,
  on,
  placed,
  reserve,
  seen,
  settle,
  silence,
  told,
  update,
  view,
} from "./cell-bench.ts";

const phases = (cell: BenchCell): string[] =>
  value(cell.take({ kind: "listNodes", input: {} })).items.map(({ phase }) => phase);
const counts = (cell: BenchCell): Record<string, number> => {
  const found: Record<string, number> = {};
  for (const phase of phases(cell)) found[phase] = (found[phase] ?? 0) + 1;
  return found;
};
const failure = { code: "exited", message: "", exitCode: 1, signal: null, logTail: [] };

describe("a late cell", () => {
  const wait = (cell: BenchCell, seconds: number): void => {
    for (let second = 0; second < seconds; second += 1) cell.tick(1_000);
  };

  it.each([true, false])("asks gateways after a new silence, not at once and without end (answers: %s)", (answered) => {
    const cell = cellOf(1);
    wait(cell, 5);
    expect(cell.drain("probe_gateway").length).toBe(1);
    cell.take({ kind: "gateway_probed", node: nodeId(0), answered });
    cell.tick(20_000);
    expect(cell.drain("probe_gateway")).toEqual([]);
    expect(cell.wakeAtMs).toBeGreaterThan(cell.nowMs);
    expect(cell.wakeAtMs).toBeLessThanOrEqual(cell.nowMs + cell.limits.suspectMs);
    wait(cell, 5);
    expect(cell.drain("probe_gateway").length).toBe(1);
  });

  it("that has started again wakes itself for a node that it knows as unreachable", () => {
    const cell = cellOf(1);
    wait(cell, 5);
    cell.take({ kind: "gateway_probed", node: nodeId(0), answered: true });
    cell.restart();
    cell.tick();
    expect(cell.wakeAtMs).toBeLessThanOrEqual(cell.nowMs + cell.limits.suspectMs);
    cell.drain("probe_gateway");
    wait(cell, 5);
    expect(cell.drain("probe_gateway").length).toBe(1);
  });
});

describe("mass silence", () => {
  const others = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => from + n);

  it.each([
    // nodes, silent, of these answering; frozen?
    [12, 5, 1, true],
    [12, 5, 0, false],
    [12, 4, 4, false],
    [20, 6, 6, false],
    [20, 7, 1, true],
    [64, 64, 64, true],
  ])(
    "of %i nodes, %i silent, %i of them with a gateway that answers: frozen is %s",
    (nodes, silent, answering, frozen) => {
      const cell = cellOf(nodes);
      silence(cell, 20, { beating: others(silent, nodes), answers: (n) => n < answering });
      const lost = silent - answering;
      expect(counts(cell)).toEqual({
        ...(answering > 0 ? { unreachable: answering } : {}),
        ...(lost > 0 ? { [frozen ? "suspect" : "lost"]: lost } : {}),
        ...(nodes > silent ? { ready: nodes - silent } : {}),
      });
      expect(eventsOf(cell, CELL)).toEqual(frozen ? ["cell.frozen"] : []);
    },
  );

  it("that builds up more slowly than the window is not us: each is judged by itself", () => {
    const cell = cellOf(10, { silenceWindowMs: 10_000 });
    for (let silent = 1; silent <= 5; silent += 1)
      silence(cell, 12, { beating: others(silent, 10), answers: (n) => n === 4 });
    silence(cell, 12, { beating: others(5, 10), answers: (n) => n === 4 });
    expect(counts(cell)).toEqual({ lost: 4, unreachable: 1, ready: 5 });
    expect(eventsOf(cell, CELL)).toEqual([]);
  });

  it("thaws when the nodes are back, and then judges the one that stays away", () => {
    const cell = cellOf(6);
    silence(cell, 30, { answers: (n) => n > 0 });
    expect(counts(cell)).toEqual({ suspect: 1, unreachable: 5 });
    for (let n = 1; n < 6; n += 1) value(cell.beat(n));
    silence(cell, 4, { beating: others(1, 6) });
    expect(counts(cell)).toEqual({ lost: 1, ready: 5 });
    expect(eventsOf(cell, CELL)).toEqual(["cell.frozen", "cell.thawed"]);
    const thawed = [...cell.tables.events.values()].find(({ type }) => type === "cell.thawed");
    expect(thawed?.data).toMatchObject({ reason: "nodes are back" });
  });

  it("thaws when no silent gateway answers any more: that was power, not us", () => {
    const cell = cellOf(6);
    silence(cell, 30, { answers: (n) => n > 0 });
    silence(cell, 30, { answers: () => false });
    expect(counts(cell)).toEqual({ lost: 6 });
  });

  it("thaws at its deadline: what has no gateway is given up, what has one serves on", () => {
    const cell = cellOf(6, { freezeMaxMs: 90_000 });
    silence(cell, 90, { answers: (n) => n > 2 });
    expect(counts(cell)).toEqual({ suspect: 3, unreachable: 3 });
    silence(cell, 10, { answers: (n) => n > 2 });
    expect(counts(cell)).toEqual({ lost: 3, unreachable: 3 });
    const thawed = [...cell.tables.events.values()].find(({ type }) => type === "cell.thawed");
    expect(thawed?.data).toMatchObject({ reason: "it lasted too long" });
  });

  it("with a prober that says nothing is us too: one node is given up without a second opinion, a cell is not", () => {
    const one = cellOf(4);
    for (let half = 0; half < 40; half += 1) {
      one.tick(500);
      if (half % 4 === 3) for (const n of others(1, 4)) value(one.beat(n));
    }
    expect(counts(one)).toEqual({ lost: 1, ready: 3 });
    const many = cellOf(8);
    for (let half = 0; half < 40; half += 1) many.tick(500);
    expect(counts(many)).toEqual({ suspect: 8 });
    expect(eventsOf(many, CELL)).toEqual(["cell.frozen"]);
    silence(many, 12);
    expect(counts(many)).toEqual({ lost: 8 });
  });

  it("stays frozen over a restart of the cell, and freezes once, not once per look", () => {
    const cell = cellOf(6);
    silence(cell, 20, { answers: (n) => n > 2 });
    for (let restart = 0; restart < 3; restart += 1) {
      cell.restart();
      silence(cell, 6, { answers: (n) => n > 2 });
    }
    silence(cell, 20, { answers: (n) => n > 2 });
    expect(counts(cell)).toEqual({ suspect: 3, unreachable: 3 });
    expect(eventsOf(cell, CELL)).toEqual(["cell.frozen"]);
  });

  it("asks gateways that answer seldom: it is us who has too much to do", () => {
    const cell = cellOf(20);
    silence(cell, 12, { answers: () => true });
    expect(eventsOf(cell, CELL)).toEqual(["cell.frozen"]);
    let asked = 0;
    for (let second = 0; second < 60; second += 1) {
      cell.tick(1_000);
      for (const { node } of cell.drain("probe_gateway")) {
        asked += 1;
        cell.take({ kind: "gateway_probed", node, answered: true });
      }
    }
    // Each twice in a minute, and perhaps once more.
    expect(asked).toBeGreaterThanOrEqual(20);
    expect(asked).toBeLessThanOrEqual(60);
  });

  it("keeps strict singletons as they are: their agents have stopped them, and nothing is rescheduled", () => {
    const cell = cellOf(6);
    placed(cell, 1, { singleton: "strict" });
    silence(cell, 60, { answers: () => true });
    expect(told(cell).filter(({ kind }) => kind === "node_gone")).toEqual([]);
    expect(documentOf(cell.tables, nodeId(numberOf(cell, 1)))?.instances.length).toBe(1);
  });
});

describe("an unreachable node", () => {
  it("takes no placements, and only what it last reported dead is replaced", () => {
    const cell = cellOf(1);
    for (const n of [1, 2, 3]) placed(cell, n);
    const statuses = [{ kind: "ready" }, { kind: "backoff", failure, retryAtMs: 9 }, { kind: "failed", failure }];
    value(cell.beat(0, { observed: statuses.map((status, index) => seen(index + 1, status)) }));
    told(cell);
    silence(cell, 30, { answers: () => true });
    expect(told(cell)).toMatchObject([
      { kind: "node_suspect", instances: [insId(1), insId(2), insId(3)] },
      { kind: "node_gone", instances: [insId(2), insId(3)] },
      { kind: "node_cleared" },
    ]);
    expect(reserve(cell, "k", [9]).refused[0]?.refusal.constraints).toMatchObject([{ constraint: "not_ready" }]);
    value(cell.beat(0, { observed: [seen(2, { kind: "backoff", failure, retryAtMs: 9 })] }));
    expect(told(cell).map(({ kind }) => kind)).toEqual(["node_back", "observed"]);
  });

  it("is lost once its gateway is silent too, and ready again with its next heartbeat", () => {
    const cell = cellOf(1);
    placed(cell, 1);
    silence(cell, 30, { answers: () => true });
    silence(cell, 30);
    expect(phases(cell)).toEqual(["lost"]);
    value(cell.beat(0));
    expect(phases(cell)).toEqual(["ready"]);
    expect(eventsOf(cell, nodeId(0)).slice(2)).toEqual([
      "node.suspect",
      "node.unreachable",
      "node.lost",
      "node.returned",
    ]);
  });
});

describe("a node that comes back", () => {
  it("hears at once of a newer document, which lacks what was replaced; that is never told as running again", () => {
    const cell = cellOf(2);
    const home = placed(cell, 1);
    placed(cell, 2, { avoid: [1 - home] });
    settle(cell, home, [insId(1), insId(2)]);
    const { revision } = cell.tables.nodes.get(nodeId(home))!;
    silence(cell, 12, { beating: [1 - home] });
    update(cell, { remove: [insId(1)] });
    told(cell);
    const observed = [seen(1, { kind: "ready" }), seen(2, { kind: "ready" })];
    const answer = value(cell.beat(home, { ackRevision: revision, observed }));
    expect(answer.revision).toBeGreaterThan(revision);
    expect(documentOf(cell.tables, nodeId(home))?.instances.map(({ instance }) => instance)).toEqual([insId(2)]);
    expect(told(cell)).toMatchObject([{ kind: "node_back" }, { kind: "observed", observed: { instance: insId(2) } }]);
  });

  it("keeps the room of what it was told to stop taken until it says that it stopped", () => {
    const cell = cellOf(1);
    placed(cell, 1, { cpuMilli: 1_000 });
    settle(cell, 0, [insId(1)]);
    const { revision } = cell.tables.nodes.get(nodeId(0))!;
    silence(cell, 12);
    update(cell, { remove: [insId(1)] });
    value(cell.beat(0, { ackRevision: revision, observed: [seen(1, { kind: "ready" })] }));
    expect(reserve(cell, "early", [2], { cpuMilli: 1_000 }).placements).toEqual([]);
    settle(cell, 0);
    expect(reserve(cell, "free", [2], { cpuMilli: 1_000 }).placements.length).toBe(1);
  });

  it("cordoned or draining before it went is so still", () => {
    const cell = cellOf(1);
    value(cell.take({ kind: "cordon", input: on(0) }));
    silence(cell, 12);
    value(cell.beat(0));
    expect(view(cell, 0)).toMatchObject({ phase: "ready", cordoned: true });
  });

  it("takes nothing while it is suspect, and is simply ready again when it is heard in time", () => {
    const cell = cellOf(1);
    silence(cell, 6);
    expect(phases(cell)).toEqual(["suspect"]);
    expect(reserve(cell, "k", [1]).placements).toEqual([]);
    value(cell.beat(0));
    expect(reserve(cell, "l", [1]).placements.length).toBe(1);
    expect(eventsOf(cell, nodeId(0)).slice(2)).toEqual(["node.suspect", "node.returned"]);
  });
});

describe("a cell that was itself away", () => {
  it("declares nobody lost for its own restart or its own late alarm, whatever was the matter before", () => {
    for (const away of ["restart", "lag"] as const) {
      const cell = cellOf(8);
      silence(cell, 6);
      cell.nowMs += 120_000;
      if (away === "restart") cell.restart();
      cell.tick();
      for (let n = 0; n < 8; n += 1) value(cell.beat(n));
      silence(cell, 4);
      expect(counts(cell)).toEqual({ ready: 8 });
      expect(told(cell)).toEqual([]);
    }
  });
});
