// A machine without an Engine: the same stack, the same folder, as plain processes. And a stop with a start after it.
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startStack } from "../../dev/stack.ts";
import { SMALL, createWorld, eventually, serving, versionServer, writeApp, type World } from "./support.ts";

let world: World;
beforeAll(async () => {
  world = await createWorld({ runtime: "process" });
});
afterAll(async () => await world?.end());

test("a folder is deployed as processes, rolls to a second version and stops a crashing third", async () => {
  const deploy = (server: string) =>
    world.berth(["deploy", writeApp(world.home, "plain", { "server.mjs": server }, `replicas = 3\n${SMALL}`)]);
  const first = await deploy(versionServer("first"));
  expect(first, first.stderr).toMatchObject({ exitCode: 0 });
  await serving(world, "plain", "first");
  expect(await deploy(versionServer("second"))).toMatchObject({ exitCode: 0 });
  await serving(world, "plain", "second");
  const third = await deploy('console.error("broken on purpose");\nprocess.exit(7);\n');
  expect(third.exitCode).toBe(1);
  expect(third.stderr).toContain("broken on purpose");
  await serving(world, "plain", "second");
});

test("an image is refused with the reason that no node can run it", async () => {
  const ran = await world.berth(["deploy", "--app", "image", "--image", "busybox:1", "--replicas", "1"]);
  expect(ran.exitCode).toBe(1);
  expect(ran.stderr).toContain("excluded by runtime");
});

test("kill -9 of an agent leaves its processes alone, and the next one adopts them", async () => {
  const body = async () => JSON.parse((await world.visit("plain")).body).instance as string;
  const before = new Set([await body(), await body(), await body(), await body()]);
  await world.stack.kill("agent:node-1");
  await world.stack.untilReady("agent:node-1");
  const all = await eventually(
    () => world.api("GET", "/v1/apps/plain/instances"),
    ({ body: { items } }) => items.filter((row: { phase: string }) => row.phase === "ready").length === 3,
  );
  const ready = all.body.items.filter((row: { phase: string }) => row.phase === "ready");
  expect(ready.every((row: { restarts: number }) => row.restarts === 0)).toBe(true);
  for (const instance of before) expect(ready.map((row: { id: string }) => row.id)).toContain(instance);
});

test("a stack that was stopped leaves nothing behind, and its next start answers with what was deployed", async () => {
  const pids = Object.values(world.stack.processes());
  const { stateDir } = world.stack;
  await world.stack.stop();
  const ours = (pid: number): boolean => {
    try {
      return readFileSync(`/proc/${pid}/environ`, "utf8").includes("BERTH_STACK");
    } catch {
      return false;
    }
  };
  expect(pids.filter(ours)).toEqual([]);
  const stack = await startStack({ stateDir, runtime: "process", fsync: false });
  world = { ...world, stack, end: async () => await stack.stop() };
  await serving(world, "plain", "second");
});
