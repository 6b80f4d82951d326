// The index of a large pool through thousands of changes: every decision is the one that a scan over all nodes makes.
import { describe, expect, it } from "vitest";
import type { NodeId } from "../../contracts/ids.ts";
import { createPool } from "../../core/placement/pool.ts";
import type { PlacementNode } from "../../core/placement/types.ts";
import { randomFrom } from "../../core/random.ts";
import { placeByScan } from "./placement-scan.ts";
import { HEX, nodeOf, policyOf, roomOf, slotOf } from "./placement-world.ts";
import { SEED, announced } from "./seed.ts";

const MIB = 1_048_576;
/** One size for each fineness of the index: sparse enough that bounds and blocks decide. */
const SIZES = [
  { size: 12, turns: 600 },
  { size: 40, turns: 8_000 },
  { size: 600, turns: 4_000 },
  { size: 2_400, turns: 2_000 },
  { size: 33_000, turns: 30 },
];

/** favour: which resource most nodes have little left of; then the other is plentiful, and the scarce one decides. */
function world(seed: number, favour: "cpu" | "memory") {
  const next = randomFrom(seed.toString(16).padStart(8, "0").repeat(4));
  const below = (max: number): number => next() % max;
  const share = (scarce: boolean): number => (scarce && below(8) > 0 ? below(250) : below(1_000)) / 1_000;
  const random = (n: number): PlacementNode => {
    const capacity = roomOf([1_000, 4_000, 6_000][n % 3]!, [4_000, 4_000, 9_000][below(3)]!);
    const free = {
      ...capacity,
      cpuMilli: Math.floor(capacity.cpuMilli * share(favour === "cpu")),
      memoryBytes: Math.floor(capacity.memoryBytes * share(favour === "memory")),
    };
    return nodeOf(String(n), below(20) === 0 ? "r2" : "r1", 0, {
      capacity,
      free,
      closed: below(40) === 0 ? "not_ready" : null,
    });
  };
  const slot = () => {
    const size = [400, 1_500, 5_000][below(3)]!;
    const resources = { cpuMilli: 1 + below(size), memoryBytes: (1 + below(size)) * MIB, diskBytes: 1, pids: 1 };
    const placement = policyOf({ strategy: below(4) === 0 ? "spread" : "pack" });
    return { ...slotOf(0), resources, placement };
  };
  return { below, random, slot };
}

describe(announced("a pool of nodes"), () => {
  const cases = (["cpu", "memory"] as const).flatMap((favour) => SIZES.map((more) => ({ favour, ...more })));
  it.each(cases)("decides as a scan does with $favour scarce on $size nodes, however they changed", (at) => {
    const { favour, size, turns } = at;
    const { below, random, slot } = world(SEED, favour);
    const nodes = new Map<NodeId, PlacementNode>();
    for (let n = 0; n < size; n += 1) nodes.set(`node_${n}` as NodeId, random(n));
    const pool = createPool(nodes.values(), HEX);
    for (let turn = 0; turn < turns; turn += 1) {
      const changed = random(below(size));
      if (below(30) === 0) {
        pool.remove(changed.id);
        nodes.delete(changed.id);
      } else {
        pool.update(changed);
        nodes.set(changed.id, changed);
      }
      if (turn % 3 > 0) continue;
      const request = { slots: [slot()], occupied: [] };
      const decision = pool.place(request);
      expect(decision).toEqual(placeByScan([...nodes.values()], request, HEX));
      const [placed] = decision.placements;
      if (!placed) continue;
      pool.take(placed.node, placed.slot.resources);
      nodes.set(placed.node, pool.get(placed.node)!);
    }
  });

  it("has a node as it was after what came to it went again", () => {
    const node = nodeOf("a", "r1");
    const pool = createPool([node, nodeOf("b", "r1", 0, { closed: "cordoned" })], HEX);
    const { resources } = slotOf(0, 300);
    for (const id of ["node_a", "node_b"] as NodeId[]) {
      const before = pool.get(id)!;
      pool.take(id, resources);
      expect(pool.get(id)!.free.cpuMilli).toBe(before.free.cpuMilli - 300);
      pool.give(id, resources);
      expect(pool.get(id)).toEqual(before);
    }
    expect(() => pool.take("node_c" as NodeId, resources)).toThrow("node_c");
  });
});
