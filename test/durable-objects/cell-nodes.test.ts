// The Cell object and the operator's word on its nodes: act, evict, act again; places given back to the Region; leases.
import { env } from "cloudflare:workers";
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { beforeEach, describe, expect, it } from "vitest";
import { eventually, type FleetNode, readyNode } from "./fleet.ts";
import { APP_B, nodeId } from "./ids.ts";
import { instanceId, place, reserve } from "./placed.ts";
import { recorded, resetRecorded } from "./recorded.ts";

beforeEach(resetRecorded);

const actor = "user:operator";
const on = (node: FleetNode) => ({ node: node.id, actor });
const evict = (node: FleetNode) => evictDurableObject(node.stub as never);

/** Rows of one of the object's tables. */
function rowsOf(node: FleetNode, table: string): Promise<unknown[]> {
  return runInDurableObject(node.stub as never, (_cell: never, state) =>
    state.storage.sql
      .exec("SELECT value FROM object_row WHERE table_name = ?", table)
      .toArray()
      .map((row) => JSON.parse(String(row["value"]))),
  );
}

describe("a node of an evicted Cell", () => {
  it("is cordoned still, and takes placements again once it is uncordoned", async () => {
    const node = await readyNode(1, "cordon.0");
    expect(await node.stub.cordon(on(node))).toMatchObject({ ok: true, value: { cordoned: true } });
    await evict(node);
    expect(await reserve(node, 1)).toMatchObject({ ok: true, value: { placements: [] } });
    await evict(node);
    expect(await node.stub.uncordon(on(node))).toMatchObject({ ok: true, value: { cordoned: false } });
    await evict(node);
    expect(await reserve(node, 2)).toMatchObject({ ok: true, value: { refused: [] } });
  });

  it("goes on draining: its app is told until it takes the message, and the end is noticed", async () => {
    const node = await readyNode(2, "drain.0");
    await place(node, 1);
    // The app answers nothing: the message stays, over the eviction, and is sent again.
    recorded.failing.set("App.deliver", "before");
    expect(await node.stub.drain(on(node))).toMatchObject({ ok: true, value: { drain: { state: "draining" } } });
    await eventually(() => expect(recorded.failed).toContain("App.deliver"));
    recorded.failed.length = 0;
    await evict(node);
    await node.stub.poke();
    await eventually(() => expect(recorded.failed).toContain("App.deliver"));
    recorded.failing.clear();
    expect(await rowsOf(node, "messages")).toContainEqual(expect.objectContaining({ kind: "evacuate" }));

    const held = [{ instance: instanceId(1), reason: "no room" }];
    const update = { key: "update", app: APP_B, drain: [], remove: [], routeVersion: 0, watch: false };
    await node.stub.update({ ...update, seq: 2, held });
    await evict(node);
    expect(await node.stub.readNode({ node: node.id })).toMatchObject({
      ok: true,
      value: { drain: { remaining: 1, holding: [{ instance: instanceId(1), reason: "no room" }] } },
    });
    await node.stub.update({ ...update, seq: 3, remove: [instanceId(1)] });
    await evict(node);
    node.restart("boot-0002");
    await node.receive();
    await node.heartbeat();
    expect(await node.stub.readNode({ node: node.id })).toMatchObject({
      ok: true,
      value: { drain: { state: "drained", moved: 1, remaining: 0 } },
    });
  });

  it("is drained by the alarm when the last reservation runs out, with nobody else calling", async () => {
    const node = await readyNode(3, "expire.0");
    expect(await reserve(node, 1, 300)).toMatchObject({ ok: true, value: { refused: [] } });
    expect(await node.stub.drain(on(node))).toMatchObject({ ok: true, value: { drain: { state: "draining" } } });
    await evict(node);
    await new Promise((resolve) => setTimeout(resolve, 400));
    await runDurableObjectAlarm(node.stub as never);
    expect(await rowsOf(node, "reservations")).toEqual([]);
    const rows = await rowsOf(node, "nodes");
    expect(rows).toEqual([expect.objectContaining({ drain: expect.objectContaining({ state: "drained" }) })]);
  });

  it("keeps its lease row, and gets a new one with the next heartbeat", async () => {
    const node = await readyNode(4, "lease.0");
    await place(node, 1, "strict");
    await node.receive();
    expect(await node.heartbeat()).toMatchObject({ ok: true, value: { leaseCommitted: true } });
    const [before] = (await rowsOf(node, "leases")) as { atMs: number }[];
    await evict(node);
    expect(await rowsOf(node, "leases")).toEqual([before]);
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(await node.heartbeat()).toMatchObject({ ok: true, value: { leaseCommitted: true } });
    const [after] = (await rowsOf(node, "leases")) as { atMs: number }[];
    expect(after?.atMs).toBeGreaterThan(before?.atMs ?? 0);
  });

  it("lists its instances, and is removed only by force while it has some", async () => {
    const node = await readyNode(5, "remove.0");
    await place(node, 1, "available");
    await evict(node);
    expect(await node.stub.nodeInstances({ node: node.id })).toMatchObject({
      ok: true,
      value: { items: [{ id: instanceId(1), appName: "shop", singleton: "available" }] },
    });
    expect(await node.stub.remove({ ...on(node), force: false })).toMatchObject({
      ok: false,
      failure: { code: "conflict", message: expect.stringContaining("singleton shop v1 #1 (available)") },
    });
    await evict(node);
    expect(await node.stub.remove({ ...on(node), force: true })).toMatchObject({
      ok: true,
      value: { phase: "removed" },
    });
    await evict(node);
    expect(await node.heartbeat()).toMatchObject({ ok: false, failure: { code: "node_revoked" } });
  });

  it("goes on with its rebalance, and ends it when all has moved", async () => {
    const [first, second] = [await readyNode(6, "moves.0"), await readyNode(7, "moves.0")];
    await second.stub.cordon(on(second));
    await place(first, 1);
    await second.stub.uncordon(on(second));
    await first.stub.cordon(on(first));
    await place(second, 2);
    await first.stub.uncordon(on(first));
    const planned = await first.stub.rebalance({ actor, execute: true });
    expect(planned).toMatchObject({ ok: true, value: { executing: true, nodesUsedBefore: 2, nodesUsedAfter: 1 } });
    const [step] = planned.ok ? planned.value.steps : [];
    await evict(first);
    const emptied = step?.from === first.id ? first : second;
    expect(await first.stub.readNode({ node: emptied.id })).toMatchObject({ ok: true, value: { cordoned: true } });
    expect(await first.stub.rebalance({ actor, execute: true })).toMatchObject({
      ...{ ok: true, value: { executing: true, steps: [step] } },
    });
    const remove = step ? [step.instance] : [];
    const update = { key: "moved", app: APP_B, seq: 3, drain: [], remove, routeVersion: 0, watch: false };
    await first.stub.update(update);
    expect(await rowsOf(first, "rebalance")).toEqual([]);
    expect(await first.stub.readNode({ node: emptied.id })).toMatchObject({ ok: true, value: { cordoned: false } });
  });
});

it.each(["before", "after"] as const)(
  "a node's place is claimed although the call fails %s it took effect",
  async (when) => {
    recorded.failing.set("Region.claim", when);
    const node = await readyNode(4, `claim-${when}.0`);
    await eventually(() => expect(recorded.failed).toContain("Region.claim"));
    recorded.failing.clear();
    await evict(node);
    await node.stub.poke();
    await eventually(async () => expect(await rowsOf(node, "nodes")).toMatchObject([{ placeClaimed: true }]));
  },
);

describe("a removed node's place", () => {
  it.each(["before", "after"] as const)(
    "goes back to the Region although its call fails %s it took effect",
    async (when) => {
      const cell = `place-${when}.0`;
      const region = `place-${when}` as never;
      const regionStub = () => env.REGION.getByName(`place-${when}`);
      for (let n = 0; n < 64; n += 1) await regionStub().assign({ node: nodeId(n), region });
      expect(await regionStub().assign({ node: nodeId(64), region })).toMatchObject({
        value: { cell: `place-${when}.1` },
      });
      const node = await readyNode(3, cell);
      recorded.failing.set("Region.release", when);
      await node.stub.remove({ ...on(node), force: false });
      await eventually(() => expect(recorded.failed).toContain("Region.release"));
      recorded.failing.clear();
      await evict(node);
      await node.stub.poke();
      await eventually(async () => expect(await rowsOf(node, "nodes")).toMatchObject([{ placeReleased: true }]));
      expect(await regionStub().assign({ node: nodeId(65), region })).toMatchObject({ value: { cell } });
      expect(await regionStub().assign({ node: nodeId(66), region })).toMatchObject({
        value: { cell: `place-${when}.1` },
      });
      // The removed node itself always comes back to the cell that refuses it.
      expect(await regionStub().assign({ node: nodeId(3), region })).toMatchObject({ value: { cell } });
      expect(await node.enrol()).toMatchObject({ ok: false, failure: { code: "node_revoked" } });
    },
  );
});
