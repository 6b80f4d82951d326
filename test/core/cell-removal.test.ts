// core/cell: taking a node out, by plan and by force, and what stands in the way.
import { describe, expect, it } from "vitest";
import { insId, nodeId, value } from "./bench-object.ts";
import { cellOf, commit, eventsOf, on, placed, reserve, settle, silence, told, update, view } from "./cell-bench.ts";

describe("a removal", () => {
  const remove = (cell: ReturnType<typeof cellOf>, n: number, force = false) =>
    cell.take({ kind: "remove", input: { ...on(n), force } });

  it("is refused while something runs there, naming it, singletons as such, with what holds them", () => {
    const cell = cellOf(1);
    placed(cell, 1);
    placed(cell, 2, { app: 2, singleton: "available" });
    const refused = remove(cell, 0);
    expect(refused).toMatchObject({ failure: { code: "conflict" } });
    const message = refused.ok ? "" : refused.failure.message;
    expect(message).toBe(
      "node-0 still runs app-1 v1 #1, singleton app-2 v1 #2 (available). Drain it first, or force its removal.",
    );
    value(cell.take({ kind: "drain", input: on(0) }));
    update(cell, { held: [{ instance: insId(1), reason: "no room" }], remove: [] });
    const again = remove(cell, 0);
    expect(again.ok ? "" : again.failure.message).toContain("app-1 v1 #1: no room");
    expect(view(cell, 0).phase).toBe("ready");
  });

  it("anywhere in the region is heard by every node with its heartbeats, after a restart of the Cell too: which snapshot it is to have", () => {
    const cell = cellOf(2);
    expect(value(cell.beat(1))).not.toHaveProperty("snapshot");
    value(cell.take({ kind: "needSnapshot", input: { version: 7 } }));
    value(cell.take({ kind: "needSnapshot", input: { version: 6 } }));
    expect(value(cell.beat(1)).snapshot).toBe(7);
    cell.restart();
    expect(value(cell.beat(1)).snapshot).toBe(7);
  });

  it("of an empty node takes it out: nothing of it is believed any more, and its place is given back until the Region has it", () => {
    const cell = cellOf(2);
    expect(value(remove(cell, 0)).phase).toBe("removed");
    expect(value(remove(cell, 0)).phase).toBe("removed");
    expect(cell.beat(0)).toMatchObject({ failure: { code: "node_revoked" } });
    expect(cell.enrol(0)).toMatchObject({ failure: { code: "node_revoked" } });
    expect(cell.drain("close_node").length).toBe(1);
    expect(cell.drain("release_place")).toMatchObject([{ node: nodeId(0) }]);
    expect(value(cell.take({ kind: "summary", input: {} })).nodes).toBe(1);
    cell.restart();
    cell.tick();
    expect(cell.drain("release_place")).toMatchObject([{ node: nodeId(0) }]);
    cell.take({ kind: "place_released", node: nodeId(0) });
    for (let second = 0; second < 60; second += 1) cell.tick(1_000);
    expect(cell.drain("release_place")).toEqual([]);
    expect(eventsOf(cell, nodeId(0)).slice(2)).toEqual(["node.removed"]);
  });

  it("is told however many messages wait already: the present state that follows them knows nothing of it", () => {
    const cell = cellOf(2, { messagesPendingMax: 1 });
    placed(cell, 1, { avoid: [1] });
    placed(cell, 2, { avoid: [0] });
    settle(cell, 0, [insId(1)]);
    settle(cell, 1, [insId(2)]);
    value(remove(cell, 0, true));
    const heard = told(cell);
    expect(heard.map(({ kind }) => kind)).toEqual(["observed", "node_gone", "node_back", "stay", "observed"]);
    expect(heard[1]).toMatchObject({ instances: [insId(1)] });
  });

  it("by force replaces everything that ran there, singletons too, and gives up what was reserved", () => {
    const cell = cellOf(1);
    placed(cell, 1);
    placed(cell, 2, { app: 2, singleton: "available" });
    reserve(cell, "k", [3]);
    told(cell);
    value(remove(cell, 0, true));
    expect(told(cell)).toMatchObject([
      { kind: "node_gone", instances: [insId(1)] },
      { kind: "node_gone", instances: [insId(2)] },
    ]);
    expect(commit(cell, [3])).toMatchObject({ failure: { code: "conflict" } });
    expect([cell.tables.instances.size, cell.tables.reservations.size]).toEqual([0, 0]);
    expect([...cell.tables.events.values()].at(-1)).toMatchObject({ type: "node.removed", data: { forced: true } });
  });

  it("of a lost node waits only for what its apps still count on", () => {
    const cell = cellOf(2);
    const home = placed(cell, 1);
    silence(cell, 12, { beating: [1 - home] });
    expect(remove(cell, home)).toMatchObject({ failure: { code: "conflict" } });
    update(cell, { remove: [insId(1)] });
    value(remove(cell, home));
    expect(cell.tables.instances.size).toBe(0);
  });

  it("of a node where something is just stopping waits for that", () => {
    const cell = cellOf(1);
    placed(cell, 1);
    update(cell, { remove: [insId(1)] });
    const refused = remove(cell, 0);
    expect(refused.ok ? "" : refused.failure.message).toContain("(stopping)");
    settle(cell, 0);
    value(remove(cell, 0));
  });

  it("keeps a bounded number of removed nodes; the older are refused as unknown", () => {
    const cell = cellOf(4, { removedNodesKept: 2 });
    for (let n = 0; n < 4; n += 1) {
      value(remove(cell, n));
      cell.take({ kind: "place_released", node: nodeId(n) });
      cell.nowMs += 1_000;
    }
    expect([...cell.tables.nodes.keys()]).toEqual([nodeId(2), nodeId(3)]);
    expect(cell.beat(0)).toMatchObject({ failure: { code: "credential_invalid" } });
    expect(cell.beat(3)).toMatchObject({ failure: { code: "node_revoked" } });
  });
});
