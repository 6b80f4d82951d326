// Passive health on the real stack: what the edge cannot reach leaves the route although its node's agent is well, and first-day
// scenario 9: a node without power is out of use long before its lease is over.
import { beforeAll, expect, test } from "vitest";
import { setTimeout as sleep } from "node:timers/promises";
import type { BerthEvent } from "../../../contracts/events.ts";
import { hasFailed } from "../../../dev/load/visitors.ts";
import { deployed, instancesOf, nodeIs, nodesAre, nodesOf, visitorsOf } from "../nodes-support.ts";
import { sharedWorld } from "../shared-world.ts";
import { eventually, type World } from "../support.ts";

const APP = "watched";
const CUT_MS = 90_000;

let world: World;
beforeAll(async () => {
  world = await sharedWorld();
  await nodesAre(world, "ready");
  await deployed(world, APP);
});

/** The newest events of the app, oldest first. */
async function eventsOf(type: string, instance: string): Promise<BerthEvent[]> {
  const { body } = await world.api("GET", `/v1/apps/${APP}/history?limit=100`);
  const items: BerthEvent[] = body.items ?? [];
  return items.filter((event) => event.type === type && event.subject === instance).toSorted((a, b) => a.seq - b.seq);
}

const happened = (type: string, instance: string): Promise<BerthEvent> =>
  eventually(
    async () => (await eventsOf(type, instance)).at(-1) as BerthEvent,
    (event) => event !== undefined,
    { everyMs: 200 },
  );

async function victimOf(ordinal: number): Promise<{ id: string; node: string }> {
  const found = (await instancesOf(world, APP)).find((one) => one.ordinal === ordinal && one.phase === "ready");
  if (!found?.nodeName) throw new Error(`slot ${ordinal} is not ready`);
  return { id: found.id, node: found.nodeName };
}

test("a gateway that edges cannot reach: its instance leaves the route, confirmed, while the node stays ready; then it is back", async () => {
  const { id, node } = await victimOf(0);
  const visitors = visitorsOf(world, APP, 50);
  await sleep(1_000);
  const wires = world.stack.nodeSwitch(node);
  await wires.drop(["edge_to_gateway"], CUT_MS);
  const cutAtMs = Date.now();
  const ejected = await happened("instance.ejected", id);
  expect(ejected.data).toMatchObject({ cause: "connect", instance: { nodeName: node, phase: "ready" } });
  expect(ejected.atMs - cutAtMs).toBeLessThan(2_500);
  await sleep(6_000);
  expect((await nodesOf(world)).find(({ name }) => name === node)?.phase).toBe("ready");
  const whileCut = [...visitors.seen];
  await wires.heal();
  const healedAtMs = Date.now();
  const restored = await happened("instance.restored", id);
  expect(restored.atMs).toBeGreaterThan(healedAtMs - 100);
  await eventually(
    async () => visitors.seen.some((one) => one.instance === id && one.startedAtMs > healedAtMs),
    Boolean,
  );
  const seen = await visitors.stop();
  expect(seen.filter((one) => one.method === "GET" && hasFailed(one))).toEqual([]);
  const failed = seen.filter(hasFailed);
  expect(Math.max(0, ...failed.map((one) => one.endedAtMs - cutAtMs))).toBeLessThanOrEqual(2_000);
  // Nobody was sent there while it was out of the route; the instance itself was never replaced.
  const later = whileCut.filter((one) => one.startedAtMs > cutAtMs + 2_500);
  expect(later.filter((one) => one.endedAtMs - one.startedAtMs > 900)).toEqual([]);
  expect((await victimOf(0)).id).toBe(id);
});

test("a node's power is pulled: its instance is out of the route seconds before it is lost, and nothing fails after that", async () => {
  const { id, node } = await victimOf(2);
  const visitors = visitorsOf(world, APP, 50);
  await sleep(1_000);
  const { darkAtMs } = await world.stack.nodeSwitch(node).cutPower(CUT_MS);
  const lost = await happened("instance.failed", id);
  const [ejected] = await eventsOf("instance.ejected", id);
  const replaced = await eventually(
    () => instancesOf(world, APP),
    (now) => now.filter((one) => one.phase === "ready" && one.nodeName !== node).length === 3,
    { everyMs: 50 },
  );
  const seen = await visitors.stop();
  if (ejected === undefined) throw new Error("it was never ejected");
  expect(ejected.atMs - darkAtMs).toBeLessThan(2_500);
  expect(lost.atMs - ejected.atMs).toBeGreaterThan(3_000);
  const failed = seen.filter(hasFailed);
  expect(failed.filter(({ method }) => method === "GET")).toEqual([]);
  // Not used from one second after the first failure on.
  const firstFailedAtMs = Math.min(...failed.map((one) => one.endedAtMs), Number.MAX_SAFE_INTEGER);
  expect(failed.filter((one) => one.startedAtMs > firstFailedAtMs + 1_000)).toEqual([]);
  expect(Math.max(0, ...failed.map((one) => one.endedAtMs - darkAtMs))).toBeLessThanOrEqual(2_000);
  expect(replaced.some((one) => one.id === id && one.phase === "ready")).toBe(false);
  await world.stack.nodeSwitch(node).restorePower();
  await nodeIs(world, node, "ready");
});
