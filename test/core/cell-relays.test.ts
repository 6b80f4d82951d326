// core/cell: through whom a node that cannot be reached is, who may relay, and what Apps hear of it.
import { describe, expect, it } from "vitest";
import { Node } from "../../contracts/api.ts";
import type { NodeId } from "../../contracts/ids.ts";
import { nodeId, value, type BenchCell } from "./bench-object.ts";
import { cellOf, eventsOf, OPERATOR, placed, told, view } from "./cell-bench.ts";

/** Node 0 cannot be reached. */
const ask = (cell: BenchCell, held: readonly NodeId[] = [], node = nodeId(0)) =>
  value(cell.take({ kind: "relay", input: { node, held } }));
const beat = (cell: BenchCell, n: number, more: object = {}) => value(cell.beat(n, more as never));
const ids = ({ relays }: ReturnType<typeof ask>): NodeId[] => relays.map(({ node }) => node);

describe("who relays for a node", () => {
  it("are at most three others, always the same, and others for another node", () => {
    const cell = cellOf(12);
    const first = ids(ask(cell));
    expect(first).toHaveLength(3);
    expect(first).not.toContain(nodeId(0));
    expect(ids(ask(cell))).toEqual(first);
    const all = [0, 1, 2, 3, 4, 5].map((n) => ids(ask(cellOf(12), [], nodeId(n)))[0]);
    expect(new Set(all).size).toBeGreaterThan(2);
  });

  it("is nobody who is not ready, about to leave, or hidden himself", () => {
    const cell = cellOf(6);
    beat(cell, 1, { gatewayReady: false });
    value(cell.take({ kind: "cordon", input: { node: nodeId(2), actor: OPERATOR } }));
    value(cell.take({ kind: "drain", input: { node: nodeId(3), actor: OPERATOR } }));
    beat(cell, 4, { reach: "relay" });
    expect(ids(ask(cell))).toEqual([nodeId(5)]);
    beat(cell, 5, { reach: "cloudflared" });
    expect(ask(cell)).toEqual({ relays: [], through: null });
  });

  it("is in another failure domain in the second place, where there is one", () => {
    const cell = cellOf(1);
    for (const n of [1, 2, 3, 4, 5]) {
      value(cell.enrol(n, { failureDomain: n === 5 ? "b" : "a" }));
      beat(cell, n);
    }
    const domains = ids(ask(cell)).map(
      (id) =>
        view(
          cell,
          [0, 1, 2, 3, 4, 5].find((n) => nodeId(n) === id)!,
        ).failureDomain,
    );
    expect(domains.slice(0, 2).sort()).toEqual(["a", "b"]);
  });
});

describe("the way to a node that cannot be reached", () => {
  it("leads through the best relay that it has a connection to, and stays there while that lasts", () => {
    const cell = cellOf(6);
    const [a, b, c] = ids(ask(cell)) as [NodeId, NodeId, NodeId];
    const before = view(cell, 0).gatewayUrl;
    expect(ask(cell).through).toBeNull();
    expect(view(cell, 0)).toMatchObject({ gatewayUrl: before, reach: { kind: "relay", through: null, held: 0 } });
    expect(ask(cell, [c]).through).toBe(c);
    expect(ask(cell, [c, a, b]).through).toBe(c);
    expect(ask(cell, [a, b]).through).toBe(a);
    expect(ask(cell, []).through).toBeNull();
    expect(Node.parse(view(cell, 0)).reach).toEqual({ kind: "relay", through: null, held: 0 });
  });

  it("is told to Apps with instances there once for each change, and follows its relay's own address", () => {
    const cell = cellOf(6);
    placed(cell, 1, { avoid: [1, 2, 3, 4, 5] });
    told(cell);
    const [a] = ids(ask(cell)) as [NodeId];
    ask(cell, [a]);
    ask(cell, [a]);
    const n = [1, 2, 3, 4, 5].find((other) => nodeId(other) === a)!;
    expect(view(cell, 0)).toMatchObject({ gatewayUrl: view(cell, n).gatewayUrl, reach: { through: { id: a } } });
    const naming = { name: "n.nodes.test", addresses: ["192.0.2.1"], atMs: 1 };
    const gatewayUrl = "https://n.nodes.test:7070";
    value(cell.take({ kind: "nameNode", input: { node: a, naming, gatewayUrl } }));
    expect(view(cell, 0).gatewayUrl).toBe(gatewayUrl);
    expect(told(cell).filter(({ kind }) => kind === "node_moved")).toMatchObject([{ node: nodeId(0) }, { gatewayUrl }]);
    expect(eventsOf(cell, nodeId(0)).filter((type) => type === "node.moved")).toHaveLength(2);
  });

  it("stays with a relay that is about to leave until there is another, and names no relay that was removed", () => {
    const cell = cellOf(2);
    ask(cell, [nodeId(1)]);
    value(cell.take({ kind: "cordon", input: { node: nodeId(1), actor: OPERATOR } }));
    expect(ask(cell, [nodeId(1)])).toEqual({ relays: [], through: nodeId(1) });
    value(cell.take({ kind: "revoke", input: { node: nodeId(1), actor: OPERATOR } }));
    expect(ask(cell, [nodeId(1)])).toEqual({ relays: [], through: null });
  });

  it("is forgotten when its agent says that it is reached directly; a tunnel of Cloudflare's is shown as such", () => {
    const cell = cellOf(2);
    ask(cell, [nodeId(1)]);
    beat(cell, 0, { reach: "relay" });
    expect(view(cell, 0).reach).toMatchObject({ through: { id: nodeId(1) }, held: 1 });
    beat(cell, 0);
    expect(view(cell, 0).reach).toBeUndefined();
    beat(cell, 0, { reach: "cloudflared" });
    expect(view(cell, 0).reach).toEqual({ kind: "cloudflared" });
  });

  it("is refused to nodes that were removed, and to those of other cells", () => {
    const cell = cellOf(2);
    value(cell.take({ kind: "revoke", input: { node: nodeId(0), actor: OPERATOR } }));
    const asked = (node: NodeId) => cell.take({ kind: "relay", input: { node, held: [] } });
    expect(asked(nodeId(0))).toMatchObject({ failure: { code: "node_revoked" } });
    expect(asked(nodeId(9))).toMatchObject({ failure: { code: "not_found" } });
  });
});
