// What an operator asks of nodes that has to be refused or done with care: what cannot be placed, removals, rebalances, and who may ask.
import { setTimeout as sleep } from "node:timers/promises";
import Docker from "dockerode";
import { beforeAll, expect, test } from "vitest";
import { deployed, nodeIs, nodesAre, nodesOf, servingOf, storyOf } from "../nodes-support.ts";
import { sharedWorld } from "../shared-world.ts";
import { SMALL, eventually, versionServer, writeApp, type World } from "../support.ts";
import { signUpBy } from "../letters.ts";

let world: World;
beforeAll(async () => {
  world = await sharedWorld();
  await nodesAre(world, "ready");
});

const serving = (app: string) => servingOf(world, app);
const nodeOf = async (app: string): Promise<string> => {
  const [ready] = await eventually(
    () => serving(app),
    (now) => now.length > 0,
  );
  return ready?.nodeName ?? "none";
};
const post = (path: string, body?: unknown, key: string = crypto.randomUUID()) =>
  world.api("POST", path, body, { "idempotency-key": key });

test("what cannot be placed anywhere fails with every constraint, how many nodes it excluded, and what was missing", async () => {
  const deploy = (name: string, toml: string) =>
    world.berth(["deploy", writeApp(world.home, name, { "server.mjs": versionServer(name) }, toml)]);
  const large = await deploy("large", '[resources]\ncpu = 0.05\nmemory = "4000GB"\ndisk = "32MB"\npids = 64\n');
  expect(large.exitCode).toBe(1);
  expect(large.stderr).toMatch(/of 3 nodes, 3 excluded by memory \(\d+ MiB missing on the nearest\)/);
  const labelled = await deploy("labelled", `${SMALL}[placement]\nlabels = { disk = "nvme" }\n`);
  expect(labelled.exitCode).toBe(1);
  expect(labelled.stderr).toMatch(/3 .*labels/);
  const spread = await deploy("spread", `replicas = 4\n${SMALL}[placement]\nfailure_domains = "required"\n`);
  expect(spread.exitCode).toBe(1);
  expect(spread.stderr).toMatch(/3 .*failure.domains/);
  expect(spread.stderr).not.toMatch(/live/);
});

test("a drain under one idempotency key happens once, even if its repetition comes after an uncordon", async () => {
  const key = crypto.randomUUID();
  const first = await post("/v1/nodes/node-2/drain", undefined, key);
  expect(first).toMatchObject({ status: 202, body: { name: "node-2", cordoned: true } });
  expect((await post("/v1/nodes/node-2/uncordon")).status).toBe(202);
  expect(await post("/v1/nodes/node-2/drain", undefined, key)).toMatchObject({ status: 202, body: first.body });
  expect((await nodesOf(world)).find(({ name }) => name === "node-2")).toMatchObject({ cordoned: false, drain: null });
  const other = await post("/v1/nodes/node-3/drain", undefined, key);
  expect(other).toMatchObject({ status: 422, body: { code: "idempotency_key_reused" } });
});

test("a cordoned node keeps what it runs and gets nothing new", async () => {
  await deployed(world, "stays", "replicas = 3\n");
  expect(await world.berth(["nodes", "cordon", "node-1"])).toMatchObject({ exitCode: 0 });
  await deployed(world, "comes", "replicas = 3\n");
  expect((await serving("comes")).map(({ nodeName }) => nodeName)).not.toContain("node-1");
  expect((await serving("stays")).map(({ nodeName }) => nodeName)).toContain("node-1");
  expect((await world.berth(["nodes", "ls"])).stdout).toMatch(/node-1 +ready cordoned/);
  expect(await world.berth(["nodes", "uncordon", "node-1"])).toMatchObject({ exitCode: 0 });
  for (const app of ["stays", "comes"]) await world.berth(["destroy", app, "--yes"]);
});

test("a rebalance prints its plan first, and executed it frees a node without failing a request", async () => {
  // What the apps of before leave behind would count as a node in use.
  await eventually(
    () => nodesOf(world),
    (nodes) => nodes.every(({ instances }) => instances === 0),
  );
  await deployed(world, "one", "replicas = 1\n");
  const first = await nodeOf("one");
  expect(await world.berth(["nodes", "cordon", first])).toMatchObject({ exitCode: 0 });
  await deployed(world, "two", "replicas = 1\n");
  expect(await nodeOf("two")).not.toBe(first);
  expect(await world.berth(["nodes", "uncordon", first])).toMatchObject({ exitCode: 0 });

  const plan = await world.berth(["nodes", "rebalance"]);
  expect(plan, plan.stderr).toMatchObject({ exitCode: 0 });
  expect(plan.stdout).toMatch(/1\. (one|two) ins_\w+ +node-\d → node-\d/);
  expect(plan.stdout).toMatch(/nodes in use 2 → 1/);
  expect(new Set([await nodeOf("one"), await nodeOf("two")]).size).toBe(2);

  const done = await world.berth(["nodes", "rebalance", "--execute"]);
  expect(done, done.stderr).toMatchObject({ exitCode: 0 });
  expect(done.stdout).toContain("1 moved");
  expect(await nodeOf("one")).toBe(await nodeOf("two"));
  for (const app of ["one", "two"]) expect(await world.visit(app)).toMatchObject({ status: 200 });
  await eventually(
    () => nodesOf(world),
    (nodes) => nodes.every(({ cordoned }) => !cordoned),
  );
  const again = await world.berth(["nodes", "rebalance"]);
  expect(again.stdout).toMatch(/Nothing to move/);
  const unknown = await world.berth(["nodes", "rebalance", "--region", "nowhere"]);
  expect(unknown).toMatchObject({ exitCode: 1 });
  expect(unknown.stderr).toContain("no nodes in the region nowhere");
  for (const app of ["one", "two"]) await world.berth(["destroy", app, "--yes"]);
});

test("a container that nobody assigned is stopped, and the node's story says so", async () => {
  await deployed(world, "model", "replicas = 1\n");
  const name = await nodeOf("model");
  const docker = new Docker();
  const [instance] = await serving("model");
  const [running] = await docker.listContainers({ filters: { label: [`berth.instance=${instance?.id}`] } });
  if (running === undefined) throw new Error("the instance has no container");
  const stranger = `ins_${"0".repeat(25)}1`;
  const { Config, HostConfig } = await docker.getContainer(running.Id).inspect();
  const { Image, Cmd, Entrypoint, Env, WorkingDir, User } = Config;
  const container = await docker.createContainer({
    ...{ Image, Cmd, Entrypoint, Env, WorkingDir, User },
    Labels: { ...Config.Labels, "berth.instance": stranger },
    HostConfig: { Binds: HostConfig.Binds, NetworkMode: "none" },
  });
  await container.start();
  await world.stack.restart(`agent:${name}`);
  await eventually(
    () => docker.listContainers({ all: true, filters: { label: [`berth.instance=${stranger}`] } }),
    (left) => left.length === 0,
  );
  await nodeIs(world, name, "ready");
  expect(await storyOf(world, ["nodes", "events", name], /orphan stopped/)).toContain(stranger);
  expect(await serving("model")).toMatchObject([{ id: instance?.id, restarts: 0 }]);
  await world.berth(["destroy", "model", "--yes"]);
});

test("a node with a running singleton is not removed unforced; forced, the singleton runs elsewhere", async () => {
  await deployed(world, "single", 'replicas = 1\n[placement]\nsingleton = "available"\n');
  const name = await nodeOf("single");
  const [before] = await serving("single");
  const refused = await world.berth(["nodes", "rm", name]);
  expect(refused).toMatchObject({ exitCode: 1 });
  expect(refused.stderr).toContain("single");
  expect(await world.berth(["nodes", "rm", name, "--force"])).toMatchObject({ exitCode: 2 });
  expect(await serving("single")).toMatchObject([{ id: before?.id }]);

  const removed = await world.berth(["nodes", "rm", name, "--force", "--yes"]);
  expect(removed, removed.stderr).toMatchObject({ exitCode: 0 });
  expect((await nodesOf(world)).map((node) => node.name)).not.toContain(name);
  const [now] = await eventually(
    () => serving("single"),
    (ready) => ready.length === 1 && ready[0]?.id !== before?.id,
  );
  expect(now?.nodeName).not.toBe(name);
  expect(now?.generation).toBeGreaterThan(before?.generation ?? Infinity);
  const again = await world.berth(["nodes", "rm", name, "--force", "--yes"]);
  expect(again).toMatchObject({ exitCode: 0 });
  const lost = await world.berth(["nodes", "drain", name]);
  expect(lost).toMatchObject({ exitCode: 4 });
  expect(await storyOf(world, ["nodes", "events", name], /removed/)).toMatch(/removed by \S+@\S+/);
  // Its agent is told that it no longer belongs here, and takes nothing any more.
  await sleep(3_000);
  expect((await world.berth(["ps", "single"])).stdout).not.toContain(name);
});

test("only an operator may ask: everybody else is refused each of it", async () => {
  const token = await signUpBy(world, "customer@berth.example", "a long password");
  const authorization = { authorization: `Bearer ${token}` };
  const asked: [string, string, unknown?][] = [
    ["GET", "/v1/nodes"],
    ["GET", "/v1/nodes/node-3/instances"],
    ["GET", "/v1/nodes/node-3/events"],
    ["POST", "/v1/nodes/node-3/cordon"],
    ["POST", "/v1/nodes/node-3/uncordon"],
    ["POST", "/v1/nodes/node-3/drain"],
    ["POST", "/v1/nodes/rebalance", { execute: true }],
    ["DELETE", "/v1/nodes/node-3?force=true"],
    ["DELETE", "/v1/nodes/no-such-node"],
  ];
  for (const [method, path, input] of asked) {
    const answer = await world.api(method, path, input, authorization);
    expect({ method, path, status: answer.status, code: answer.body.code }).toEqual({
      method,
      path,
      status: 403,
      code: "forbidden",
    });
  }
});
