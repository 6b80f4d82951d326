// The Region's agent upgrade with real objects: over evictions of both, with Cells that fail, and handed on to the next region.
import { env } from "cloudflare:workers";
import { evictDurableObject, runDurableObjectAlarm } from "cloudflare:test";
import { afterEach, expect, it } from "vitest";
import type { AgentUpgrade } from "../../contracts/agent-release.ts";
import type { Result } from "../../contracts/failures.ts";
import type { RegionName } from "../../contracts/ids.ts";
import { cellsIn, eventually, readyNode, type FleetNode } from "./fleet.ts";
import { recorded, resetRecorded } from "./recorded.ts";

afterEach(resetRecorded);

const NEW = "1.0.0";
const value = <Value>(result: Result<Value>): Value => {
  if (!result.ok) throw new Error(result.failure.message);
  return result.value;
};
const region = (name: string) => env.REGION.getByName(name);
const start = (name: string, attempt: string, next: string[] = []) =>
  region(name).startUpgrade({
    ...{ region: name as RegionName, attempt: attempt.padStart(16, "0"), version: NEW, manifest: "a.b.c" },
    ...{ actor: "user:operator", next: next as RegionName[] },
  });
const read = async (name: string): Promise<AgentUpgrade> => value(await region(name).readUpgrade())!;
/** The region's alarm, as the platform rings it when it is due. */
const look = (name: string) => runDurableObjectAlarm(region(name) as never);

function beat(
  node: FleetNode,
  version: string,
  upgrade: { attempt: string; state: "refused"; message: string } | null = null,
) {
  const agent = { able: true, sha256: null, gatewayVersion: version, upgrade };
  return node.heartbeat({ kind: "ready" }, { agentVersion: version, agent });
}

async function nodesOf(name: string, count: number): Promise<FleetNode[]> {
  const nodes = [];
  for (let n = 0; n < count; n += 1) {
    const node = await readyNode(700 + (name.charCodeAt(1) - 97) * 8 + n, `${name}.0`);
    await beat(node, "0.1.0");
    nodes.push(node);
  }
  await eventually(async () => expect(await cellsIn(name)).toHaveLength(1));
  return nodes;
}

it("names one node's agent, stops at its refusal, takes the name back, and tells history, over evictions at every step", async () => {
  const nodes = await nodesOf("ua", 3);
  expect(value(await start("ua", "1"))).toMatchObject({ state: "running", stage: "one_node" });
  await eventually(async () => expect((await read("ua")).counts).toMatchObject({ underWay: 1, waiting: 2 }));
  await evictDurableObject(region("ua") as never);
  await evictDurableObject(nodes[0]!.stub as never);
  expect(await read("ua")).toMatchObject({ state: "running", stage: "one_node", version: NEW });
  expect(value(await start("ua", "1"))).toMatchObject({ state: "running" });
  expect(await start("ua", "2")).toMatchObject({ ok: false, failure: { code: "conflict" } });

  for (const node of nodes) await beat(node, "0.1.0");
  const documents = await Promise.all(nodes.map((node) => node.receive()));
  const named = nodes.filter((_, at) => documents[at]?.agent !== undefined);
  expect(named).toHaveLength(1);
  const refusal = { attempt: "1".padStart(16, "0"), state: "refused" as const, message: "too little disk" };
  await beat(named[0]!, "0.1.0", refusal);
  await eventually(async () => {
    await look("ua");
    expect(await read("ua")).toMatchObject({
      state: "failed",
      fault: { node: named[0]!.id, why: `refused ${NEW}: too little disk` },
    });
  });
  await evictDurableObject(region("ua") as never);
  await region("ua").poke();
  const after = await named[0]!.receive();
  expect(after.agent).toBeUndefined();
  await eventually(async () => {
    await look("ua");
    const types = recorded.events.get("region:ua")?.map(({ type }) => type);
    expect(types).toEqual(["upgrade.started", "upgrade.stage", "upgrade.failed"]);
  });
});

it("goes on when a Cell's answers are lost or it fails for a while, and the next region begins when this one is completed", async () => {
  const [node] = await nodesOf("ub", 1);
  const [second] = await nodesOf("uc", 1);
  await beat(node!, NEW);
  recorded.failing.set("Cell.upgrade", "after");
  expect(value(await start("ub", "3", ["uc"]))).toMatchObject({ state: "running", next: ["uc"] });
  await eventually(() => expect(recorded.failed).toContain("Cell.upgrade"));
  recorded.failing.clear();
  await eventually(async () => {
    await look("ub");
    expect(await read("ub")).toMatchObject({ state: "completed", counts: { had: 1 } });
  });
  await eventually(async () => {
    await look("ub");
    expect(await read("uc")).toMatchObject({
      attempt: "3".padStart(16, "0"),
      state: "running",
      startedBy: "user:operator",
    });
  });
  await beat(second!, "0.1.0");
  expect(value(await region("uc").changeUpgrade({ change: "abort", actor: "user:operator" })).state).toBe("aborted");
  expect(await region("ub").changeUpgrade({ change: "pause", actor: "user:operator" })).toMatchObject({ ok: false });
});
