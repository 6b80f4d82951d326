// The map of the nodes that `npm start` draws.
import { stripVTControlCharacters } from "node:util";
import { expect, test } from "vitest";
import { drawNodes } from "../../dev/start/node-map.ts";
import type { Node } from "../../dev/stack/operator.ts";

const MIB = 1024 * 1024;

function node(name: string, failureDomain: string, more: Partial<Node> = {}): Node {
  return {
    id: `node_${name}` as Node["id"],
    name,
    cell: "local.0" as Node["cell"],
    region: "local" as Node["region"],
    failureDomain,
    labels: {},
    phase: "ready",
    cordoned: false,
    conditions: [],
    drain: null,
    runtime: "process",
    platform: "linux/amd64",
    agentVersion: "1",
    gatewayUrl: "http://127.0.0.1:1",
    capacity: { cpuMilli: 1000, memoryBytes: 1024 * MIB, diskBytes: MIB, pids: 100 },
    reserved: { cpuMilli: 0, memoryBytes: 96 * MIB, diskBytes: 0, pids: 0 },
    instances: 1,
    revision: 1,
    ackRevision: 1,
    lastHeartbeatAtMs: 1,
    enrolledAtMs: 1,
    ...more,
  };
}

const drawn = (...nodes: Node[]) => drawNodes(nodes).map((line) => stripVTControlCharacters(line));

test("nodes are grouped by rack, with what they hold and what is reserved", () => {
  const lines = drawn(node("node-2", "rack-b"), node("node-3", "rack-a", { instances: 2 }), node("node-1", "rack-a"));
  expect(lines.map((line) => line.match(/node-\d/)?.[0])).toEqual(["node-1", "node-3", "node-2"]);
  expect(lines[0]).toMatch(/rack-a.*node-1.*ready.*96\/1024 MiB.*▪ 1/);
  expect(lines[1]).not.toContain("rack-a");
  expect(lines[1]).toContain("▪▪ 2");
});

test("a lost node shows as such", () => {
  expect(drawn(node("node-1", "rack-a", { phase: "lost" }))[0]).toMatch(/○.*lost/);
});

test("a node full of instances keeps to one line", () => {
  expect(drawn(node("node-1", "rack-a", { instances: 500 }))[0]?.length).toBeLessThan(110);
});

test("without nodes it says so", () => {
  expect(drawn()).toEqual(["  no nodes yet"]);
});
