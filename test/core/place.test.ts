// core/placement: spread first, then tight packing; never beyond what is free; every refusal explained.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { InstanceId, NodeId } from "../../contracts/ids.ts";
import type { ReserveSlot } from "../../core/messages.ts";
import { mergeRefusals, RESOURCE_NAMES } from "../../core/placement/constraints.ts";
import { place } from "../../core/placement/place.ts";
import type { PlacementNode } from "../../core/placement/types.ts";
import { SEED, announced } from "./seed.ts";

const HEX = "0123456789abcdef0123456789abcdef";
const room = (cpuMilli: number) => ({ cpuMilli, memoryBytes: 1_000_000, diskBytes: 1_000_000, pids: 1_000 });
const node = (
  name: string,
  failureDomain: string,
  cpuMilli = 1_000,
  more: Partial<PlacementNode> = {},
): PlacementNode => ({
  id: `node_${name}` as NodeId,
  failureDomain,
  runtime: "docker",
  ready: true,
  cordoned: false,
  capacity: room(1_000),
  free: room(cpuMilli),
  ...more,
});
const slot = (ordinal: number, cpuMilli = 100): ReserveSlot => ({
  instance: `ins_${ordinal}` as InstanceId,
  generation: 1,
  ordinal,
  resources: { cpuMilli, memoryBytes: 10, diskBytes: 10, pids: 1 },
  runtimes: ["docker"],
});
const slots = (count: number, cpuMilli = 100) => Array.from({ length: count }, (_, ordinal) => slot(ordinal, cpuMilli));

describe("place", () => {
  it("puts three replicas into three racks", () => {
    const nodes = [node("a", "r1"), node("b", "r1"), node("c", "r2"), node("d", "r3")];
    const { placements } = place(nodes, { slots: slots(3), occupied: [] }, HEX);
    const racks = placements.map((entry) => nodes.find((candidate) => candidate.id === entry.node)!.failureDomain);
    expect(new Set(racks)).toEqual(new Set(["r1", "r2", "r3"]));
  });

  it("keeps away from racks that the app is on already", () => {
    const occupied = [{ failureDomain: "r1", node: "node_a" as NodeId }];
    const { placements } = place([node("a", "r1"), node("b", "r2", 150)], { slots: slots(1), occupied }, HEX);
    expect(placements[0]?.node).toBe("node_b");
  });

  it("packs the fullest node that fits where racks are equal", () => {
    const nodes = [node("empty", "r1", 1_000), node("full", "r1", 90), node("tight", "r1", 200)];
    expect(place(nodes, { slots: slots(1), occupied: [] }, HEX).placements[0]?.node).toBe("node_tight");
  });

  it("explains a refusal by constraint, nodes excluded and the least that was missing", () => {
    const nodes = [
      node("a", "r1", 50),
      node("b", "r2", 80),
      node("c", "r3", 1_000, { ready: false }),
      node("d", "r3", 1_000, { cordoned: true }),
      node("e", "r3", 1_000, { runtime: "process" }),
    ];
    const { placements, refusals } = place(nodes, { slots: slots(1), occupied: [] }, HEX);
    expect(placements).toEqual([]);
    expect(refusals[0]?.refusal).toEqual({
      nodesTotal: 5,
      constraints: [
        { constraint: "cpu", nodesExcluded: 2, requested: 100, missing: 20 },
        { constraint: "not_ready", nodesExcluded: 1, requested: null, missing: null },
        { constraint: "cordoned", nodesExcluded: 1, requested: null, missing: null },
        { constraint: "runtime", nodesExcluded: 1, requested: null, missing: null },
      ],
    });
  });

  it("refuses with no constraint where there is no node at all", () => {
    const { refusals } = place([], { slots: slots(1), occupied: [] }, HEX);
    expect(refusals[0]?.refusal).toEqual({ nodesTotal: 0, constraints: [] });
  });

  it("adds up the refusals of several cells", () => {
    const one = place([node("a", "r1", 50)], { slots: slots(1), occupied: [] }, HEX).refusals[0]!.refusal;
    const two = place([node("b", "r1", 70)], { slots: slots(1), occupied: [] }, HEX).refusals[0]!.refusal;
    const merged = {
      nodesTotal: 2,
      constraints: [{ constraint: "cpu", nodesExcluded: 2, requested: 100, missing: 30 }],
    };
    expect(mergeRefusals(mergeRefusals(null, one), two)).toEqual(merged);
  });
});

const anyNode = fc
  .tuple(fc.nat(999), fc.constantFrom("r1", "r2", "r3"), fc.nat(1_000), fc.boolean())
  .map(([name, rack, cpu, ready]) => node(String(name), rack, cpu, { ready }));
const anyNodes = fc.uniqueArray(anyNode, { maxLength: 8, selector: (entry) => entry.id });
const anySlots = fc
  .array(fc.integer({ min: 1, max: 600 }), { maxLength: 12 })
  .map((cpus) => cpus.map((cpu, n) => slot(n, cpu)));

describe(announced("any placement"), () => {
  it("never exceeds what is free, answers each slot once, and refuses only what fits nowhere", () => {
    fc.assert(
      fc.property(anyNodes, anySlots, (nodes, wanted) => {
        const { placements, refusals } = place(nodes, { slots: wanted, occupied: [] }, HEX);
        expect(placements.length + refusals.length).toBe(wanted.length);
        for (const candidate of nodes) {
          const here = placements.filter((entry) => entry.node === candidate.id);
          for (const name of RESOURCE_NAMES) {
            const used = here.reduce((sum, entry) => sum + entry.slot.resources[name], 0);
            expect(used).toBeLessThanOrEqual(candidate.ready ? candidate.free[name] : 0);
          }
        }
        for (const { instance } of refusals) {
          const { cpuMilli } = wanted.find((entry) => entry.instance === instance)!.resources;
          const fits = nodes.some((candidate) => {
            const here = placements.filter((entry) => entry.node === candidate.id);
            const used = here.reduce((sum, entry) => sum + entry.slot.resources.cpuMilli, 0);
            return candidate.ready && candidate.free.cpuMilli - used >= cpuMilli;
          });
          expect(fits).toBe(false);
        }
      }),
      { seed: SEED, numRuns: 1_000 },
    );
  });

  it("does not depend on the order of the nodes", () => {
    fc.assert(
      fc.property(anyNodes, anySlots, (nodes, wanted) => {
        const there = place(nodes, { slots: wanted, occupied: [] }, HEX).placements;
        const back = place([...nodes].reverse(), { slots: wanted, occupied: [] }, HEX).placements;
        expect(back).toEqual(there);
      }),
      { seed: SEED, numRuns: 500 },
    );
  });
});
