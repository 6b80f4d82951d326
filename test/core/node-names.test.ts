// core/names and what follows from a node's name: its records, a certificate's life, and routes that lead to another address.
import { describe, expect, it } from "vitest";
import type { NodeId } from "../../contracts/ids.ts";
import { renewAtMs, standingOf } from "../../core/names/life.ts";
import { addressRecords, areRecordsDue, gatewayUrlOf, nodeName } from "../../core/names/node-name.ts";
import { AGENT_LIMITS } from "../../core/converge/limits.ts";
import { deployed } from "./app-on-bench.ts";
import { nodeId, value } from "./bench-object.ts";
import { cellOf, eventsOf, placed, told, view } from "./cell-bench.ts";

const DAY_MS = 86_400_000;
const life = { notBeforeMs: 0, notAfterMs: 90 * DAY_MS };

describe("a certificate of 90 days", () => {
  it("is renewed from day 54.9 to 59.4, each at a moment of its own, and never later", () => {
    expect(renewAtMs(life, 0, AGENT_LIMITS) / DAY_MS).toBeCloseTo(59.4);
    expect(renewAtMs(life, 0.999_999, AGENT_LIMITS) / DAY_MS).toBeCloseTo(54.9);
    expect(renewAtMs(life, 0.5, AGENT_LIMITS)).toBeLessThan(renewAtMs(life, 0.4, AGENT_LIMITS));
  });

  it.each([
    [-1, "not yet valid"],
    [0, "valid"],
    [67, "valid"],
    [67.5, "expiring"],
    [89.9, "expiring"],
    [90, "expired"],
  ] as const)("on day %d is %s", (days, standing) => {
    expect(standingOf(life, days * DAY_MS, AGENT_LIMITS)).toBe(standing);
  });

  it("is renewed long before it alarms", () => {
    expect(standingOf(life, renewAtMs(life, 0, AGENT_LIMITS), AGENT_LIMITS)).toBe("valid");
  });
});

describe("a node's name", () => {
  const name = nodeName("node_01h0000000000000000000000a" as NodeId, "nodes.test");
  const known = { name, addresses: ["192.0.2.1", "2001:db8::1"], atMs: 1_000 };

  it("is one label of its id below the zone, and its address goes without the port of https", () => {
    expect(name).toBe("n-01h0000000000000000000000a.nodes.test");
    expect(gatewayUrlOf(name, 443)).toBe(`https://${name}`);
    expect(gatewayUrlOf(name, 7070)).toBe(`https://${name}:7070`);
  });

  it("has its addresses sorted into records, each once", () => {
    const addresses = ["2001:DB8::2", "192.0.2.9", "192.0.2.10", "192.0.2.9"];
    expect(addressRecords(addresses)).toEqual({ A: ["192.0.2.10", "192.0.2.9"], AAAA: ["2001:db8::2"] });
  });

  it.each([
    ["never", null, { name, addresses: ["192.0.2.1"] }, true],
    ["in another order", known, { name, addresses: ["2001:DB8::1", "192.0.2.1"] }, false],
    ["with an address less", known, { name, addresses: ["192.0.2.1"] }, true],
    ["in another zone", known, { name: "n-1.other.test", addresses: known.addresses }, true],
  ])("whose records were made %s: due %#", (_what, before, wanted, due) => {
    expect(areRecordsDue(before, wanted, 2_000, 60_000)).toBe(due);
  });

  it("has its records looked after again once they are old", () => {
    expect(areRecordsDue(known, known, 61_000, 60_000)).toBe(true);
  });
});

describe("a node that is reached under another address", () => {
  const naming = { name: "n-1.nodes.test", addresses: ["192.0.2.1"], atMs: 1 };
  const gatewayUrl = "https://n-1.nodes.test:7070";

  it("is told of to the Apps that run something there, once, and to no others", () => {
    const cell = cellOf(2);
    placed(cell, 1, { avoid: [1] });
    placed(cell, 2, { app: 2, avoid: [0] });
    told(cell);
    value(cell.take({ kind: "nameNode", input: { node: nodeId(0), naming, gatewayUrl: null } }));
    expect(view(cell, 0).gatewayUrl).not.toBe(gatewayUrl);
    value(cell.take({ kind: "nameNode", input: { node: nodeId(0), naming, gatewayUrl } }));
    value(cell.take({ kind: "nameNode", input: { node: nodeId(0), naming, gatewayUrl } }));
    expect(view(cell, 0).gatewayUrl).toBe(gatewayUrl);
    expect(told(cell).filter(({ kind }) => kind === "node_moved")).toMatchObject([{ node: nodeId(0), gatewayUrl }]);
    expect(eventsOf(cell, nodeId(0)).filter((type) => type === "node.moved")).toEqual(["node.moved"]);
  });

  it("is nobody's business once it is removed, and unknown where it never was", () => {
    const cell = cellOf(1);
    value(cell.take({ kind: "revoke", input: { node: nodeId(0), actor: "user:op" } }));
    const named = (node: NodeId) => cell.take({ kind: "nameNode", input: { node, naming, gatewayUrl } });
    expect(named(nodeId(0))).toMatchObject({ failure: { code: "node_revoked" } });
    expect(named(nodeId(7))).toMatchObject({ failure: { code: "not_found" } });
  });

  it("is in the next route of an app that runs there", () => {
    const { app, node } = deployed(2);
    const before = app.tables.route.get("route")!.route;
    app.tell({ kind: "node_moved", node, gatewayUrl });
    const { state, version } = app.tables.route.get("route")!.route;
    expect(version).toBeGreaterThan(before.version);
    const endpoints = state.kind === "serving" ? state.releases.flatMap((release) => release.endpoints) : [];
    expect(endpoints.filter((endpoint) => endpoint.node === node).map((endpoint) => endpoint.gatewayUrl)).toEqual([gatewayUrl]); // prettier-ignore
    expect(endpoints.length).toBe(2);
  });

  it("keeps its placements while its certificate is only about to expire, and takes none while it has none", () => {
    const cell = cellOf(1);
    const beat = (kind: string) => value(cell.beat(0, { conditions: [{ kind, message: "m", sinceMs: 1 }] } as never));
    const ready = () => value(cell.take({ kind: "summary", input: {} })).readyNodes;
    beat("certificate_expiring");
    expect([ready(), view(cell, 0).conditions.length]).toEqual([1, 1]);
    beat("clock_wrong");
    expect(ready()).toBe(1);
    beat("certificate_missing");
    expect(ready()).toBe(0);
  });
});
