// A node behind NAT on the real stack: joined, shown, placed on, served through another node, moved to the next one, and lost as others are.
import { spawn } from "node:child_process";
import { afterAll, beforeAll, expect, test } from "vitest";
import { hasFailed } from "../../dev/load/visitors.ts";
import { command, deployed, instancesOf, nodeIs, nodesAre, visitorsOf } from "../e2e/nodes-support.ts";
import { createWorld, eventually, versionServer, type World } from "../e2e/support.ts";
import { BIN } from "../cli/run-berth.ts";
import { BehindNat } from "./behind-nat.ts";

const APP = "hidden-app";
const NODE = "hidden";
const CUT_MS = 90_000;
let world: World;
let nat: BehindNat;

beforeAll(async () => {
  world = await createWorld({ agents: 2, ownNetworks: true, runtime: "process" });
  await nodesAre(world, "ready");
  nat = await BehindNat.create(world);
}, 120_000);
afterAll(async () => {
  await nat?.end();
  await world?.end();
});

const shown = async (): Promise<string> => (await world.berth(["nodes", "show", NODE])).stdout;
const through = async (): Promise<string> => /reached through (\S+)/.exec(await shown())?.[1] ?? "nobody";
const onHidden = async () => {
  const items = await instancesOf(world, APP);
  return items.find(({ nodeName, phase }) => nodeName === NODE && phase === "ready")?.id;
};

test("it joins and takes placements within 60 s, though nobody can dial it; berth nodes show says through whom it is reached", async () => {
  const startedAtMs = performance.now();
  await nat.join(world, NODE);
  await nodeIs(world, NODE, "ready");
  expect(performance.now() - startedAtMs).toBeLessThan(60_000);
  expect(await nat.dialled(nat.innerAddress)).toBe(false);
  expect(await nat.dialled(nat.outerAddress)).toBe(false);
  expect(await shown()).toMatch(/reached through node-[12] \(node_\w+\), with connections to [12] relays/);
});

test("a release is verified on it, visitors are served by it through the edge, and none is failed", async () => {
  const server = versionServer(APP).replace("response.end(", 'console.log("asked for " + request.url); response.end(');
  await deployed(world, APP, 'replicas = 3\n[rollout.smoke]\npath = "/smoke"\n', server);
  const instance = await eventually(onHidden, (found) => found !== undefined);
  const visitors = visitorsOf(world, APP, 50);
  await eventually(
    async () => visitors.seen.filter((one) => one.instance === instance).length,
    (count) => count > 50,
  );
  const seen = await visitors.stop();
  expect(seen.filter(hasFailed)).toEqual([]);
});

test("its smoke check passed through the relay, and its logs are read and followed by the command as anybody's are", async () => {
  const instance = (await onHidden()) ?? "";
  const read = await command(world, "logs", APP, "--instance", instance, "--json");
  const lines = read.stdout.trim().split("\n");
  const seen = lines.map((line) => JSON.parse(line) as { instance: string; stream: string; line: string });
  expect(seen).toContainEqual(expect.objectContaining({ instance, stream: "stdout", line: "asked for /smoke" }));
  let text = "";
  const args = [BIN, "logs", APP, "--follow", "--tail", "0", "--instance", instance];
  const following = spawn(process.execPath, args, { cwd: world.home, env: { ...process.env, HOME: world.home } });
  following.stdout.on("data", (chunk: Buffer) => (text += chunk.toString()));
  try {
    await eventually(
      async () => void (await world.visit(APP, "/told")),
      () => text.includes("asked for /told"),
    );
  } finally {
    following.kill("SIGINT");
  }
});

test("when its relay's power is cut, it is reached through the other one", async () => {
  const first = await through();
  await world.stack.nodeSwitch(first).cutPower(CUT_MS);
  const second = await eventually(through, (name) => name.startsWith("node-") && name !== first, {
    withinMs: 40_000,
    everyMs: 500,
  });
  expect(second).not.toBe(first);
  const instance = await onHidden();
  const visitors = visitorsOf(world, APP, 20);
  await eventually(
    async () => visitors.seen.filter((one) => one.instance === instance && !hasFailed(one)).length,
    (count) => count > 20,
  );
  await visitors.stop();
  await world.stack.nodeSwitch(first).restorePower();
  await nodeIs(world, first, "ready", 40_000);
}, 120_000);

test("cut off itself it is lost as any node is: its relay's health is not taken for its own", async () => {
  await nat.cut();
  await nodeIs(world, NODE, "lost", 25_000);
  await eventually(
    async () => (await instancesOf(world, APP)).filter(({ phase }) => phase === "ready"),
    (ready) => ready.length === 3 && ready.every(({ nodeName }) => nodeName !== NODE),
  );
}, 90_000);
