// `berth nodes drain` on the real stack: under load, where something holds it, and left alone with Ctrl-C.
import { spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { beforeAll, expect, test } from "vitest";
import { hasFailed } from "../../../dev/load/visitors.ts";
import { command, deployed, nodeIs, nodesAre, nodesOf, servingOf, storyOf, visitorsOf } from "../nodes-support.ts";
import { sharedWorld } from "../shared-world.ts";
import { eventually, type World } from "../support.ts";

const APP = "busy";

let world: World;
beforeAll(async () => {
  world = await sharedWorld();
  await nodesAre(world, "ready");
  await deployed(world, APP);
});

const serving = (app: string) => servingOf(world, app);
const nodesWith = async (app: string) => (await serving(app)).map(({ nodeName }) => nodeName);
const node = async (name: string) => {
  const found = (await nodesOf(world)).find((each) => each.name === name);
  if (found === undefined) throw new Error(`there is no node ${name}`);
  return found;
};

/** The fewest instances that serve, until it is stopped. */
function watchServing(app: string): { stop(): Promise<number> } {
  let fewest = Infinity;
  let stopped = false;
  const watching = (async () => {
    while (!stopped) {
      fewest = Math.min(fewest, (await serving(app)).length);
      await sleep(50);
    }
  })();
  return {
    async stop() {
      stopped = true;
      await watching;
      return fewest;
    },
  };
}

test("under 100 requests/s no request fails, three serve all the while, and the node is empty at the end", async () => {
  const visitors = visitorsOf(world, APP, 100);
  const watched = watchServing(APP);
  await sleep(1_000);
  const ran = await world.berth(["nodes", "drain", "node-2"]);
  expect(ran, ran.stderr).toMatchObject({ exitCode: 0 });
  expect(ran.stdout).toMatch(/node-2 is drained: 1 moved/);
  await sleep(1_000);
  const seen = await visitors.stop();
  expect(seen.filter(hasFailed)).toEqual([]);
  expect(seen.length).toBeGreaterThan(500);
  expect(await watched.stop()).toBe(3);
  expect(await node("node-2")).toMatchObject({
    cordoned: true,
    instances: 0,
    drain: { state: "drained", remaining: 0 },
  });
  expect(await nodesWith(APP)).not.toContain("node-2");
  const story = await storyOf(world, ["nodes", "events", "node-2"], /drain begun by[^]*drained/);
  expect(story).toMatch(/drain begun by \S+@\S+[^]*drained/);
  await storyOf(world, ["events", APP], /on node-2 is to move[^]*on node-\d ready/);
});

test("drained, a node takes nothing until it is uncordoned", async () => {
  expect(await world.berth(["scale", "5", APP])).toMatchObject({ exitCode: 0 });
  expect(await nodesWith(APP)).not.toContain("node-2");
  const ran = await world.berth(["nodes", "uncordon", "node-2"]);
  expect(ran).toMatchObject({ exitCode: 0 });
  expect(await node("node-2")).toMatchObject({ cordoned: false, drain: null });
  expect(await world.berth(["scale", "6", APP])).toMatchObject({ exitCode: 0 });
  expect(await nodesWith(APP)).toContain("node-2");
});

test("a drain that cannot end says what holds it, ends the command with 6, and keeps what serves", async () => {
  await deployed(world, "wide", 'replicas = 3\n[placement]\nnodes = "required"\n');
  const ran = await world.berth(["nodes", "drain", "node-1", "--timeout", "15s"]);
  expect(ran, ran.stderr).toMatchObject({ exitCode: 6 });
  expect(ran.stderr).toContain("node-1 is not drained after 15 s");
  expect(ran.stderr).toMatch(/wide v1 \(ins_\w+\): .*excluded by/);
  expect(ran.stderr).toContain("berth nodes uncordon node-1");
  const shown = await world.berth(["nodes", "show", "node-1"]);
  expect(shown.stdout).toMatch(/to go[^]*wide v1 [^]*no room/);
  expect(await nodesWith("wide")).toContain("node-1");
});

test("uncordoned, the drain is called off and what had not moved stays", async () => {
  const [held] = (await serving("wide")).filter(({ nodeName }) => nodeName === "node-1");
  expect(await world.berth(["nodes", "uncordon", "node-1"])).toMatchObject({ exitCode: 0 });
  await sleep(2_000);
  expect((await serving("wide")).map(({ id }) => id)).toContain(held?.id);
  await storyOf(world, ["nodes", "events", "node-1"], /drain begun[^]*(called off|uncordoned)/);
  expect(await world.berth(["destroy", "wide", "--yes"])).toMatchObject({ exitCode: 0 });
});

test("Ctrl-C leaves a drain to itself and says how to return; the same command returns to it", async () => {
  // Without room elsewhere it is still going on when the command hears of Ctrl-C.
  for (const name of ["node-1", "node-2"]) await command(world, "nodes", "cordon", name);
  const detached = await interrupted(["nodes", "drain", "node-3"], /draining node-3/);
  expect(detached.exitCode).toBe(130);
  expect(detached.stderr).toContain("The drain of node-3 goes on: `berth nodes drain node-3`");
  for (const name of ["node-1", "node-2"]) await command(world, "nodes", "uncordon", name);
  const again = await world.berth(["nodes", "drain", "node-3", "--json"]);
  expect(again, again.stderr).toMatchObject({ exitCode: 0 });
  expect(JSON.parse(again.stdout)).toMatchObject({ name: "node-3", drain: { state: "drained", remaining: 0 } });
});

test("the last node that fits cannot be emptied: each drain says why, and the app serves on", async () => {
  expect(await world.berth(["scale", "2", APP])).toMatchObject({ exitCode: 0 });
  expect(await world.berth(["nodes", "drain", "node-2"])).toMatchObject({ exitCode: 0 });
  const last = await world.berth(["nodes", "drain", "node-1", "--timeout", "15s"]);
  expect(last, last.stderr).toMatchObject({ exitCode: 6 });
  expect(last.stderr).toMatch(/of 3 nodes, .*excluded by (draining|cordoned)/);
  expect(await world.visit(APP)).toMatchObject({ status: 200 });
  expect(await serving(APP)).toHaveLength(2);
  // One node more, and it ends by itself.
  expect(await world.berth(["nodes", "uncordon", "node-3"])).toMatchObject({ exitCode: 0 });
  const ended = await world.berth(["nodes", "drain", "node-1"]);
  expect(ended, ended.stderr).toMatchObject({ exitCode: 0 });
  expect(await nodesWith(APP)).toEqual(["node-3", "node-3"]);
  await nodeIs(world, "node-1", "ready");
});

/** Runs a command, interrupts it once it has printed this, and tells how it ended. */
async function interrupted(args: readonly string[], when: RegExp) {
  const bin = fileURLToPath(new URL("../../../cli/bin/berth.mjs", import.meta.url));
  const child = spawn(process.execPath, [bin, ...args], { cwd: world.home, env: { ...process.env, HOME: world.home } });
  const out = { stdout: "", stderr: "" };
  child.stdout.on("data", (chunk: Buffer) => (out.stdout += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (out.stderr += chunk.toString()));
  const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
  await eventually(
    async () => out.stdout,
    (text) => when.test(text),
    { everyMs: 10 },
  );
  child.kill("SIGINT");
  const exitCode = await ended;
  return { ...out, exitCode };
}
