// core/cell: the Region hears whose place is taken, so that it may give those of abandoned enrolments to others.
import { expect, it } from "vitest";
import { BenchCell, CELL, REGION, nodeId, value } from "./bench-object.ts";
import { on } from "./cell-bench.ts";

const claims = (cell: BenchCell) => cell.drain("claim_place");

it("claims the place of a node that enrolled until the Region has it, over restarts, and then no more", () => {
  const cell = new BenchCell();
  value(cell.enrol(1, { claimed: false }));
  expect(claims(cell)).toMatchObject([{ region: REGION, cell: CELL, node: nodeId(1) }]);
  cell.nowMs = cell.wakeAtMs!;
  cell.tick();
  expect(claims(cell)).toHaveLength(1);
  cell.restart();
  cell.tick();
  expect(claims(cell)).toHaveLength(1);
  cell.take({ kind: "place_claimed", node: nodeId(1) });
  cell.restart();
  for (let second = 0; second < 60; second += 1) cell.tick(1_000);
  expect(claims(cell)).toEqual([]);
});

it("gives a place back that it had not claimed yet, and claims it no more", () => {
  const cell = new BenchCell();
  value(cell.enrol(1, { claimed: false }));
  claims(cell);
  value(cell.take({ kind: "remove", input: { ...on(1), force: true } }));
  expect(cell.drain("release_place")).toMatchObject([{ node: nodeId(1) }]);
  cell.take({ kind: "place_claimed", node: nodeId(1) });
  cell.take({ kind: "place_released", node: nodeId(1) });
  for (let second = 0; second < 60; second += 1) cell.tick(1_000);
  expect([...claims(cell), ...cell.drain("release_place")]).toEqual([]);
  expect(cell.tables.nodes.get(nodeId(1))).not.toHaveProperty("placeClaimed");
});
