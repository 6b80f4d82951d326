// A release that asks for a class of runtime: it goes to nodes that have said that theirs is one, and nowhere else.
import { expect, test } from "vitest";
import { place, HEX, nodeOf, slotsOf } from "./placement-world.ts";
import { cellChoice } from "../../core/placement/choose-cell.ts";
import { kindsOf } from "../../core/placement/rooms.ts";
import type { CellName } from "../../contracts/ids.ts";
import type { CellSummary } from "../../core/messages.ts";
import { cellOf, view } from "./cell-bench.ts";

const asking = { slots: slotsOf(2, 100, { runtimeClass: "runsc" as const }), occupied: [] };

test("only nodes with the class are chosen, though others fit better; runc goes anywhere", () => {
  const nodes = [
    nodeOf("a", "r1", 200),
    nodeOf("b", "r2", 900, { classes: "kata runsc" }),
    nodeOf("c", "r3", 200, { classes: "kata" }),
  ];
  expect(place(nodes, asking, HEX).placements.map(({ node }) => node)).toEqual(["node_b", "node_b"]);
  const anywhere = { ...asking, slots: slotsOf(4, 100, { runtimeClass: "runc" as const }) };
  expect(place(nodes.slice(0, 1).concat(nodes.slice(2)), anywhere, HEX).placements).toHaveLength(4);
});

test("a cell says which of its rooms have the class, so that an app asks the right cell first", () => {
  const summary = (cell: string, classes?: string): CellSummary => {
    const nodes = [nodeOf(cell.replace(".", ""), "r1", 1_000, classes ? { classes } : {})];
    const { capacity, free } = nodes[0]!;
    const about = {
      nodes: 1,
      readyNodes: 1,
      capacity,
      free,
      largestFree: free,
      runtimes: ["docker" as const],
      atMs: 1,
    };
    return { cell: cell as CellName, ...about, kinds: kindsOf(nodes, 10) };
  };
  const cells = cellChoice([summary("fra.0"), summary("fra.1", "runsc")], 2);
  expect(cells.plan(asking, []).map((planned) => planned?.cell)).toEqual(["fra.1", "fra.1"]);
});

test("what a node says of itself in a heartbeat is shown, lasts while it says nothing, and counts for placement", () => {
  const cell = cellOf(2);
  const isolation = {
    ...{ runtimeClasses: ["runc" as const, "runsc" as const], userNamespaces: true, seccomp: true },
    ...{ confined: false, firewall: "whole" as const },
  };
  cell.beat(1, { isolation });
  cell.beat(1);
  expect([0, 1].map((n) => view(cell, n).isolation)).toEqual([undefined, isolation]);
});
