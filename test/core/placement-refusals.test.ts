// Refusals: each constraint named, with how many nodes it excluded and the least that was missing; and the words for it.
import { describe, expect, it } from "vitest";
import type { NodeId } from "../../contracts/ids.ts";
import { refusalText } from "../../contracts/refusal-text.ts";
import type { Refusal } from "../../contracts/failures.ts";
import { mergeRefusals, noSuchRegion } from "../../core/placement/refusal.ts";
import type { PlacementNode, PlacementRequest } from "../../core/placement/types.ts";
import { HEX, nodeOf, policyOf, roomOf, slotOf, slotsOf, place } from "./placement-world.ts";

const refusalOn = (nodes: readonly PlacementNode[], request: Partial<PlacementRequest> = {}): Refusal | undefined =>
  place(nodes, { slots: slotsOf(1), occupied: [], team: "t", ...request }, HEX).refusals[0]?.refusal;
const wanting = (placement: Record<string, unknown>) => ({
  slots: slotsOf(1, 100, { placement: policyOf(placement) }),
});
const nothing = { requested: null, missing: null };
const FREE = 1_048_576;

const cases: {
  name: string;
  nodes: PlacementNode[];
  request?: Partial<PlacementRequest>;
  says: Refusal["constraints"];
}[] = [
  {
    name: "cpu: the least that is missing, on the nearest",
    nodes: [nodeOf("a", "r1", 50), nodeOf("b", "r2", 80)],
    says: [{ constraint: "cpu", nodesExcluded: 2, requested: 100, missing: 20 }],
  },
  {
    name: "memory, disk and pids, all of them on the same node",
    nodes: [nodeOf("a", "r1", 500, { free: { ...roomOf(500, 4), diskBytes: 3, pids: 0 } })],
    says: [
      { constraint: "disk", nodesExcluded: 1, requested: 10, missing: 7 },
      { constraint: "memory", nodesExcluded: 1, requested: 10 * FREE, missing: 6 * FREE },
      { constraint: "pids", nodesExcluded: 1, requested: 1, missing: 1 },
    ],
  },
  {
    name: "runtime, and nothing else of a node of another kind",
    nodes: [nodeOf("a", "r1", 0, { runtime: "process" })],
    says: [{ constraint: "runtime", nodesExcluded: 1, ...nothing, wanted: "docker" }],
  },
  {
    name: "a runtime class that no node has, and nothing else of those without it",
    nodes: [
      nodeOf("a", "r1", 0),
      nodeOf("b", "r2", 0, { classes: "kata" }),
      nodeOf("c", "r2", 50, { classes: "kata runsc" }),
    ],
    request: { slots: slotsOf(1, 100, { runtimeClass: "runsc" }) },
    says: [
      { constraint: "runtime_class", nodesExcluded: 2, ...nothing, wanted: "runsc" },
      { constraint: "cpu", nodesExcluded: 1, requested: 100, missing: 50 },
    ],
  },
  {
    name: "labels, in the words of the release",
    nodes: [nodeOf("a", "r1"), nodeOf("b", "r1", 1_000, { labels: { disk: "hdd" } })],
    request: wanting({ labels: { disk: "nvme" } }),
    says: [{ constraint: "labels", nodesExcluded: 2, ...nothing, wanted: "disk=nvme" }],
  },
  {
    name: "why a node takes nothing, and not its room too; most nodes first",
    nodes: [
      nodeOf("a", "r1", 0, { closed: "draining" }),
      nodeOf("b", "r1", 0, { closed: "cordoned" }),
      nodeOf("c", "r1", 0, { closed: "not_ready" }),
      nodeOf("d", "r1", 0, { closed: "not_ready" }),
    ],
    says: [
      { constraint: "not_ready", nodesExcluded: 2, ...nothing },
      { constraint: "cordoned", nodesExcluded: 1, ...nothing },
      { constraint: "draining", nodesExcluded: 1, ...nothing },
    ],
  },
  {
    name: "ports that something on the node holds",
    nodes: [nodeOf("a", "r1", 1_000, { hostPorts: [443] })],
    request: wanting({ hostPorts: [80, 443] }),
    says: [{ constraint: "ports", nodesExcluded: 1, ...nothing, wanted: "80, 443" }],
  },
  {
    name: "apps that the release keeps away from",
    nodes: [nodeOf("a", "r1", 1_000, { apps: new Set(["t/db"]) })],
    request: wanting({ awayFrom: ["db"] }),
    says: [{ constraint: "away_from", nodesExcluded: 1, ...nothing, wanted: "db" }],
  },
  {
    name: "apps that keep away from the release, by their names",
    nodes: [
      nodeOf("a", "r1", 1_000, { shunned: new Map([["t/web", ["db"]]]) }),
      nodeOf("b", "r1", 1_000, { shunned: new Map([["t/web", ["cache", "db"]]]) }),
      nodeOf("c", "r1", 1_000, { closed: "not_ready", shunned: new Map([["t/web", ["unseen"]]]) }),
    ],
    request: { appName: "web" },
    says: [
      { constraint: "away_from", nodesExcluded: 2, ...nothing, detail: "kept away by cache, db" },
      { constraint: "not_ready", nodesExcluded: 1, ...nothing },
    ],
  },
  {
    name: "both, where each keeps away from others",
    nodes: [
      nodeOf("a", "r1", 1_000, { apps: new Set(["t/db"]) }),
      nodeOf("b", "r1", 1_000, { shunned: new Map([["t/web", ["api"]]]) }),
    ],
    request: { ...wanting({ awayFrom: ["db"] }), appName: "web" },
    says: [{ constraint: "away_from", nodesExcluded: 2, ...nothing, wanted: "db", detail: "db; kept away by api" }],
  },
  {
    name: "nodes that the slot is to avoid",
    nodes: [nodeOf("a", "r1")],
    request: { slots: slotsOf(1, 100, { avoid: ["node_a" as NodeId] }) },
    says: [{ constraint: "avoided", nodesExcluded: 1, ...nothing }],
  },
  {
    name: "failure domains and nodes that siblings have, where they are required to differ",
    nodes: [nodeOf("a", "r1"), nodeOf("b", "r1")],
    request: {
      ...wanting({ failureDomains: "required", nodes: "required" }),
      occupied: [{ failureDomain: "r1", node: "node_a" as NodeId, ordinal: 4 }],
    },
    says: [
      { constraint: "failure_domains", nodesExcluded: 2, ...nothing },
      { constraint: "nodes", nodesExcluded: 1, ...nothing },
    ],
  },
  {
    name: "a cell at its limit, whatever room its nodes have",
    nodes: [nodeOf("a", "r1"), nodeOf("b", "r1")],
    request: { slotsMax: 0 },
    says: [{ constraint: "cell_full", nodesExcluded: 2, ...nothing }],
  },
];

describe("a refusal names", () => {
  it.each(cases)("$name", ({ nodes, request, says }) => {
    const refusal = refusalOn(nodes, request);
    expect(refusal?.nodesTotal).toBe(nodes.length);
    expect(refusal?.constraints).toEqual(says);
  });

  it("counts what earlier slots of the same request took", () => {
    const { placements, refusals } = place([nodeOf("a", "r1", 150)], { slots: slotsOf(2), occupied: [] }, HEX);
    expect(placements).toHaveLength(1);
    expect(refusals[0]?.refusal.constraints).toEqual([
      { constraint: "cpu", nodesExcluded: 1, requested: 100, missing: 50 },
    ]);
  });

  it("names no constraint where there is no node at all", () => {
    expect(refusalOn([])).toEqual({ nodesTotal: 0, constraints: [] });
  });
});

describe("what no node could ever take is called impossible", () => {
  it.each([
    ["more than the largest node", [nodeOf("a", "r1")], { slots: slotsOf(1, 1_001) }, true],
    ["more than is free, on a full node", [nodeOf("a", "r1", 0)], {}, undefined],
    ["any room on a node that is not ready", [nodeOf("a", "r1", 0, { closed: "not_ready" })], {}, undefined],
    ["labels that no node has", [nodeOf("a", "r1")], wanting({ labels: { disk: "nvme" } }), true],
    [
      "labels of a full node",
      [nodeOf("a", "r1", 0, { labels: { disk: "nvme" } })],
      wanting({ labels: { disk: "nvme" } }),
      undefined,
    ],
    ["a runtime that no node has", [nodeOf("a", "r1", 1_000, { runtime: "process" })], {}, true],
  ] as const)("%s", (_name, nodes, request, impossible) => {
    expect(refusalOn(nodes, request)?.impossible).toBe(impossible);
  });

  it("a fourth replica in a rack of its own, where there are three racks", () => {
    const nodes = ["r1", "r2", "r3"].map((rack) => nodeOf(rack, rack));
    const placement = policyOf({ failureDomains: "required" });
    const { placements, refusals } = place(nodes, { slots: slotsOf(4, 1, { placement }), occupied: [] }, HEX);
    expect(placements).toHaveLength(3);
    expect(refusals[0]?.refusal.impossible).toBe(true);
  });

  it("constraints that contradict each other: a labelled node of the size asked for does not exist, though both do", () => {
    const large = nodeOf("large", "r1", 2_000, { capacity: roomOf(2_000), free: roomOf(2_000) });
    const fast = nodeOf("fast", "r1", 1_000, { labels: { disk: "nvme" } });
    const slots = slotsOf(1, 1_500, { placement: policyOf({ labels: { disk: "nvme" } }) });
    expect(refusalOn([large, fast], { slots })).toEqual({
      nodesTotal: 2,
      constraints: [
        { constraint: "cpu", nodesExcluded: 1, requested: 1_500, missing: 500 },
        { constraint: "labels", nodesExcluded: 1, ...nothing, wanted: "disk=nvme" },
      ],
      impossible: true,
    });
  });
});

describe("refusals of several cells", () => {
  const one = refusalOn([nodeOf("a", "r1", 50)])!;
  const two = refusalOn([nodeOf("b", "r1", 70)])!;
  it("add up, with the least that was missing anywhere", () => {
    expect(mergeRefusals(mergeRefusals(null, one), two)).toEqual({
      nodesTotal: 2,
      constraints: [{ constraint: "cpu", nodesExcluded: 2, requested: 100, missing: 30 }],
    });
  });
  it("are impossible together only if each is; a cell without nodes has no say", () => {
    const never = refusalOn([nodeOf("a", "r1")], { slots: [slotOf(0, 1_001)] })!;
    expect(mergeRefusals(never, never).impossible).toBe(true);
    expect(mergeRefusals(never, one).impossible).toBeUndefined();
    expect(mergeRefusals(never, { nodesTotal: 0, constraints: [] }).impossible).toBe(true);
  });
});

describe("the words of a refusal", () => {
  it.each([
    [
      refusalOn([nodeOf("a", "r1", 50), nodeOf("b", "r1", 80)])!,
      "of 2 nodes, 2 excluded by cpu (20 m missing on the nearest)",
    ],
    [
      refusalOn([nodeOf("a", "r1", 500, { free: roomOf(500, 4) })])!,
      "of 1 node, 1 excluded by memory (6 MiB missing on the nearest)",
    ],
    [
      refusalOn([nodeOf("a", "r1")], wanting({ labels: { disk: "nvme" } }))!,
      "of 1 node, 1 excluded by labels (disk=nvme); no node could take it even if it were empty",
    ],
    [refusalOn([])!, "there are no nodes"],
    [noSuchRegion(["mars"]), "no node was ever enrolled in region mars"],
  ] as const)("%#", (refusal, words) => {
    expect(refusalText(refusal)).toBe(words);
  });
});
