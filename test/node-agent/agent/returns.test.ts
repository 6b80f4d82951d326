// A node that returns: what was replaced meanwhile is stopped before it gets traffic, and silence keeps nothing down for ever.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeAll, expect, test } from "vitest";
import {
  desired,
  docker,
  ensureBoxImage,
  makeWorld,
  networkAnswer,
  shell,
  until,
  untilStatus,
  type World,
} from "./world.ts";

let world: World;
beforeAll(() => ensureBoxImage());
afterEach(async () => {
  expect(world.peer.faults).toEqual([]);
  await world.close();
});

const QUICK = { heartbeatMs: 300, heartbeatJitterMs: 0 };
const rows = (): { instance: string; state: string; host: string; port: number }[] =>
  JSON.parse(readFileSync(join(world.dir, "endpoints.json"), "utf8")).instances;
const stateOf = (instance: string) => rows().find((row) => row.instance === instance)?.state;
const containerOf = async (instance: string) =>
  (await docker.listContainers({ all: true, filters: { label: [`berth.instance=${instance}`] } }))[0];
const told = (kind: string) => world.peer.notices().filter((notice) => notice.kind === kind);
/** Long enough to see a container that is held back, however long its start takes. */
const HOLD_MS = 12_000;
const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Every state that the endpoint file showed of an instance until `done`. */
async function statesUntil(instance: string, done: () => boolean | Promise<boolean>): Promise<Set<string | undefined>> {
  const seen = new Set<string | undefined>();
  for (const untilMs = performance.now() + 60_000; !(await done());) {
    if (performance.now() > untilMs) throw new Error(`saw ${[...seen].join()} of ${instance}`);
    seen.add(stateOf(instance));
    await wait(2);
  }
  return seen;
}

test("what was taken away while the agent was gone is never started, and what still runs is stopped and told as stale", async () => {
  world = await makeWorld("docker", QUICK);
  const { peer } = world;
  const [stays, ended, runs] = [desired(), desired(), desired()];
  peer.publish([stays, ended, runs]);
  for (const { instance } of [stays, ended, runs]) await untilStatus(world, instance, "ready");
  await world.killAgent("SIGKILL");
  await docker.getContainer((await containerOf(ended.instance))!.Id).kill();
  peer.publish([stays]);
  const beats = peer.beats.length;
  await world.startAgent();
  const seen = await statesUntil(
    ended.instance,
    () => peer.beats.at(-1)!.request.ackRevision === peer.document.revision,
  );
  // The file of the agent before may be seen at first: its container was dead by then.
  const after = await statesUntil(ended.instance, () => stateOf(ended.instance) === undefined);
  await untilStatus(world, ended.instance, "stopped");
  await untilStatus(world, runs.instance, "stopped");
  expect([...after].filter((state) => state === "serving")).toEqual([]);
  expect(seen.has("draining")).toBe(false);
  expect(await containerOf(ended.instance)).toBeUndefined();
  const restarts = peer.beats.slice(beats).flatMap(({ request }) => request.observed.map((one) => one.restarts));
  expect(new Set(restarts)).toEqual(new Set([0]));
  await until("it is told", () => told("stale_stopped").length === 2);
  const stale = told("stale_stopped").map(({ instance }) => instance);
  expect(new Set(stale)).toEqual(new Set([ended.instance, runs.instance]));
  expect(peer.observed(stays.instance)).toMatchObject({ restarts: 0, status: { kind: "ready" } });
});

test("with a silent control plane what runs serves on, and what is started anew serves once no edge can name the past", async () => {
  world = await makeWorld("docker", { ...QUICK, leaseMs: 200, returnHoldMs: HOLD_MS });
  const { peer } = world;
  const [runs, dies] = [desired(), desired()];
  peer.publish([runs, dies]);
  await untilStatus(world, runs.instance, "ready");
  await untilStatus(world, dies.instance, "ready");
  peer.down = 503;
  await world.killAgent("SIGKILL");
  await docker.getContainer((await containerOf(dies.instance))!.Id).kill();
  await wait(400);
  await world.startAgent();
  const startedAtMs = performance.now();
  await until("it runs again", async () => (await containerOf(dies.instance))?.State === "running");
  const row = await until("its row", () =>
    rows().find((at) => at.instance === dies.instance && at.host !== "127.0.0.1"),
  );
  expect(await networkAnswer(row.host, row.port, "/")).toContain("hello");
  expect(stateOf(dies.instance)).toBe("starting");
  expect(stateOf(runs.instance)).toBe("serving");
  const ofTheOther = await statesUntil(runs.instance, () => stateOf(dies.instance) === "serving");
  expect(performance.now() - startedAtMs).toBeGreaterThan(HOLD_MS - 500);
  expect([...ofTheOther]).toEqual(["serving"]);
});

test("what was replaced while the node was cut off stops as soon as it is back, and is told as stale; what is stopped in passing is not", async () => {
  world = await makeWorld("docker", { ...QUICK, leaseMs: 5_000, pollBackoffMinMs: 100, pollBackoffMaxMs: 200 });
  const { peer } = world;
  const [stays, planned, replaced] = [desired(), desired({ stopGraceMs: 0 }), desired({ stopGraceMs: 0 })];
  peer.publish([stays, planned, replaced]);
  for (const { instance } of [stays, planned, replaced]) await untilStatus(world, instance, "ready");
  peer.publish([stays, replaced]);
  await untilStatus(world, planned.instance, "stopped");
  peer.down = 503;
  peer.wake();
  await wait(6_500);
  expect(stateOf(replaced.instance)).toBe("serving");
  peer.document = { ...peer.document, revision: peer.document.revision + 1, instances: [stays] };
  peer.down = null;
  await untilStatus(world, replaced.instance, "stopped");
  await until("it is told", () => told("stale_stopped").length > 0);
  expect(told("stale_stopped").map(({ instance }) => instance)).toEqual([replaced.instance]);
  expect(peer.observed(stays.instance)).toMatchObject({ restarts: 0, status: { kind: "ready" } });
});

test("one answer is enough: what is started anew serves as soon as it is ready", async () => {
  world = await makeWorld("docker", { ...QUICK, leaseMs: 200 });
  const { peer } = world;
  const dies = desired();
  peer.publish([dies]);
  await untilStatus(world, dies.instance, "ready");
  await world.killAgent("SIGKILL");
  await docker.getContainer((await containerOf(dies.instance))!.Id).kill();
  await wait(400);
  await world.startAgent();
  await until(
    "it serves again",
    () => peer.observed(dies.instance)?.restarts === 1 && stateOf(dies.instance) === "serving",
  );
});

test("a backoff, its cause and its count outlive the agent", async () => {
  world = await makeWorld("docker", { ...QUICK, restartBackoffMinMs: 10_000 });
  const { peer } = world;
  const wanted = desired({ command: shell("echo it hurts >&2; exit 3") });
  peer.publish([wanted]);
  const before = await until("a backoff that lasts", () => {
    const seen = peer.observed(wanted.instance);
    return seen?.status.kind === "backoff" && seen.restarts === 1 ? { ...seen, status: seen.status } : null;
  });
  await world.killAgent("SIGKILL");
  peer.beats.length = 0;
  await world.startAgent();
  const after = await until("the first word on it", () => peer.observed(wanted.instance));
  expect(after).toMatchObject({ restarts: 1, status: { kind: "backoff" } });
  expect(after.status).toEqual(before.status);
  expect(after.status).toMatchObject({ failure: { code: "exited", exitCode: 3 } });
  // The count goes on: the end after the next one is the third in a row.
  await until("the next try", () => (peer.observed(wanted.instance)?.restarts ?? 0) === 2);
  const third = await until("its end", () => {
    const seen = peer.observed(wanted.instance);
    return seen?.restarts === 2 && seen.status.kind === "backoff" ? seen.status : null;
  });
  expect(third.retryAtMs - peer.nowMs()).toBeGreaterThan(10_000);
});
