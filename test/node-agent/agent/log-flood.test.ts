// What a container prints: bounded on the disk, and one that prints without end is ended, on a real Engine beside a neighbour of another team.
import { readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { typeid } from "typeid-js";
import { afterAll, beforeAll, expect, test } from "vitest";
import { LogBudget } from "../../../node-agent/agent/logs/log-budget.ts";
import { desired, docker, ensureBoxImage, HTTPD, makeWorld, shell, until, untilStatus, type World } from "./world.ts";

const MIB = 1024 * 1024;
/** What the Engine keeps (two files of 4 MiB), and what it may write before it looks at their size. */
const ENGINE_LOG_BYTES_MAX = 9 * MIB;
let world: World;

beforeAll(async () => {
  await ensureBoxImage();
  const tuning = { heartbeatMs: 300, heartbeatJitterMs: 0, logBurstBytesMax: 8 * MIB, logFileBytesMax: MIB };
  world = await makeWorld("docker", tuning);
});
afterAll(async () => {
  await world?.close();
  expect(world.peer.faults).toEqual([]);
});

const bytesIn = (folder: string, of: RegExp): number =>
  readdirSync(folder)
    .filter((name) => of.test(name))
    .reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);

test("a container that prints without end is ended with words, its log stays small, and its neighbour's comes through", async () => {
  const { peer, dir } = world;
  const neighbour = desired({ team: typeid("team").toString(), command: shell(`echo the neighbour; exec ${HTTPD.join(" ")}`) }); // prettier-ignore
  const flood = desired({
    team: typeid("team").toString(),
    command: shell("exec /bin/busybox yes a line of some length"),
  });
  peer.publish([neighbour, flood]);
  await untilStatus(world, neighbour.instance, "ready");
  const ended = await until(
    () => `the flood is ended; it is ${JSON.stringify(peer.observed(flood.instance))}`,
    () => {
      const seen = peer.beats.flatMap(({ request }) => request.observed);
      const found = seen.find(({ instance, status }) => instance === flood.instance && status.kind === "backoff");
      return found?.status.kind === "backoff" ? found.status : null;
    },
    30_000,
  );
  expect(ended.failure).toMatchObject({
    code: "log_flood",
    message: "it was ended for what it prints: more than 8 MiB at once, and than 1 MiB a second",
    logTail: expect.arrayContaining(["a line of some length"]),
  });
  const [container] = await docker.listContainers({
    all: true,
    filters: { label: [`berth.instance=${flood.instance}`] },
  });
  const { LogPath } = await docker.getContainer(container!.Id).inspect();
  expect(bytesIn(dirname(LogPath), /-json\.log/)).toBeLessThan(ENGINE_LOG_BYTES_MAX);
  expect(bytesIn(join(dir, "logs", flood.instance), /./)).toBeLessThan(3 * MIB);
  expect(bytesIn(join(dir, "logs", neighbour.instance), /./)).toBeGreaterThan(0);
  expect(peer.observed(neighbour.instance)?.status.kind).toBe("ready");
});

test("a budget lets a burst through, then so much a second, and counts short lines as work too", () => {
  const limits = { logBurstBytesMax: 10_000, logBytesPerSecondMax: 1_000 };
  const burst = new LogBudget(limits, 0);
  expect([burst.take(5_000, 0), burst.take(4_700, 0), burst.take(200, 0)]).toEqual([true, true, false]);
  const steady = new LogBudget(limits, 0);
  for (let second = 1; second <= 100; second += 1) expect(steady.take(900, second * 1_000)).toBe(true);
  const tooMuch = new LogBudget(limits, 0);
  const taken = Array.from({ length: 100 }, (_, second) => tooMuch.take(1_900, second * 1_000));
  expect(taken.indexOf(false)).toBe(9);
  const short = new LogBudget(limits, 0);
  expect(Array.from({ length: 101 }, () => short.take(0, 0)).filter(Boolean).length).toBe(100);
  // A clock that was set back earns nothing, and takes nothing.
  expect(new LogBudget(limits, 1_000).take(9_900, 0)).toBe(true);
});
