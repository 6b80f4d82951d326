// core/app: an instance that a rebalance moves goes where the plan says: to its own cell first, and there to the planned node.
import { describe, expect, it } from "vitest";
import type { CellName, NodeId } from "../../contracts/ids.ts";
import { deployed, nodeOf, settle } from "./app-on-bench.ts";
import { type BenchApp, CELL, REGION, idFor, summary } from "./bench-object.ts";

const OTHER = "lab.1" as CellName;
const FULL = { cpuMilli: 10, memoryBytes: 1, diskBytes: 1, pids: 1 };
const TARGET = idFor<NodeId>("node", 7);

const reservesOf = (app: BenchApp) =>
  app
    .drain("call_cell")
    .flatMap(({ call, cell, request }) =>
      request.kind === "reserve" ? [{ call, cell, slots: request.request.slots }] : [],
    );

/** An app that serves, and whose list says that all the room of its region is in another cell. */
function rebalanced(target: NodeId | null) {
  const { app, first, heir } = deployed(2);
  app.take({ kind: "cells_known", region: REGION, items: [summary(CELL, 3, FULL), summary(OTHER)] });
  const node = nodeOf(app, first);
  app.tell({
    kind: "evacuate",
    node,
    instances: [first],
    reason: "rebalance",
    ...(target ? { to: { [first]: target } } : {}),
  });
  return { app, heir, reserves: () => reservesOf(app) };
}
describe("an instance that a rebalance moves", () => {
  it("asks its own cell for the planned node, whatever the Region's list shows elsewhere", () => {
    const { reserves } = rebalanced(TARGET);
    expect(reserves()).toMatchObject([{ cell: CELL, slots: [{ prefer: TARGET }] }]);
  });

  it("asks its own cell too where it was told no node, as by a Cell of before", () => {
    const { reserves } = rebalanced(null);
    const [asked] = reserves();
    expect(asked?.cell).toBe(CELL);
    expect(asked?.slots[0]).not.toHaveProperty("prefer");
  });

  it("goes elsewhere where its cell has no room for it any more", () => {
    const { app, reserves, heir } = rebalanced(TARGET);
    const [asked] = reserves();
    const refused = asked!.slots.map(({ instance }) => ({ instance, refusal: { nodesTotal: 3, constraints: [] } }));
    app.take({ kind: "reserved", call: asked!.call, answer: { ok: true, value: { placements: [], refused } } });
    const [next] = app.effects.flatMap((effect) => (effect.kind === "call_cell" ? [effect.cell] : []));
    expect(next).toBe(OTHER);
    settle(app);
    expect(app.tables.instances.get(heir())?.cell).toBe(OTHER);
  });

  it("is moved by a drain wherever it fits best", () => {
    const { app, first: leaver, node } = deployed(2);
    app.take({ kind: "cells_known", region: REGION, items: [summary(CELL, 3, FULL), summary(OTHER)] });
    app.tell({ kind: "evacuate", node, instances: [leaver], reason: "drain" });
    expect(reservesOf(app).map(({ cell }) => cell)).toEqual([OTHER]);
  });
});
