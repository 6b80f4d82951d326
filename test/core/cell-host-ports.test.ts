// core/cell: which host ports a node offers to instances, and what is refused for them.
import { describe, expect, it } from "vitest";
import { Node } from "../../contracts/api.ts";
import { DEFAULT_HOST_PORTS, hostPortsText, isOffered, offeredByAny, withoutPort } from "../../contracts/host-ports.ts";
import type { HostPorts } from "../../contracts/host-ports.ts";
import { refusalText } from "../../contracts/refusal-text.ts";
import { cellChoice } from "../../core/placement/choose-cell.ts";
import { BenchCell, insId, nodeId, value } from "./bench-object.ts";
import { commit, placed, reserve, slotOf, update, view, type Wanted } from "./cell-bench.ts";

/** A node for each list; undefined: its agent says nothing of ports. */
function offering(lists: readonly (HostPorts | undefined)[], gatewayUrl = "http://node:7070"): BenchCell {
  const cell = new BenchCell();
  for (const [n, hostPorts] of lists.entries()) {
    value(cell.enrol(n, { hostPorts, gatewayUrl }));
    value(cell.beat(n));
  }
  return cell;
}
const port = (...hostPorts: number[]): Wanted => ({ policy: { hostPorts } });
const takes = (cell: BenchCell, hostPort: number): boolean =>
  reserve(cell, `k${hostPort}-${cell.nowMs}-${cell.tables.answers.size}`, [hostPort], port(hostPort)).placements
    .length > 0;

describe("a node that says nothing of its host ports", () => {
  it.each([
    [22, false],
    [1_023, false],
    [1_024, true],
    [7_069, true],
    [7_070, false],
    [65_535, true],
  ])("offers those from 1024 on but for its gateway's: %i %s", (hostPort, offered) => {
    expect(takes(offering([undefined]), hostPort)).toBe(offered);
  });

  it("whose gateway has the port of its scheme has nothing to leave out", () => {
    expect(view(offering([undefined], "https://node.example"), 0).hostPorts).toEqual(DEFAULT_HOST_PORTS);
  });
});

describe("a port that a node does not offer", () => {
  it("is refused with the reason, and as impossible where no node offers it", () => {
    const [refused] = reserve(offering([undefined, [[80, 80]]]), "k", [1], port(443)).refused;
    expect(refused?.refusal).toMatchObject({
      impossible: true,
      constraints: [{ constraint: "ports", nodesExcluded: 2, wanted: "443" }],
    });
    expect(refusalText(refused!.refusal)).toBe(
      "of 2 nodes, 2 excluded by ports (443; 2 of them not offering it to instances); no node could take it even if it were empty",
    );
  });

  it("is told from one that is only held just now", () => {
    const cell = offering([[[80, 80]], undefined]);
    placed(cell, 1, { ...port(80), app: 1 });
    const [refused] = reserve(cell, "k", [2], { ...port(80), app: 2 }).refused;
    expect(refused?.refusal.impossible).toBeUndefined();
    expect(refused?.refusal.constraints).toMatchObject([
      { constraint: "ports", nodesExcluded: 2, detail: "80; 1 of them not offering it to instances" },
    ]);
    update(cell, { remove: [insId(1)] });
    value(cell.beat(0));
    expect(takes(cell, 80)).toBe(true);
  });

  it("sends an instance to the node that does, and several ports to one that offers all", () => {
    const cell = offering([undefined, [[80, 80]], [[80, 443]]]);
    expect(placed(cell, 1, { ...port(80, 443), app: 1 })).toBe(2);
    expect(placed(cell, 2, { ...port(80), app: 2 })).toBe(1);
  });

  it("leads an App to the cell that offers it", () => {
    const summaryOf = (cell: BenchCell) => value(cell.take({ kind: "summary", input: {} }));
    const choice = cellChoice([summaryOf(offering([undefined, [[80, 80]]]))], 4);
    const plan = (hostPort: number) => choice.plan({ slots: [slotOf(1, port(hostPort))], occupied: [] }, [])[0];
    expect([plan(80), plan(443), plan(8_080)].map((found) => found !== null)).toEqual([true, false, true]);
  });
});

describe("what a node offers", () => {
  it("is what its last heartbeat said, also after a restart, and no row while it stays so", () => {
    const cell = offering([undefined]);
    const hostPorts: HostPorts = [[443, 443]];
    value(cell.beat(0, { hostPorts }));
    expect(takes(cell, 443)).toBe(true);
    value(cell.beat(0, { hostPorts: [[443, 443]] }));
    expect(cell.rowsWritten).toBe(0);
    value(cell.beat(0));
    cell.restart();
    expect([takes(cell, 8_080), Node.parse(view(cell, 0)).hostPorts]).toEqual([false, hostPorts]);
  });

  it("does not end what has a port already", () => {
    const cell = offering([undefined]);
    reserve(cell, "k", [1], port(8_080));
    value(commit(cell, [1], port(8_080)));
    value(cell.beat(0, { hostPorts: [] }));
    expect(cell.tables.instances.get(insId(1))).toMatchObject({ node: nodeId(0), state: { kind: "desired" } });
  });
});

describe("ranges of ports", () => {
  it.each<[string, HostPorts, number, HostPorts]>([
    [
      "in the middle",
      [[1, 9]],
      5,
      [
        [1, 4],
        [6, 9],
      ],
    ],
    ["at an end", [[1, 9]], 9, [[1, 8]]],
    ["that is all there is", [[5, 5]], 5, []],
    ["that is not in it", [[1, 4]], 5, [[1, 4]]],
  ])("without one %s", (_name, ranges, without, left) => {
    expect(withoutPort(ranges, without)).toEqual(left);
  });

  it("of several nodes are merged where they overlap or touch", () => {
    expect(
      offeredByAny(
        [
          [8, 9],
          [1, 3],
        ],
        [
          [4, 5],
          [2, 2],
        ],
      ),
    ).toEqual([
      [1, 5],
      [8, 9],
    ]);
    expect([isOffered([[8, 9]], 9), isOffered([[8, 9]], 10)]).toEqual([true, false]);
  });

  it("are shown as an operator writes them", () => {
    expect([
      hostPortsText([
        [80, 80],
        [1_024, 7_069],
      ]),
      hostPortsText([]),
    ]).toEqual(["80, 1024-7069", "none"]);
  });
});
