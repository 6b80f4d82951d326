// Choosing cells by what a Region says of them: the rooms on their nodes, where they fit best, and what is old or unknown.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { CellName } from "../../contracts/ids.ts";
import type { CellSummary } from "../../core/messages.ts";
import { cellChoice } from "../../core/placement/choose-cell.ts";
import { freeIn, kindsOf } from "../../core/placement/rooms.ts";
import type { PlacementNode } from "../../core/placement/types.ts";
import { HEX, anyNodes, anySlots, nodeOf, policyOf, roomOf, slotsOf, place } from "./placement-world.ts";
import { SEED, announced } from "./seed.ts";

const ROOMS_MAX = 40;
const summaryOf = (number: number, nodes: readonly PlacementNode[], more: Partial<CellSummary> = {}): CellSummary => {
  const open = nodes.filter(({ closed }) => closed === null);
  const sum = (of: (node: PlacementNode) => PlacementNode["free"]) => ({
    cpuMilli: open.reduce((total, node) => total + of(node).cpuMilli, 0),
    memoryBytes: open.reduce((total, node) => total + of(node).memoryBytes, 0),
    diskBytes: 1,
    pids: 1,
  });
  return {
    cell: `lab.${number}` as CellName,
    nodes: nodes.length,
    readyNodes: open.length,
    capacity: sum((node) => node.capacity),
    free: sum((node) => node.free),
    largestFree: roomOf(1_000),
    runtimes: ["docker"],
    kinds: kindsOf(nodes, ROOMS_MAX),
    atMs: 0,
    ...more,
  };
};
const planned = (
  cells: readonly CellSummary[],
  count = 1,
  more: Parameters<typeof slotsOf>[2] = {},
  refused: string[] = [],
) => {
  const slots = slotsOf(count, 100, more);
  const plan = cellChoice(cells, count).plan({ slots, occupied: [] }, refused as CellName[]);
  return plan.map((found) => found?.cell);
};
const share = (part: number) => ({ free: roomOf(1_000 * part, 1_000 * part) });

describe("the rooms of a cell", () => {
  it("count alike nodes together, by kind, largest first, without those that take nothing", () => {
    const nodes = [
      nodeOf("a", "r1"),
      nodeOf("b", "r1", 200),
      nodeOf("c", "r1"),
      nodeOf("d", "r2", 300, { labels: { disk: "nvme" }, hostPorts: [80] }),
      nodeOf("e", "r2", 900, { closed: "cordoned" }),
      nodeOf("f", "r1", 0),
    ];
    expect(kindsOf(nodes, ROOMS_MAX)).toEqual([
      {
        ...{ failureDomain: "r1", runtime: "docker", labels: {}, hostPorts: [] },
        rooms: [
          [1_000, 1_000, 1_000, 1_000, 2],
          [200, 1_000, 1_000, 1_000, 1],
        ],
      },
      {
        ...{ failureDomain: "r2", runtime: "docker", labels: { disk: "nvme" }, hostPorts: [80] },
        rooms: [[300, 1_000, 1_000, 1_000, 1]],
      },
    ]);
  });

  it("leave out the smallest beyond the limit", () => {
    const nodes = Array.from({ length: 9 }, (_, n) => nodeOf(String(n), "r1", 100 * (n + 1)));
    expect(kindsOf(nodes, 3)[0]?.rooms.map(([cpu]) => cpu)).toEqual([900, 800, 700]);
  });

  it(announced("never promise more than some node has"), () => {
    fc.assert(
      fc.property(anyNodes(20), (nodes) => {
        for (const kind of kindsOf(nodes, ROOMS_MAX)) {
          for (const room of kind.rooms) {
            const { cpuMilli, memoryBytes, diskBytes, pids } = freeIn(room);
            const holds = nodes.filter(
              ({ closed, failureDomain, free }) =>
                closed === null &&
                failureDomain === kind.failureDomain &&
                free.cpuMilli >= cpuMilli &&
                free.memoryBytes >= memoryBytes &&
                free.diskBytes >= diskBytes &&
                free.pids >= pids,
            );
            expect(holds.length).toBeGreaterThanOrEqual(room[4]);
          }
        }
      }),
      { seed: SEED, numRuns: 500 },
    );
  });
});

describe("the cell that is asked", () => {
  it("is the one where the slot fits best, not the emptiest", () => {
    const cells = [summaryOf(0, [nodeOf("a", "r1")]), summaryOf(1, [nodeOf("b", "r1", 0, share(0.2))])];
    expect(planned(cells)).toEqual(["lab.1"]);
  });

  it("is the first of equal ones, so that cells fill up one after the other", () => {
    const cells = [2, 0, 1].map((number) => summaryOf(number, [nodeOf("a", "r1")]));
    expect(planned(cells)).toEqual(["lab.0"]);
  });

  it("has the labels, the runtime and the free port that the release wants", () => {
    const cells = [
      summaryOf(0, [nodeOf("a", "r1", 0, share(0.1))]),
      summaryOf(1, [nodeOf("b", "r1", 0, { ...share(0.1), labels: { disk: "nvme" }, hostPorts: [80] })]),
      summaryOf(2, [nodeOf("c", "r1", 1_000, { labels: { disk: "nvme" } })]),
      summaryOf(3, [nodeOf("d", "r1", 0, { ...share(0.1), labels: { disk: "nvme" }, runtime: "process" })]),
    ];
    const placement = policyOf({ labels: { disk: "nvme" }, hostPorts: [80] });
    expect(planned(cells, 1, { placement })).toEqual(["lab.2"]);
  });

  it("is another for each replica where only other cells have another failure domain", () => {
    const cells = ["r1", "r2", "r3"].map((rack, number) => summaryOf(number, [nodeOf("a", rack), nodeOf("b", rack)]));
    expect(new Set(planned(cells, 3)).size).toBe(3);
  });

  it("is not one that has refused already, and none where nobody has room", () => {
    const cells = [summaryOf(0, [nodeOf("a", "r1")]), summaryOf(1, [nodeOf("b", "r1")])];
    expect(planned(cells, 1, {}, ["lab.0"])).toEqual(["lab.1"]);
    expect(planned(cells, 1, {}, ["lab.0", "lab.1"])).toEqual([undefined]);
    expect(planned([summaryOf(0, [nodeOf("a", "r1", 50)])])).toEqual([undefined]);
  });

  it("follows what a cell says next", () => {
    const choice = cellChoice([summaryOf(0, [nodeOf("a", "r1", 0, share(0.2))]), summaryOf(1, [nodeOf("b", "r1")])], 1);
    const slots = slotsOf(1);
    const cell = () => choice.plan({ slots, occupied: [] }, [])[0]?.cell;
    expect(cell()).toBe("lab.0");
    choice.update(summaryOf(0, [nodeOf("a", "r1", 50)]));
    expect(cell()).toBe("lab.1");
    choice.update(summaryOf(0, [nodeOf("a", "r1", 0, share(0.2))]));
    expect(cell()).toBe("lab.0");
  });

  it("counts what it planned as taken, until the cell says how it is", () => {
    const tight = summaryOf(0, [nodeOf("a", "r1", 0, share(0.15))]);
    const choice = cellChoice([tight, summaryOf(1, [nodeOf("b", "r1")])], 1);
    const [slot] = slotsOf(1);
    const cell = () => choice.plan({ slots: [slot!], occupied: [] }, [])[0]?.cell;
    expect([cell(), cell()]).toEqual(["lab.0", "lab.1"]);
    choice.update(tight);
    expect(cell()).toBe("lab.0");
  });

  it("has its rooms as it told them again when it says the same once more, and nobody else's", () => {
    const tight = (number: number) => summaryOf(number, [nodeOf("a", "r1", 0, share(0.15))]);
    const [first, second] = [tight(0), tight(1)];
    const choice = cellChoice([first, second], 1);
    const [slot] = slotsOf(1);
    const cell = () => choice.plan({ slots: [slot!], occupied: [] }, [])[0]?.cell;
    expect([cell(), cell(), cell()]).toEqual(["lab.0", "lab.1", undefined]);
    choice.update(second);
    expect([cell(), cell()]).toEqual(["lab.1", undefined]);
  });

  it(announced("is the same whether the cells were followed through what they said, or are new"), () => {
    const said = fc.array(fc.tuple(fc.nat(2), anyNodes(10), anySlots([], 3)), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(said, anySlots([], 4), (changes, slots) => {
        const last = new Map<number, CellSummary>();
        const followed = cellChoice([], 4);
        for (const [number, nodes, before] of changes) {
          last.set(number, summaryOf(number, nodes));
          followed.update(last.get(number)!);
          followed.plan({ slots: before, occupied: [] }, []);
        }
        for (const summary of last.values()) followed.update(summary);
        const request = { slots, occupied: [] };
        const cells = [...last.values()];
        expect(followed.plan(request, [])).toEqual(cellChoice(cells, 4).plan(request, []));
      }),
      { seed: SEED, numRuns: 500 },
    );
  });

  it("may be one that does not tell its rooms yet", () => {
    expect(planned([summaryOf(0, [nodeOf("a", "r1")], { kinds: undefined })])).toEqual(["lab.0"]);
  });

  it(announced("takes a single slot whenever its summary is as its nodes are"), () => {
    fc.assert(
      fc.property(anyNodes(12), anyNodes(12), anySlots([], 6), (left, right, slots) => {
        const nodes = [left, right];
        const summaries = nodes.map((own, number) => summaryOf(number, own));
        for (const slot of slots) {
          // What a summary does not tell: neighbours and images; and what it rounds down.
          const placement = { ...slot.placement!, awayFrom: [], hostPorts: [] };
          const asked = { ...slot, image: null, ...(slot.placement ? { placement } : {}) };
          const request = { slots: [{ ...asked, resources: { ...asked.resources, diskBytes: 0 } }], occupied: [] };
          const cell = cellChoice(summaries, 1).plan(request, [])[0]?.cell;
          const taken = nodes.map((own) => place(own, request, HEX).placements.length);
          if (cell === undefined) expect(taken).toEqual([0, 0]);
          else expect(taken[cell === "lab.0" ? 0 : 1]).toBe(1);
        }
      }),
      { seed: SEED, numRuns: 1_000 },
    );
  });
});
