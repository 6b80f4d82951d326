// Ends and returns of the agent, its control plane and its gateway: what runs, runs on, once.
import { readFileSync } from "node:fs";
import { constants, getPriority } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { readStat } from "../../../node-agent/agent/state/process-id.ts";
import { GATEWAY_PID_FILE } from "../../../node-agent/endpoint-file.ts";
import {
  desired,
  docker,
  ensureBoxImage,
  makeWorld,
  networkAnswer,
  runAgentCommand,
  until,
  untilStatus,
  type World,
} from "./world.ts";

let world: World;
beforeAll(() => ensureBoxImage());
beforeEach(async () => {
  world = await makeWorld("docker", { heartbeatMs: 300, heartbeatJitterMs: 0 });
});
afterEach(async () => {
  expect(world.peer.faults).toEqual([]);
  await world.close();
  expect(await ours()).toEqual([]);
  expect(await docker.listNetworks({ filters: { label: [`berth.node=${world.peer.node}`] } })).toEqual([]);
});

const ours = () => docker.listContainers({ all: true, filters: { label: [`berth.node=${world.peer.node}`] } });
const gatewayPid = () => JSON.parse(readFileSync(join(world.dir, GATEWAY_PID_FILE), "utf8")).pid as number;
const healthy = () =>
  fetch(`http://127.0.0.1:${world.gatewayPort}/.berth/health`).then(
    ({ ok }) => ok,
    () => false,
  );
test("after kill -9 the next agent adopts the same container and gateway, and reports it ready from its first word", async () => {
  const { peer } = world;
  const wanted = desired();
  peer.publish([wanted]);
  await untilStatus(world, wanted.instance, "ready");
  await until("the gateway answers", healthy);
  const [before] = await ours();
  const gateway = gatewayPid();
  // It goes before what tenants run; only root may say so.
  expect(getPriority(gateway)).toBe(process.getuid?.() === 0 ? constants.priority.PRIORITY_ABOVE_NORMAL : 0);
  expect(getPriority((await docker.getContainer(before!.Id).inspect()).State.Pid)).toBe(0);
  await world.killAgent("SIGKILL");
  expect(await healthy()).toBe(true);
  const beats = peer.beats.length;
  await world.startAgent();
  await until("a heartbeat", () => peer.beats.length > beats + 1);
  const words = peer.beats.slice(beats).map(({ request }) => request.observed.map(({ status }) => status.kind));
  expect(new Set(words.map(String))).toEqual(new Set(["ready"]));
  expect((await ours()).map(({ Id }) => Id)).toEqual([before!.Id]);
  expect(gatewayPid()).toBe(gateway);
});

test("SIGTERM ends the agent alone; purge ends everything and the identity stays", async () => {
  const { peer } = world;
  const wanted = desired();
  peer.publish([wanted]);
  await untilStatus(world, wanted.instance, "ready");
  await until("the gateway answers", healthy);
  const rows = JSON.parse(readFileSync(join(world.dir, "endpoints.json"), "utf8")).instances;
  const gateway = gatewayPid();
  await world.killAgent("SIGTERM");
  expect(world.agent.exitCode).toBe(0);
  expect(await networkAnswer(rows[0].host, rows[0].port, "/")).toContain("hello");
  expect(await healthy()).toBe(true);
  const status = JSON.parse((await runAgentCommand("status", world.dir)).output);
  expect(status).toMatchObject({
    node: peer.node,
    agent: null,
    gateway,
    instances: [{ instance: wanted.instance, state: "serving" }],
  });
  expect(await runAgentCommand("purge", world.dir)).toMatchObject({ exitCode: 0, output: '{"instances":1}\n' });
  expect(await ours()).toEqual([]);
  expect(await readStat(gateway)).toBeNull();
  // The document is not forgotten: the next run brings its instances back, and needs no token for it.
  peer.down = 503;
  await world.startAgent();
  await until("it runs again", async () => (await ours())[0]?.State === "running");
  peer.down = null;
  await untilStatus(world, wanted.instance, "ready");
  expect(peer.enrolments).toHaveLength(1);
});

test("a gateway that is killed is started again on the same port", async () => {
  await until("the gateway answers", healthy);
  const first = gatewayPid();
  process.kill(first, "SIGKILL");
  await until("another gateway", () => gatewayPid() !== first);
  await until("it answers", healthy);
  await world.killAgent("SIGKILL");
  process.kill(gatewayPid(), "SIGKILL");
  await world.startAgent();
  await until("it answers again", healthy);
});

test("with no control plane a crashed container is started again, with the environment it had", async () => {
  const { peer } = world;
  const wanted = desired({ hasEnvironment: true });
  peer.environments.set(wanted.instance, { GREETING: "still here" });
  peer.publish([wanted]);
  await untilStatus(world, wanted.instance, "ready");
  peer.down = 503;
  await world.killAgent("SIGKILL");
  const [container] = await ours();
  await docker.getContainer(container!.Id).kill();
  await world.startAgent();
  await until("it runs again", async () => (await ours())[0]?.State === "running");
  const { Config } = await docker.getContainer(container!.Id).inspect();
  expect(Config.Env).toContain("GREETING=still here");
  expect(peer.environmentAsks).toBe(1);
  peer.beats.length = 0;
  peer.down = null;
  const ready = await untilStatus(world, wanted.instance, "ready");
  expect(ready.restarts).toBe(1);
});

test("a lower revision is never acted on, and what was stopped is never started again", async () => {
  const { peer } = world;
  const [one, two] = [desired(), desired()];
  peer.publish([one, two]);
  await untilStatus(world, one.instance, "ready");
  await untilStatus(world, two.instance, "ready");
  peer.publish([two]);
  await untilStatus(world, one.instance, "stopped");
  const { revision } = peer.document;
  // A late answer from before: it still names the first one. Forced on the agent by a poll that waits for nothing.
  peer.replay = { ...peer.document, revision: revision - 1, instances: [one, two] };
  peer.wake();
  await until("it was delivered", () => peer.replay === null);
  peer.publish([one, two]);
  await until("the new document is acknowledged", () => peer.beats.at(-1)?.request.ackRevision === revision + 1);
  expect(peer.observed(one.instance)?.status.kind).toBe("stopped");
  await world.killAgent("SIGKILL");
  await world.startAgent();
  const beats = peer.beats.length;
  await until("heartbeats of the next agent", () => peer.beats.length > beats + 2);
  expect(
    peer.beats.every(
      ({ request }, index) => index === 0 || request.ackRevision >= peer.beats[index - 1]!.request.ackRevision,
    ),
  ).toBe(true);
  expect((await ours()).map(({ Labels }) => Labels["berth.instance"])).toEqual([two.instance]);
});

test("killed at any moment of a start or a stop, the next agent ends with exactly what the document names", async () => {
  const { peer } = world;
  let last = desired();
  for (let round = 0; round < 8; round += 1) {
    const next = desired();
    peer.publish(round % 3 === 2 ? [next] : [last, next]);
    last = next;
    await new Promise((resolve) => setTimeout(resolve, 15 + round * 45));
    await world.killAgent("SIGKILL");
    await world.startAgent();
  }
  const named = peer.document.instances.map(({ instance }) => instance).sort();
  for (const instance of named) await untilStatus(world, instance, "ready");
  await until("no other container is left", async () => {
    const found = new Set((await ours()).map(({ Labels }) => Labels["berth.instance"]));
    return found.size === named.length && named.every((instance) => found.has(instance));
  });
  const revisions = peer.beats.map(({ request }) => request.ackRevision);
  expect(revisions).toEqual([...revisions].sort((a, b) => a - b));
});
