// core/cell: a disk that was copied to another server, so that two agents speak as one node.
import { describe, expect, it } from "vitest";
import { cellOf, eventsOf, view } from "./cell-bench.ts";
import { nodeId, value } from "./bench-object.ts";

const original = { boot: "boot-original" };
const clone = { boot: "boot-clone" };
const conditions = (cell: ReturnType<typeof cellOf>) => view(cell, 0).conditions.map(({ kind }) => kind);

/** The original has run for a while when the clone starts. */
function cloned() {
  const cell = cellOf(1);
  value(cell.beat(0, {}, original));
  cell.tick(60_000);
  value(cell.beat(0, {}, clone));
  return cell;
}

describe("two agents with one identity", () => {
  it("are a condition of the node as soon as the older one is heard beside the newer, and it takes no placements", () => {
    const cell = cloned();
    cell.tick(31_000);
    expect(cell.beat(0, {}, original)).toMatchObject({ failure: { code: "proof_replayed" } });
    value(cell.beat(0, {}, clone));
    expect(conditions(cell)).toEqual(["identity_cloned"]);
    expect(view(cell, 0).conditions[0]?.message).toContain("a disk was copied");
  });

  it("are none where the node's agent was only started again: what was under way then is refused, and proves nothing", () => {
    const cell = cloned();
    cell.tick(29_000);
    expect(cell.beat(0, {}, original)).toMatchObject({ failure: { code: "proof_replayed" } });
    value(cell.beat(0, {}, clone));
    cell.tick(10_000);
    value(cell.beat(0, {}, clone));
    expect(conditions(cell)).toEqual([]);
  });

  it("are over when the other one has been silent for a minute; both are told as events of the node", () => {
    const cell = cloned();
    cell.tick(31_000);
    cell.beat(0, {}, original);
    value(cell.beat(0, {}, clone));
    cell.tick(59_000);
    value(cell.beat(0, {}, clone));
    expect(conditions(cell)).toEqual(["identity_cloned"]);
    cell.tick(2_000);
    value(cell.beat(0, {}, clone));
    expect(conditions(cell)).toEqual([]);
    const told = eventsOf(cell, nodeId(0)).filter((type) => type === "node.condition" || type === "node.recovered");
    expect(told).toEqual(["node.condition", "node.recovered"]);
  });

  it("are seen whichever of them starts anew", () => {
    const cell = cloned();
    cell.tick(31_000);
    value(cell.beat(0, {}, { boot: "boot-original-again" }));
    cell.tick(31_000);
    expect(cell.beat(0, {}, clone)).toMatchObject({ failure: { code: "proof_replayed" } });
    value(cell.beat(0, {}, { boot: "boot-original-again" }));
    expect(conditions(cell)).toEqual(["identity_cloned"]);
  });
});
