// A node's power is cut, or only its wires: who serves meanwhile, what is replaced, and what the node may do when it returns.
import { beforeAll, expect, test } from "vitest";
import { setTimeout as sleep } from "node:timers/promises";
import { hasFailed } from "../../../dev/load/visitors.ts";
import { deployed, instancesOf, nodeIs, nodesAre, runningOn, storyOf, visitorsOf } from "../nodes-support.ts";
import { sharedWorld } from "../shared-world.ts";
import { eventually, type World } from "../support.ts";

const APP = "kept";
const WITHIN_MS = 10_000;
/** A wire that a test cut is whole again after this, whatever becomes of the test. */
const CUT_MS = 90_000;

let world: World;
beforeAll(async () => {
  world = await sharedWorld();
  await nodesAre(world, "ready");
  await deployed(world, APP);
});

const readyOf = async () => (await instancesOf(world, APP)).filter(({ phase }) => phase === "ready");
const nodeOfSlot = async (ordinal: number) => {
  const found = (await readyOf()).find((instance) => instance.ordinal === ordinal);
  if (!found?.nodeName) throw new Error(`slot ${ordinal} is not ready`);
  return { id: found.id, node: found.nodeName };
};

test("three replicas are in three racks", async () => {
  const names = (await readyOf()).map(({ nodeName }) => nodeName ?? "none");
  expect(names.toSorted()).toEqual(["node-1", "node-2", "node-3"]);
});

test("power cut: the edge stops failing within 2 s, three replicas serve again within 10 s, and the log tells the story", async () => {
  const victim = await nodeOfSlot(1);
  const visitors = visitorsOf(world, APP, 50);
  await sleep(1_000);
  const cutAtMs = Date.now();
  const { darkAtMs } = await world.stack.nodeSwitch(victim.node).cutPower(CUT_MS);
  const healthy = (now: Awaited<ReturnType<typeof readyOf>>) =>
    now.length === 3 && now.every(({ nodeName }) => nodeName !== victim.node);
  const replaced = await eventually(readyOf, healthy, { everyMs: 50 });
  const wholeMs = Date.now() - darkAtMs;
  const fresh = replaced.find(({ ordinal }) => ordinal === 1)?.id;
  await eventually(async () => visitors.seen.some((one) => one.instance === fresh), Boolean);
  const seen = await visitors.stop();
  const answeredMs = Math.min(...seen.filter((one) => one.instance === fresh).map((one) => one.endedAtMs)) - darkAtMs;
  const failed = seen.filter(hasFailed);
  expect(seen.filter((one) => one.endedAtMs < cutAtMs && hasFailed(one))).toEqual([]);
  expect(Math.max(0, ...failed.map((one) => one.startedAtMs - darkAtMs))).toBeLessThanOrEqual(2_000);
  expect(wholeMs).toBeLessThanOrEqual(WITHIN_MS);
  expect(answeredMs).toBeLessThanOrEqual(WITHIN_MS);
  expect(fresh).not.toBe(victim.id);

  await storyOf(
    world,
    ["nodes", "events", victim.node],
    /enrolled[^]*ready: it takes placements[^]*silent for [^]*suspect[^]*neither agent nor gateway/,
  );
  const ofApp = await storyOf(world, ["events", APP], /does not answer[^]*#1 on node-\d ready/);
  expect(ofApp).toContain(`#1 on ${victim.node} failed: ${victim.node} does not answer`);
});

test("the node's power returns: it takes placements again and runs nothing of before", async () => {
  const [lost] = (await world.api("GET", "/v1/nodes")).body.items.filter(
    (node: { phase: string }) => node.phase === "lost",
  );
  await world.stack.nodeSwitch(lost.name).restorePower();
  await nodeIs(world, lost.name, "ready");
  await eventually(
    () => runningOn(world, lost.name),
    (running) => running.length === 0,
  );
  expect(await storyOf(world, ["nodes", "events", lost.name], /is back/)).toContain("is back");
});

test("a node cut off and lost runs on; healed, it stops what is no longer its own before any of it gets traffic", async () => {
  const victim = await nodeOfSlot(0);
  const wires = world.stack.nodeSwitch(victim.node);
  const before = await runningOn(world, victim.node);
  expect(before).toContain(victim.id);
  await wires.drop(["power"], CUT_MS);
  await nodeIs(world, victim.node, "lost");
  await eventually(readyOf, (now) => now.length === 3 && now.every(({ nodeName }) => nodeName !== victim.node));
  // Nobody can tell it to stop, and silence stops nothing that is no strict singleton.
  expect(await runningOn(world, victim.node)).toEqual(before);

  const visitors = visitorsOf(world, APP, 100);
  await sleep(500);
  await wires.heal();
  await nodeIs(world, victim.node, "ready");
  await eventually(
    () => runningOn(world, victim.node),
    (running) => before.every((instance) => !running.includes(instance)),
  );
  await sleep(1_000);
  const seen = await visitors.stop();
  expect(seen.filter(hasFailed)).toEqual([]);
  expect(seen.filter(({ instance }) => before.includes(instance ?? ""))).toEqual([]);
  expect(new Set((await readyOf()).map(({ ordinal }) => ordinal)).size).toBe(3);
  await storyOf(world, ["nodes", "events", victim.node], /lost;[^]*is back/);
});
