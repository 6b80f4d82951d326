// [placement] of a berth.toml on real nodes, what is said where it cannot be met, and a rebalance under load.
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { hasFailed } from "../../dev/load/visitors.ts";
import { command, deployed, nodesAre, nodesOf, onlyOn, servingOf, visitorsOf } from "./nodes-support.ts";
import { SMALL, createWorld, eventually, versionServer, writeApp, type World } from "./support.ts";

/** Each node has a network of its own, and so have its ports. */
const PORT = 9443;
const PLACES = {
  "node-1": { failureDomain: "rack-a", labels: { disk: "nvme" } },
  "node-2": { failureDomain: "rack-a" },
  "node-3": { failureDomain: "rack-b", labels: { disk: "nvme" } },
  "node-4": { failureDomain: "rack-c", labels: { disk: "hdd" } },
};

let world: World;
beforeAll(async () => {
  world = await createWorld({ agents: 4, ownNetworks: true, runtime: "process", places: PLACES });
  await nodesAre(world, "ready");
});
afterAll(async () => await world?.end());

const placed = (replicas: number, placement: string) => `replicas = ${replicas}\n[placement]\n${placement}\n`;
const nodesWith = async (app: string) =>
  (await servingOf(world, app)).map(({ nodeName }) => nodeName ?? "none").toSorted();
const refused = async (name: string, toml: string) => {
  const folder = writeApp(world.home, name, { "server.mjs": versionServer(name) }, `${toml}${SMALL}`);
  const ran = await world.berth(["deploy", folder]);
  expect(ran, ran.stderr).toMatchObject({ exitCode: 1 });
  return ran.stderr;
};
const destroy = (...apps: string[]) => Promise.all(apps.map((app) => command(world, "destroy", app, "--yes")));

test("labels: only nodes that have them are taken, and of those each replica gets its own", async () => {
  await deployed(world, "fast", placed(2, 'labels = { disk = "nvme" }\nnodes = "required"'));
  expect(await nodesWith("fast")).toEqual(["node-1", "node-3"]);
  const third = await world.berth(["scale", "3", "fast"]);
  expect(third).toMatchObject({ exitCode: 1 });
  expect(third.stderr).toMatch(/of 4 nodes, 2 excluded by labels \(disk=nvme\), 2 excluded by nodes/);
  expect(await nodesWith("fast")).toEqual(["node-1", "node-3"]);
});

test("away_from: nodes of the other app are not taken, whichever of the two came first", async () => {
  await deployed(world, "quiet", placed(2, 'away_from = ["fast"]\nnodes = "required"'));
  expect(await nodesWith("quiet")).toEqual(["node-2", "node-4"]);
  expect(await refused("shy", placed(1, 'away_from = ["fast", "quiet"]'))).toMatch(
    /of 4 nodes, 4 excluded by away_from \(fast, quiet\)/,
  );
  await destroy("fast", "quiet");
});

test("required failure domains: one replica in each rack, and one more than there are racks is refused", async () => {
  await deployed(world, "wide", placed(3, 'failure_domains = "required"'));
  const racks = (await nodesWith("wide")).map((name) => PLACES[name as keyof typeof PLACES].failureDomain);
  expect(racks.toSorted()).toEqual(["rack-a", "rack-b", "rack-c"]);
  const fourth = await world.berth(["scale", "4", "wide"]);
  expect(fourth).toMatchObject({ exitCode: 1 });
  expect(fourth.stderr).toMatch(/of 4 nodes, 4 excluded by failure_domains/);
  expect((await servingOf(world, "wide")).length).toBe(3);
  expect((await world.visit("wide")).status).toBe(200);
  await destroy("wide");
});

test("host ports: one instance per node holds one, it is reached there, and who comes too late hears which port", async () => {
  const server = (app: string) =>
    `${versionServer(app)}\ncreateServer((_, response) => response.end(${JSON.stringify(app)})).listen(${PORT});\n`;
  await deployed(world, "first", placed(3, `host_ports = [${PORT}]`), server("first"));
  await deployed(world, "second", placed(1, `host_ports = [${PORT}]`), server("second"));
  const holders = [...(await nodesWith("first")), ...(await nodesWith("second"))];
  expect(holders.toSorted()).toEqual(["node-1", "node-2", "node-3", "node-4"]);
  for (const [index, name] of holders.entries()) {
    const address = world.stack.agents.find((agent) => agent.name === name)?.network?.address;
    const answer = await fetch(`http://${address}:${PORT}/`);
    expect(await answer.text(), name).toBe(index < 3 ? "first" : "second");
  }
  expect(await refused("late", placed(1, `host_ports = [${PORT}]`))).toMatch(
    new RegExp(`of 4 nodes, 4 excluded by ports \\(${PORT}\\)`),
  );
  await destroy("first", "second");
});

test("a rebalance under load: the plan first, then the moves, and no request fails", async () => {
  await eventually(
    () => nodesOf(world),
    (nodes) => nodes.every(({ instances }) => instances === 0),
  );
  const apps = ["calm", "brisk", "lone"];
  for (const [index, app] of apps.entries()) {
    await onlyOn(world, `node-${index + 1}`, () => deployed(world, app, "replicas = 1\n"));
  }
  const plan = await command(world, "nodes", "rebalance");
  expect(plan.stdout).toMatch(/1\. \w+ ins_\w+ +node-\d → node-\d/);
  expect(plan.stdout).toMatch(/2 to move; nodes in use 3 → 1/);
  expect(plan.stdout).toMatch(/freed: node-\d, node-\d/);
  expect(new Set((await Promise.all(apps.map(nodesWith))).flat()).size).toBe(3);

  const visitors = apps.map((app) => visitorsOf(world, app, 40));
  await sleep(500);
  const done = await command(world, "nodes", "rebalance", "--execute");
  expect(done.stdout).toContain("2 moved");
  await sleep(500);
  const seen = (await Promise.all(visitors.map((each) => each.stop()))).flat();
  expect(seen.filter(hasFailed)).toEqual([]);
  expect(seen.length).toBeGreaterThan(200);
  expect(new Set((await Promise.all(apps.map(nodesWith))).flat()).size).toBe(1);
});
