// core/cell: what Apps hear of a suspect node, so that room is held elsewhere, and of its end, whatever ends it.
import { describe, expect, it } from "vitest";
import type { Limits } from "../../core/limits.ts";
import { insId, nodeId, value, type BenchCell } from "./bench-object.ts";
import {
  appId,
  cellOf,
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

const failure = { code: "exited", message: "", exitCode: 1, signal: null, logTail: [] };
const kinds = (cell: BenchCell): string[] => told(cell).map(({ kind }) => kind);

/** Node 0 with instance 1 and, of another app, 2 and 3, of which 3 drains; all was told. */
function silent(limits: Partial<Limits> = {}, nodes = 1): BenchCell {
  const cell = cellOf(nodes, limits);
  const avoid = Array.from({ length: nodes - 1 }, (_, n) => n + 1);
  placed(cell, 1, { avoid });
  for (const n of [2, 3]) placed(cell, n, { app: 2, avoid });
  update(cell, { drain: [insId(3)] }, 2);
  settle(cell, 0, [insId(1), insId(2), insId(3)]);
  told(cell);
  return cell;
}

describe("a suspect node", () => {
  it("is told once to each App, with what is to serve on there", () => {
    const cell = silent();
    silence(cell, 6);
    expect(view(cell, 0).phase).toBe("suspect");
    const of = (n: number) => ({ kind: "node_suspect", node: nodeId(0), instances: [insId(n)] });
    expect(told(cell)).toMatchObject([of(1), of(2)]);
  });

  it("gets nothing of what is reserved for it: its own room is closed, and that it is suspect is the reason", () => {
    const cell = silent({}, 2);
    silence(cell, 6, { beating: [1] });
    expect(reserve(cell, "k", [9]).placements).toMatchObject([{ node: nodeId(1) }]);
    const { refused } = reserve(cell, "l", [8], { avoid: [1] });
    expect(refused[0]?.refusal.constraints).toContainEqual(
      expect.objectContaining({ constraint: "not_ready", detail: "1 suspect" }),
    );
  });

  it("is told although it is cordoned or being drained", () => {
    const cell = silent();
    value(cell.take({ kind: "drain", input: on(0) }));
    told(cell);
    silence(cell, 6);
    expect(kinds(cell)).toEqual(["node_suspect", "node_suspect"]);
  });
});

describe("a suspicion", () => {
  it.each<[string, (cell: BenchCell) => void, string[]]>([
    ["it is heard", (cell) => value(cell.beat(0)), ["node_cleared", "node_cleared"]],
    [
      "its gateway answers",
      (cell) => cell.take({ kind: "gateway_probed", node: nodeId(0), answered: true }),
      ["node_cleared", "node_cleared"],
    ],
    ["it is lost: that says more", (cell) => silence(cell, 6), ["node_gone", "node_gone"]],
    [
      "it is removed: so does that",
      (cell) => value(cell.take({ kind: "remove", input: { ...on(0), force: true } })),
      ["node_gone", "node_gone"],
    ],
    [
      "the cell starts again and cannot know since when it is silent",
      (cell) => {
        cell.restart();
        cell.tick();
      },
      ["node_cleared", "node_cleared"],
    ],
  ])("ends, and is told to have ended, when %s", (_name, end, expected) => {
    const cell = silent();
    silence(cell, 5);
    expect(kinds(cell)).toEqual(["node_suspect", "node_suspect"]);
    end(cell);
    expect(kinds(cell)).toEqual(expected);
    expect(cell.tables.nodes.get(nodeId(0))?.suspectTold).toBe(false);
    cell.tick();
    expect(kinds(cell)).toEqual([]);
  });

  it("begins anew with the next silence, after a restart too", () => {
    const cell = silent();
    silence(cell, 6);
    cell.restart();
    cell.tick();
    told(cell);
    silence(cell, 6);
    expect(kinds(cell)).toEqual(["node_suspect", "node_suspect"]);
  });

  it("that an answering gateway ended is told after what is given up there all the same", () => {
    const cell = silent();
    value(cell.beat(0, { observed: [seen(1, { kind: "failed", failure })] }));
    told(cell);
    silence(cell, 5);
    told(cell);
    cell.take({ kind: "gateway_probed", node: nodeId(0), answered: true });
    expect(told(cell)).toMatchObject([
      { kind: "node_gone", instances: [insId(1)] },
      { kind: "node_cleared" },
      { kind: "node_cleared" },
    ]);
  });

  it("is over while rescheduling is frozen: nothing will be lost, so nothing is held", () => {
    const cell = cellOf(6);
    const home = placed(cell, 1);
    told(cell);
    silence(cell, 30, { answers: (n) => n !== home });
    expect([view(cell, home).phase, numberOf(cell, 1)]).toEqual(["suspect", home]);
    expect(kinds(cell)).toEqual(["node_suspect", "node_cleared"]);
  });

  it.each([true, false])(
    "is said again to an App that messages were left out for, as it is by then (suspect: %s)",
    (lasts) => {
      const cell = silent({ messagesPendingMax: 1 });
      value(cell.beat(0, { observed: [seen(1, { kind: "starting" })] }));
      silence(cell, 5);
      expect(cell.tables.apps.get(appId(1))).toMatchObject({ stale: true });
      if (!lasts) value(cell.beat(0));
      const messages = told(cell);
      const suspected = messages.flatMap((message) => (message.kind === "node_suspect" ? message.instances : []));
      expect(suspected).toEqual(lasts ? expect.arrayContaining([insId(1), insId(2)]) : [insId(2)]);
      expect(messages).toContainEqual(expect.objectContaining({ kind: "node_back", node: nodeId(0) }));
    },
  );
});
