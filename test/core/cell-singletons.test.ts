// core/cell: singletons on nodes that fall silent, leases of strict ones, and what an App is confirmed to be gone.
import { describe, expect, it } from "vitest";
import { documentOf } from "../../core/cell/document.ts";
import type { BenchCell } from "./bench-object.ts";
import { insId, nodeId, value } from "./bench-object.ts";
import { cellOf, on, placed, seen, settle, silence, told, update, view } from "./cell-bench.ts";

const beat = (cell: BenchCell, n: number, more: Record<string, unknown> = {}) => value(cell.beat(n, more));

describe("an available singleton", () => {
  it("is kept when its node is lost: it may still run, so it is not replaced", () => {
    const cell = cellOf(1);
    placed(cell, 1, { singleton: "available" });
    placed(cell, 2);
    told(cell);
    silence(cell, 120);
    expect(view(cell, 0).phase).toBe("lost");
    expect(told(cell)).toMatchObject([
      { kind: "node_suspect", node: nodeId(0) },
      { kind: "node_gone", node: nodeId(0), instances: [insId(2)], kept: [insId(1)] },
    ]);
  });

  it("is told to be back with its node, and what it does there is news again", () => {
    const cell = cellOf(1);
    placed(cell, 1, { singleton: "available" });
    beat(cell, 0, { observed: [seen(1, { kind: "ready" })] });
    silence(cell, 12);
    told(cell);
    beat(cell, 0, { observed: [seen(1, { kind: "ready" })] });
    expect(told(cell).map(({ kind }) => kind)).toEqual(["node_back", "observed"]);
  });

  it("is gone when the operator removes its node", () => {
    const cell = cellOf(1);
    placed(cell, 1, { singleton: "available" });
    silence(cell, 12);
    told(cell);
    value(cell.take({ kind: "remove", input: { ...on(0), force: true } }));
    const [message] = told(cell);
    expect(message).toMatchObject({ kind: "node_gone", instances: [insId(1)] });
    expect(message).not.toHaveProperty("kept");
  });

  it("that an unreachable node last said to crash is kept too: its agent may start it again; one that failed for good is gone", () => {
    const failure = { code: "exited", message: "", exitCode: 1, signal: null, logTail: [] };
    for (const [status, expected] of [
      [{ kind: "backoff", failure, retryAtMs: 5 }, []],
      [{ kind: "failed", failure }, [insId(1)]],
    ] as const) {
      const cell = cellOf(1);
      placed(cell, 1, { singleton: "available" });
      beat(cell, 0, { observed: [seen(1, status)] });
      told(cell);
      silence(cell, 20, { answers: () => true });
      expect(view(cell, 0).phase).toBe("unreachable");
      expect(told(cell).flatMap((message) => (message.kind === "node_gone" ? message.instances : []))).toEqual(
        expected,
      );
    }
  });
});

describe("the lease of a node with strict singletons", () => {
  it("is a row for every heartbeat that acknowledges it, and none for any other node", () => {
    const cell = cellOf(2);
    const home = placed(cell, 1, { singleton: "strict" });
    cell.nowMs += 2_000;
    expect(beat(cell, home).leaseCommitted).toBe(true);
    expect(cell.tables.leases.get(nodeId(home))).toEqual({ atMs: cell.nowMs });
    expect(beat(cell, 1 - home).leaseCommitted).toBe(false);
    expect([...cell.tables.leases.keys()]).toEqual([nodeId(home)]);
    update(cell, { remove: [insId(1)] });
    settle(cell, home);
    expect(beat(cell, home).leaseCommitted).toBe(false);
    expect(cell.tables.leases.size).toBe(0);
  });

  it("is not renewed while the node has not got the document without a strict singleton that was taken away", () => {
    const cell = cellOf(1);
    placed(cell, 1, { singleton: "strict" });
    placed(cell, 2, { singleton: "strict", app: 2 });
    update(cell, { remove: [insId(1)] });
    const { revision } = cell.tables.nodes.get(nodeId(0))!;
    expect(beat(cell, 0, { ackRevision: revision - 1 }).leaseCommitted).toBe(false);
    expect(beat(cell, 0, { ackRevision: revision }).leaseCommitted).toBe(true);
  });

  it.each([
    ["lost", () => false],
    ["unreachable", () => true],
  ])(
    "of a node that is %s runs out 30 s after the last row, and only then its strict singletons are gone",
    (phase, answers) => {
      const cell = cellOf(1);
      placed(cell, 1, { singleton: "strict" });
      cell.nowMs += 500;
      expect(beat(cell, 0).leaseCommitted).toBe(true);
      const leasedAtMs = cell.nowMs;
      told(cell);
      const gone = () => told(cell).flatMap((message) => (message.kind === "node_gone" ? message.instances : []));
      silence(cell, 29, { answers });
      expect(view(cell, 0).phase).toBe(phase);
      expect(gone()).toEqual([]);
      cell.tick(leasedAtMs + 29_999 - cell.nowMs);
      expect(gone()).toEqual([]);
      // Nothing else has it woken in time.
      cell.take({ kind: "outbox_acked", lastSeq: 1e9 });
      expect(cell.wakeAtMs).toBe(leasedAtMs + 30_000);
      cell.tick(1);
      expect(gone()).toEqual([insId(1)]);
      expect(documentOf(cell.tables, nodeId(0))?.instances).toEqual([]);
      expect(cell.tables.leases.size).toBe(0);
    },
  );

  it("is renewed by a node that is back in time: nothing was given up", () => {
    const cell = cellOf(1);
    placed(cell, 1, { singleton: "strict" });
    beat(cell, 0, { observed: [seen(1, { kind: "ready" })] });
    silence(cell, 20);
    expect(beat(cell, 0, { observed: [seen(1, { kind: "ready" })] }).leaseCommitted).toBe(true);
    cell.tick(900);
    silence(cell, 20, { beating: [0] });
    expect(told(cell).flatMap((message) => (message.kind === "node_gone" ? message.instances : []))).toEqual([]);
    expect(documentOf(cell.tables, nodeId(0))?.instances.length).toBe(1);
  });

  it("that ran out cannot be had again for the old instance: the node first stores the document without it", () => {
    const cell = cellOf(1);
    placed(cell, 1, { singleton: "strict" });
    placed(cell, 2, { app: 2, singleton: "strict" });
    update(cell, { remove: [insId(2)] }, 2);
    settle(cell, 0, [insId(1)]);
    const { revision } = cell.tables.nodes.get(nodeId(0))!;
    silence(cell, 45);
    told(cell);
    const answer = beat(cell, 0, { ackRevision: revision, observed: [seen(1, { kind: "ready" })] });
    expect(answer).toMatchObject({ leaseCommitted: false, revision: revision + 1 });
    expect(told(cell)).toEqual([]);
    expect(cell.tables.instances.has(insId(1))).toBe(true);
    beat(cell, 0, { ackRevision: revision + 1 });
    expect(cell.tables.instances.has(insId(1))).toBe(false);
  });

  it("is counted anew from a restart of the cell or a jump of its clock, because either may have lost time", () => {
    const cell = cellOf(1);
    placed(cell, 1, { singleton: "strict" });
    silence(cell, 12);
    told(cell);
    cell.nowMs += 60_000;
    cell.restart();
    cell.tick();
    expect(told(cell)).toEqual([]);
    const restartedAtMs = cell.nowMs;
    while (cell.nowMs < restartedAtMs + 29_500) silence(cell, 0.5);
    expect(told(cell)).toEqual([]);
    silence(cell, 0.5);
    expect(told(cell)).toMatchObject([{ kind: "node_gone", instances: [insId(1)] }]);
  });

  it("outlives the forced removal of its node: the replacement still waits for its end", () => {
    const cell = cellOf(1);
    placed(cell, 1, { singleton: "strict" });
    placed(cell, 2);
    beat(cell, 0);
    told(cell);
    const leasedAtMs = cell.nowMs;
    value(cell.take({ kind: "remove", input: { ...on(0), force: true } }));
    expect(told(cell)).toMatchObject([{ kind: "node_gone", instances: [insId(2)], kept: [insId(1)] }]);
    while (cell.nowMs < leasedAtMs + 29_500) cell.tick(500);
    expect(told(cell)).toEqual([]);
    cell.tick(500);
    expect(told(cell)).toMatchObject([{ kind: "node_gone", instances: [insId(1)] }]);
    expect(cell.tables.instances.size).toBe(0);
  });
});

describe("a confirmation", () => {
  it("comes once the node has the document and says that it stopped, and not before", () => {
    const cell = cellOf(1);
    placed(cell, 1, { singleton: "available" });
    settle(cell, 0, [insId(1)]);
    told(cell);
    const { revision } = cell.tables.nodes.get(nodeId(0))!;
    update(cell, { remove: [insId(1)], confirm: [insId(1)] });
    update(cell, { remove: [insId(1)], confirm: [insId(1)] });
    beat(cell, 0, { ackRevision: revision, observed: [] });
    settle(cell, 0, [insId(1)]);
    expect(told(cell)).toEqual([]);
    settle(cell, 0);
    expect(told(cell)).toMatchObject([{ kind: "gone", instances: [insId(1)] }]);
  });

  it("comes at once for what this cell does not know or only held room for, however often it is asked", () => {
    const cell = cellOf(1);
    placed(cell, 2);
    told(cell);
    update(cell, { remove: [insId(1), insId(2)], confirm: [insId(1)] });
    expect(told(cell)).toMatchObject([{ kind: "gone", instances: [insId(1)] }]);
    update(cell, { remove: [insId(1)], confirm: [insId(1)] });
    expect(told(cell)).toMatchObject([{ kind: "gone", instances: [insId(1)] }]);
  });

  it("keeps its number when the app's link was changed in the same step", () => {
    const cell = cellOf(1);
    update(cell, { remove: [insId(1)], confirm: [insId(1)] });
    update(cell, { remove: [insId(2)], confirm: [insId(2)] });
    expect([...cell.tables.messages.values()].map(({ seq }) => seq)).toEqual([1, 2]);
  });

  it("waits for a lost node, for ever if need be, but for the lease of a strict singleton only", () => {
    const cell = cellOf(1);
    placed(cell, 1, { singleton: "available" });
    placed(cell, 2, { app: 2, singleton: "strict" });
    silence(cell, 12);
    told(cell);
    update(cell, { remove: [insId(1)], confirm: [insId(1)] });
    update(cell, { remove: [insId(2)], confirm: [insId(2)] }, 2);
    expect(told(cell)).toEqual([]);
    silence(cell, 60);
    expect(told(cell)).toMatchObject([{ kind: "gone", instances: [insId(2)] }]);
    settle(cell, 0);
    expect(told(cell)).toMatchObject([{ kind: "gone", instances: [insId(1)] }]);
  });

  it("comes with the removal of the node", () => {
    const cell = cellOf(1);
    placed(cell, 1, { singleton: "available" });
    update(cell, { remove: [insId(1)], confirm: [insId(1)] });
    told(cell);
    value(cell.take({ kind: "revoke", input: on(0) }));
    expect(told(cell)).toMatchObject([{ kind: "gone", instances: [insId(1)] }]);
  });
});
