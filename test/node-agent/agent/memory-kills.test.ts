// Containers whose processes the kernel ends for want of memory, on a real Engine: one that loses a worker lives on, one that does nothing
// else is ended, with words and a pause that grows.
import { typeid } from "typeid-js";
import { afterAll, beforeAll, expect, test } from "vitest";
import { MemoryKills } from "../../../node-agent/agent/runtime/docker/memory-kills.ts";
import { desired, docker, ensureBoxImage, HTTPD, makeWorld, shell, until, untilStatus, type World } from "./world.ts";

const MIB = 1024 * 1024;
const resources = { cpuMilli: 1_000, memoryBytes: 24 * MIB, diskBytes: MIB, pids: 64 };
let world: World;

beforeAll(async () => {
  await ensureBoxImage();
  world = await makeWorld("docker", { heartbeatMs: 300, heartbeatJitterMs: 0 });
});
afterAll(async () => {
  await world?.close();
  expect(world.peer.faults).toEqual([]);
});

const containerOf = (instance: string) =>
  until("its container runs", async () => {
    const [found] = await docker.listContainers({ filters: { label: [`berth.instance=${instance}`] } });
    return found ?? null;
  });

test("one that fills and loses its memory all the time is ended with words; one that lost a worker serves on", async () => {
  const { peer } = world;
  const serving = `exec ${HTTPD.join(" ")}`;
  const mishap = desired({
    ...{ team: typeid("team").toString(), resources },
    command: shell(`( /bin/busybox tail /dev/zero; echo the worker is gone ) & ${serving}`),
  });
  const hog = desired({
    ...{ team: typeid("team").toString(), resources },
    command: shell(`( while :; do /bin/busybox tail /dev/zero; done ) & ${serving}`),
  });
  peer.publish([mishap, hog]);
  const ended = await until(
    () => `the hog is ended; it was ${JSON.stringify(peer.history(hog.instance))}`,
    () => {
      const seen = peer.beats.flatMap(({ request }) => request.observed);
      const found = seen.find(({ instance, status }) => instance === hog.instance && status.kind === "backoff");
      return found?.status.kind === "backoff" ? found.status : null;
    },
    60_000,
  );
  expect(ended.failure).toMatchObject({
    code: "out_of_memory",
    message:
      "processes of it were killed for using more memory than its limit of 24 MiB: more than 3 of them at once, and than 1 a minute",
  });
  await until("it is begun anew", () => (peer.observed(hog.instance)?.restarts ?? 0) > 0, 60_000);
  await untilStatus(world, mishap.instance, "ready");
  const { Id } = await containerOf(mishap.instance);
  await until("its worker was killed", async () => {
    const log = await docker.getContainer(Id).logs({ stdout: true, stderr: true });
    return log.toString().includes("the worker is gone");
  });
  expect(peer.observed(mishap.instance)).toMatchObject({ restarts: 0, status: { kind: "ready" } });
});

test("so many at once and so many a minute are let pass, of each container by itself and of each life anew", () => {
  let nowMs = 0;
  const over: string[] = [];
  const limits = { memoryKillsMax: 3, memoryKillsPerMinuteMax: 1 };
  const kills = new MemoryKills({ limits, over: (id) => over.push(id), nowMs: () => nowMs });
  for (let n = 0; n < 3; n += 1) for (const id of ["one", "other"]) kills.happened(id);
  expect(over).toEqual([]);
  kills.happened("one");
  expect(over).toEqual(["one"]);
  kills.forget("one");
  for (let n = 0; n < 3; n += 1) kills.happened("one");
  expect(over).toEqual(["one"]);
  // One in a minute for as long as it likes, and no more than that.
  for (let minute = 1; minute <= 60; minute += 1) {
    nowMs = minute * 60_000;
    kills.happened("other");
  }
  expect(over).toEqual(["one"]);
  kills.happened("other");
  expect(over).toEqual(["one", "other"]);
});
