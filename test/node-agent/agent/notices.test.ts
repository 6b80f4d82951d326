// What an agent does by itself is told once each, until it is acknowledged: orphans, missing containers, restarts of its own.
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { typeid } from "typeid-js";
import { GATEWAY_PID_FILE } from "../../../node-agent/endpoint-file.ts";
import { desired, docker, ensureBoxImage, HTTPD, makeWorld, until, untilStatus, type World } from "./world.ts";

let world: World;
beforeAll(() => ensureBoxImage());
beforeEach(async () => {
  world = await makeWorld("docker", { heartbeatMs: 300, heartbeatJitterMs: 0, sweepMs: 300 });
});
afterEach(async () => {
  expect(world.peer.faults).toEqual([]);
  await world.close();
});

const told = (kind: string) => world.peer.notices().filter((notice) => notice.kind === kind);

async function runStray(labels: Record<string, string>): Promise<string> {
  const Labels = Object.fromEntries(Object.entries(labels).map(([name, value]) => [`berth.${name}`, value]));
  const container = await docker.createContainer({
    Image: "berth-test/box:1",
    Cmd: HTTPD,
    Labels,
    StopSignal: "SIGKILL",
  });
  await container.start();
  return container.id;
}
const exists = (id: string) =>
  docker
    .getContainer(id)
    .inspect()
    .then(
      () => true,
      () => false,
    );

test("containers nobody assigned are stopped, removed and told; another node's are none of ours", async () => {
  const { peer } = world;
  await until("the agent runs", () => peer.beats.length > 0);
  const { instance, app, team, release } = desired();
  const about = { instance, generation: "1", app, team, release, port: "8080" };
  const orphan = await runStray({ node: peer.node, ...about });
  const unreadable = await runStray({ node: peer.node, instance: "whatever" });
  const foreign = await runStray({ node: typeid("node").toString(), ...about });
  const unlabelled = await runStray({});
  try {
    await until("the orphans are gone", async () => !(await exists(orphan)) && !(await exists(unreadable)));
    await until("both are told", () => told("orphan_stopped").length === 2);
    expect(told("orphan_stopped").map((notice) => notice.instance)).toEqual(expect.arrayContaining([instance, null]));
    expect(await exists(foreign)).toBe(true);
    expect(await exists(unlabelled)).toBe(true);
  } finally {
    await docker.getContainer(foreign).remove({ force: true });
    await docker.getContainer(unlabelled).remove({ force: true });
  }
});

test("a container that somebody removed is made anew, and that is told", async () => {
  const { peer } = world;
  const wanted = desired();
  peer.publish([wanted]);
  await untilStatus(world, wanted.instance, "ready");
  const containers = () => docker.listContainers({ filters: { label: [`berth.instance=${wanted.instance}`] } });
  const [before] = await containers();
  await docker.getContainer(before!.Id).remove({ force: true });
  await until("another one is ready", () => {
    const seen = peer.observed(wanted.instance);
    return seen?.restarts === 1 && seen.status.kind === "ready";
  });
  await until("it is told", () => told("container_missing").length === 1);
  expect(told("container_missing")).toMatchObject([{ instance: wanted.instance }]);
  expect((await containers())[0]!.Id).not.toBe(before!.Id);
});

test("notices keep their numbers over restarts of the agent, come again until they are acknowledged, and never after", async () => {
  const { peer } = world;
  await until("the gateway is up", () => peer.beats.at(-1)?.request.gatewayReady);
  expect(peer.notices()).toEqual([]);
  process.kill(JSON.parse(readFileSync(join(world.dir, GATEWAY_PID_FILE), "utf8")).pid, "SIGKILL");
  const [first] = await until("the gateway's restart is told", () =>
    told("gateway_restarted").length > 0 ? told("gateway_restarted") : null,
  );
  expect(first).toMatchObject({ seq: 1, instance: null });
  await world.killAgent("SIGKILL");
  await world.startAgent();
  const [second] = await until("the agent's restart is told", () =>
    told("agent_restarted").length > 0 ? told("agent_restarted") : null,
  );
  expect(second!.seq).toBe(2);
  const { request } = peer.beats.at(-1)!;
  expect(request.notices.map(({ seq }) => seq)).toEqual([1, 2]);
  peer.noticeAck = 1;
  await until("the first is told no more", () => peer.beats.at(-1)!.request.notices[0]?.seq === 2);
  peer.noticeAck = 2;
  await until("nothing is left to tell", () => peer.beats.at(-1)!.request.notices.length === 0);
  await world.killAgent("SIGTERM");
  peer.beats.length = 0;
  await world.startAgent();
  await until("a third one", () => peer.beats.at(-1)?.request.notices.some(({ seq }) => seq === 3));
  expect(peer.notices().map(({ seq, kind }) => `${seq} ${kind}`)).toEqual(["3 agent_restarted"]);
  // A control plane that knows of more than this disk remembers is followed.
  peer.noticeAck = 40;
  process.kill(JSON.parse(readFileSync(join(world.dir, GATEWAY_PID_FILE), "utf8")).pid, "SIGKILL");
  await until("it goes on behind that", () =>
    peer.notices().some(({ seq, kind }) => seq > 40 && kind === "gateway_restarted"),
  );
});

test("a gateway whose port is taken is a condition, until it can have it", async () => {
  await world.close();
  world = await makeWorld("docker", { heartbeatMs: 300, heartbeatJitterMs: 0 }, false);
  const { peer } = world;
  const squatter = createServer();
  await new Promise<void>((resolve) => squatter.listen(world.gatewayPort, "127.0.0.1", resolve));
  await world.startAgent();
  await until("the condition", () => peer.conditions().includes("gateway_down"));
  expect(peer.beats.at(-1)!.request.gatewayReady).toBe(false);
  await new Promise((resolve) => squatter.close(resolve));
  await until("it ends", () => peer.beats.at(-1)!.request.gatewayReady && peer.conditions().length === 0);
});
