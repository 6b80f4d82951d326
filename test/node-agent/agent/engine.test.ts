// The Docker Engine is restarted under a running agent: with live-restore nothing ends, without it everything is back at once.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { readStat } from "../../../node-agent/agent/state/process-id.ts";
import { type OwnEngine, startOwnEngine } from "./own-engine.ts";
import { desired, makeBoxImage, makeWorld, networkAnswer, shell, until, untilStatus, type World } from "./world.ts";

let engine: OwnEngine;
let world: World;

async function begin(liveRestore: boolean, tuning: Record<string, number> = {}): Promise<void> {
  engine = await startOwnEngine({ liveRestore });
  await makeBoxImage("berth-test/box:1", "hello from a box\n", engine.docker);
  world = await makeWorld("docker", { heartbeatMs: 300, heartbeatJitterMs: 0, ...tuning }, true, engine.environment);
}
afterEach(async () => {
  expect(world.peer.faults).toEqual([]);
  await world.close();
  await engine.close();
});

const row = () => JSON.parse(readFileSync(join(world.dir, "endpoints.json"), "utf8")).instances[0];
const ours = () => engine.docker.listContainers({ filters: { label: [`berth.node=${world.peer.node}`] } });
const told = () => world.peer.notices().map(({ kind }) => kind);

test("with live-restore containers, traffic and their restart counts outlive dockerd, and the agent is connected again", async () => {
  await begin(true);
  const { peer } = world;
  const script =
    "i=0; while true; do echo tick $i; i=$((i+1)); sleep 0.2; done & exec /bin/busybox httpd -f -p 8080 -h /www";
  const wanted = desired({ command: shell(script) });
  peer.publish([wanted]);
  await untilStatus(world, wanted.instance, "ready");
  const [before] = await ours();
  const { host, port, logPath } = row();
  await engine.end("SIGTERM");
  await until("engine_down is told", () => peer.conditions().includes("engine_down"));
  expect(await networkAnswer(host, port, "/")).toContain("hello");
  expect(peer.observed(wanted.instance)?.status.kind).toBe("ready");
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  await engine.start();
  await until("the condition ends", () => peer.conditions().length === 0);
  await until("the restart is told", () => told().includes("engine_restarted"));
  expect((await ours()).map(({ Id }) => Id)).toEqual([before!.Id]);
  expect(peer.observed(wanted.instance)).toMatchObject({ restarts: 0, status: { kind: "ready" } });
  expect(new Set(peer.history(wanted.instance).slice(-2))).toContain("ready");
  // What it says is read on, each line once.
  const length = readFileSync(logPath, "utf8").length;
  await until("it is read along again", () => readFileSync(logPath, "utf8").length > length + 200);
  const ticks = [...readFileSync(logPath, "utf8").matchAll(/"tick (\d+)"/g)].map((match) => Number(match[1]));
  expect(ticks).toEqual(ticks.map((_, index) => index));
  // An agent that starts while the Engine is away waits for it, and does not run things in another way meanwhile.
  await world.killAgent("SIGKILL");
  await engine.end("SIGTERM");
  await world.startAgent();
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  expect(world.agent.exitCode).toBeNull();
  await until("it is heard all the same", () => peer.conditions().includes("engine_down"));
  peer.beats.length = 0;
  await engine.start();
  await untilStatus(world, wanted.instance, "ready");
  expect(peer.history(wanted.instance)).toEqual(["ready"]);
  expect(peer.observed(wanted.instance)).toMatchObject({ restarts: 0 });
  expect((await ours()).map(({ Id }) => Id)).toEqual([before!.Id]);
});

test("while dockerd is down a strict singleton ends in time all the same", async () => {
  await begin(true, {
    heartbeatMs: 200,
    strictStopMs: 6_000,
    strictHungMs: 1_000,
    strictGraceMs: 200,
    strictWatchMs: 50,
  });
  const { peer } = world;
  const [strict, neighbour] = [desired({ singleton: "strict" }), desired()];
  peer.leaseCommitted = true;
  peer.publish([strict, neighbour]);
  for (const { instance } of [strict, neighbour]) await untilStatus(world, instance, "ready");
  const pids = new Map<string, number>();
  for (const { Id, Labels } of await ours()) {
    pids.set(Labels["berth.instance"]!, (await engine.docker.getContainer(Id).inspect()).State.Pid);
  }
  await engine.end("SIGTERM");
  peer.leaseCommitted = false;
  const sinceMs = peer.beats.at(-1)!.atMs;
  await until("its end", async () => (await readStat(pids.get(strict.instance)!)) === null);
  expect(performance.now() - sinceMs).toBeLessThan(6_000 + 1_000 + 5_000);
  expect(await readStat(pids.get(neighbour.instance)!)).not.toBeNull();
  await engine.start();
  await untilStatus(world, strict.instance, "failed");
  await until("the notice", () => told().includes("singleton_fenced"));
  expect(told().filter((kind) => kind === "singleton_fenced")).toHaveLength(1);
  await untilStatus(world, neighbour.instance, "ready");
});

for (const signal of ["SIGTERM", "SIGKILL"] as const) {
  test(`without live-restore what ended with dockerd (${signal}) runs again as soon as it is back, and was no crash`, async () => {
    await begin(false);
    const { peer } = world;
    const both = [desired(), desired()];
    peer.publish(both);
    for (const { instance } of both) await untilStatus(world, instance, "ready");
    await engine.end(signal);
    await until("engine_down is told", () => peer.conditions().includes("engine_down"));
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    await engine.start();
    const backAtMs = performance.now();
    for (const { instance } of both) {
      await until(
        () => `${instance} is back: ${JSON.stringify(peer.observed(instance))}`,
        () => peer.observed(instance)?.restarts === 1 && peer.observed(instance)?.status.kind === "ready",
      );
    }
    // No backoff: that of a crash would be counted below.
    expect(performance.now() - backAtMs).toBeLessThan(30_000);
    expect((await ours()).length).toBe(2);
    expect(told()).toContain("engine_restarted");
    const facts = JSON.parse(readFileSync(join(world.dir, "supervision.json"), "utf8"));
    expect(facts.map(({ crashes }: { crashes: number }) => crashes)).toEqual([0, 0]);
    await until("the condition ends", () => peer.conditions().length === 0);
  });
}
