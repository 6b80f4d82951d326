// core/placement: spread first, then tight packing; never beyond what is free; the index decides as a plain scan would.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { NodeId } from "../../contracts/ids.ts";
import { RESOURCE_NAMES } from "../../core/placement/constraints.ts";
import { createPool } from "../../core/placement/pool.ts";
import type { PlacementNode, PlacementRequest } from "../../core/placement/types.ts";
import { placeByScan } from "./placement-scan.ts";
import {
  HEX,
  anyNode,
  anyNodes,
  anySlots,
  nodeOf,
  policyOf,
  roomOf,
  slotOf,
  slotsOf,
  place,
} from "./placement-world.ts";
import { SEED, announced } from "./seed.ts";

const nodesOf = (nodes: readonly PlacementNode[], request: Partial<PlacementRequest>): (string | undefined)[] =>
  place(nodes, { slots: slotsOf(1), occupied: [], ...request }, HEX).placements.map(({ node }) => node);

describe("place", () => {
  it("puts three replicas into three racks", () => {
    const nodes = [nodeOf("a", "r1"), nodeOf("b", "r1"), nodeOf("c", "r2"), nodeOf("d", "r3")];
    const { placements } = place(nodes, { slots: slotsOf(3), occupied: [] }, HEX);
    const racks = placements.map((entry) => nodes.find((candidate) => candidate.id === entry.node)!.failureDomain);
    expect(new Set(racks)).toEqual(new Set(["r1", "r2", "r3"]));
  });

  it("keeps away from racks that the app is on already", () => {
    const occupied = [{ failureDomain: "r1", node: "node_a" as NodeId, ordinal: 7 }];
    expect(nodesOf([nodeOf("a", "r1"), nodeOf("b", "r2", 150)], { occupied })).toEqual(["node_b"]);
  });

  it("takes another node of the same rack before the same node", () => {
    const occupied = [{ failureDomain: "r1", node: "node_a" as NodeId, ordinal: 7 }];
    expect(nodesOf([nodeOf("a", "r1", 120), nodeOf("b", "r1")], { occupied })).toEqual(["node_b"]);
  });

  it("lets a replacement go to the rack of the instance that it replaces, even where racks must differ", () => {
    const nodes = [nodeOf("a", "r1"), nodeOf("b", "r1"), nodeOf("c", "r2")];
    const occupied = [
      { failureDomain: "r1", node: "node_a" as NodeId, ordinal: 0 },
      { failureDomain: "r2", node: "node_c" as NodeId, ordinal: 1 },
    ];
    const placement = policyOf({ failureDomains: "required" });
    const slots = [slotOf(0, 100, { placement, avoid: ["node_a" as NodeId] })];
    expect(nodesOf(nodes, { occupied, slots })).toEqual(["node_b"]);
  });

  it.each<[string, Partial<PlacementNode>, string]>([
    ["if it fits there", {}, "node_meant"],
    ["not beyond what is free there", { free: roomOf(50) }, "node_tight"],
    ["not where it takes no placements", { closed: "cordoned" }, "node_tight"],
    ["not against what the slot requires", { hostPorts: [443] }, "node_tight"],
  ])("puts a slot on the node that it is meant for, whatever packs better: %s", (_name, more, expected) => {
    const nodes = [nodeOf("tight", "r1", 0, { free: roomOf(200, 200) }), nodeOf("meant", "r1", 1_000, more)];
    const placement = policyOf({ hostPorts: [443] });
    const slots = [slotOf(0, 100, { placement, prefer: "node_meant" as NodeId })];
    expect(nodesOf(nodes, { slots })).toEqual([expected]);
    expect(nodesOf(nodes, { slots: [slotOf(0, 100, { placement })] })).toEqual(["node_tight"]);
  });

  it("packs the fullest node that fits where racks are equal", () => {
    const free = (share: number) => ({ free: roomOf(1_000 * share, 1_000 * share) });
    const nodes = [nodeOf("empty", "r1"), nodeOf("full", "r1", 0, free(0.09)), nodeOf("tight", "r1", 0, free(0.2))];
    expect(nodesOf(nodes, {})).toEqual(["node_tight"]);
  });

  it("does not strand the scarce resource: of two equally tight nodes it takes the one whose memory goes with its cpu", () => {
    const nodes = [
      nodeOf("stranding", "r1", 0, { free: roomOf(400, 100) }),
      nodeOf("balanced", "r1", 0, { free: roomOf(250, 250) }),
      nodeOf("busy", "r1", 0, { free: roomOf(0, 1_000) }),
    ];
    expect(nodesOf(nodes, {})).toEqual(["node_balanced"]);
  });

  it("takes the emptiest node where the release spreads", () => {
    const slots = slotsOf(1, 100, { placement: policyOf({ strategy: "spread" }) });
    expect(nodesOf([nodeOf("a", "r1", 500), nodeOf("b", "r1"), nodeOf("c", "r1", 300)], { slots })).toEqual(["node_b"]);
  });

  it("prefers a node that has the image among near equals, and only among those", () => {
    const images = new Set(["sha256:a"]);
    const slots = slotsOf(1, 100, { image: "sha256:a" });
    const near = [nodeOf("tight", "r1", 200), nodeOf("near", "r1", 205, { images })];
    expect(nodesOf(near, { slots })).toEqual(["node_near"]);
    const far = [nodeOf("tight", "r1", 200), nodeOf("far", "r1", 900, { images })];
    expect(nodesOf(far, { slots })).toEqual(["node_tight"]);
  });

  it("gives a host port of a node to one slot, within one request too", () => {
    const placement = policyOf({ hostPorts: [443] });
    const nodes = [nodeOf("a", "r1"), nodeOf("b", "r1", 1_000, { hostPorts: [443] })];
    const { placements, refusals } = place(nodes, { slots: slotsOf(2, 1, { placement }), occupied: [] }, HEX);
    expect(placements.map(({ node }) => node)).toEqual(["node_a"]);
    expect(refusals).toHaveLength(1);
  });

  it("keeps off nodes with an app of the same team that the release names, not with another team's of that name", () => {
    const slots = slotsOf(1, 100, { placement: policyOf({ awayFrom: ["db"] }) });
    const nodes = [
      nodeOf("a", "r1", 110, { apps: new Set(["t/db"]) }),
      nodeOf("b", "r1", 1_000, { apps: new Set(["u/db"]) }),
    ];
    expect(nodesOf(nodes, { slots, team: "t" })).toEqual(["node_b"]);
  });

  it("keeps off nodes with an app of the same team that stays away from this one, and only off those", () => {
    const nodes = [
      nodeOf("a", "r1", 110, { shunned: new Map([["t/web", ["db"]]]) }),
      nodeOf("b", "r1", 120, { shunned: new Map([["u/web", ["db"]]]) }),
    ];
    expect(nodesOf(nodes, { slots: slotsOf(1), team: "t", appName: "web" })).toEqual(["node_b"]);
    expect(nodesOf(nodes, { slots: slotsOf(1), team: "t", appName: "api" })).toEqual(["node_a"]);
  });

  it("decides between equals by the seed, and by nothing else", () => {
    const nodes = Array.from({ length: 20 }, (_, n) => nodeOf(String(n), "r1"));
    const under = (seed: string) => place(nodes, { slots: slotsOf(1), occupied: [] }, seed).placements[0]?.node;
    expect(under(HEX)).toBe(under(HEX));
    const seeds = Array.from({ length: 12 }, (_, n) => String(n).padStart(8, "7").repeat(4));
    expect(new Set(seeds.map(under)).size).toBeGreaterThan(3);
  });
});

describe(announced("any placement"), () => {
  const anyCase = fc.integer({ min: 0, max: 30 }).chain((length) =>
    anyNodes(length).chain((nodes) =>
      fc.record({
        nodes: fc.constant(nodes),
        slots: anySlots(nodes),
        occupied: fc.array(
          fc.record({
            failureDomain: fc.constantFrom("r1", "r2", "r3", "r9"),
            node: fc.constantFrom(...nodes.map(({ id }) => id), "node_elsewhere" as NodeId),
            ordinal: fc.nat(9),
          }),
          { maxLength: 3 },
        ),
      }),
    ),
  );

  it("is the one that a scan over all nodes makes, refusals and their arithmetic included", () => {
    fc.assert(
      fc.property(anyCase, ({ nodes, slots, occupied }) => {
        const request = { slots, occupied, team: "t", appName: "web" };
        expect(place(nodes, request, HEX)).toEqual(placeByScan(nodes, request, HEX));
      }),
      { seed: SEED, numRuns: 3_000 },
    );
  });

  it("is the scan's on hundreds of nodes too, where the index has levels", () => {
    const many = fc.array(anyNode, { minLength: 1_200, maxLength: 1_200 }).map((nodes) =>
      nodes.map((node, n) => ({
        ...node,
        id: `node_${n}` as NodeId,
        labels: {},
        runtime: "docker" as const,
        failureDomain: "r1",
      })),
    );
    fc.assert(
      fc.property(many, anySlots([], 20), (nodes, slots) => {
        const plain = nodes.map((node, n) => ({
          ...node,
          capacity: roomOf(2_000, 1_500),
          closed: null,
          free: jitter(node.free, n),
        }));
        const request = { slots, occupied: [], team: "t", appName: "web" };
        expect(place(plain, request, HEX)).toEqual(placeByScan(plain, request, HEX));
      }),
      { seed: SEED, numRuns: 25 },
    );
  });

  it("never exceeds what is free, and answers each slot once", () => {
    fc.assert(
      fc.property(anyCase, ({ nodes, slots, occupied }) => {
        const { placements, refusals } = place(nodes, { slots, occupied }, HEX);
        expect(placements.length + refusals.length).toBe(slots.length);
        for (const candidate of nodes) {
          const here = placements.filter((entry) => entry.node === candidate.id);
          if (here.length > 0) expect(candidate.closed).toBeNull();
          for (const name of RESOURCE_NAMES) {
            const used = here.reduce((sum, entry) => sum + entry.slot.resources[name], 0);
            expect(used).toBeLessThanOrEqual(candidate.free[name]);
          }
          const ports = here.flatMap((entry) => entry.slot.placement?.hostPorts ?? []);
          expect(new Set([...ports, ...candidate.hostPorts]).size).toBe(ports.length + candidate.hostPorts.length);
        }
      }),
      { seed: SEED, numRuns: 1_000 },
    );
  });

  it("does not depend on the order of the nodes, nor on what the pool went through before", () => {
    fc.assert(
      fc.property(anyCase, anyNodes(20), ({ nodes, slots, occupied }, others) => {
        const request = { slots, occupied, team: "t", appName: "web" };
        const there = place(nodes, request, HEX);
        expect(place([...nodes].reverse(), request, HEX).placements).toEqual(there.placements);
        const pool = createPool(others, HEX);
        pool.place(request);
        for (const node of nodes) pool.update(node);
        for (const { id } of others) if (!nodes.some((node) => node.id === id)) pool.remove(id);
        expect(pool.place(request).placements).toEqual(there.placements);
        expect(pool.place(request).placements).toEqual(there.placements);
      }),
      { seed: SEED, numRuns: 1_000 },
    );
  });
});

/** Off the levels' borders, each node differently. */
const jitter = (free: PlacementNode["free"], n: number): PlacementNode["free"] => ({
  ...free,
  cpuMilli: Math.max(0, free.cpuMilli - (n % 37)),
  memoryBytes: Math.max(0, free.memoryBytes - (n % 41) * 1_000_000),
});
