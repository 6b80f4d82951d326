// Strict singletons (invariant 4): no lease, no run; by the agent, or by the watchdog where the agent is dead or hung.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeAll, expect, test } from "vitest";
import { ENDPOINT_FILE, EndpointFile } from "../../../node-agent/endpoint-file.ts";
import { readStat } from "../../../node-agent/agent/state/process-id.ts";
import {
  desired,
  docker,
  ensureBoxImage,
  makeBundle,
  makeWorld,
  runAgentCommand,
  SERVER_JS,
  until,
  untilStatus,
  type World,
} from "./world.ts";

/** Longer than an agent takes to be heard again on a busy machine. */
const STOP_MS = 6_000;
const HUNG_MS = 1_000;
const TUNING = {
  ...{ heartbeatMs: 200, heartbeatJitterMs: 0, heartbeatTimeoutMs: 1_000, leaseMs: 1_000 },
  ...{ strictStopMs: STOP_MS, strictHungMs: HUNG_MS, strictGraceMs: 200, strictWatchMs: 50 },
};
/** Of a loaded machine: in production 5 s are left between the stop and the replacement. */
const SLACK_MS = 5_000;
/** A lease counts from when the heartbeat was sent; here it is known when it had arrived. */
const ON_ITS_WAY_MS = 2_000;

let world: World;
beforeAll(() => ensureBoxImage());
afterEach(async () => {
  expect(world.peer.faults).toEqual([]);
  await world.close();
});

const pidFile = (name: string) => JSON.parse(readFileSync(join(world.dir, name), "utf8")).pid as number;
const fencedNotices = () => world.peer.notices().filter(({ kind }) => kind === "singleton_fenced");
const lastBeatMs = () => world.peer.beats.at(-1)!.atMs;

async function pidOf(instance: string): Promise<number | null> {
  if (world.peer.enrolments[0]?.runtime === "process") {
    return JSON.parse(readFileSync(join(world.dir, "instances", instance, "run.json"), "utf8")).process.pid;
  }
  const [found] = await docker.listContainers({ filters: { label: [`berth.instance=${instance}`] } });
  return found === undefined ? null : (await docker.getContainer(found.Id).inspect()).State.Pid;
}

/** Every state that the gateway is told of an instance, in their order, until it is stopped. */
function watchServing(instance: string): { stop(): Promise<string[]> } {
  const states: string[] = [];
  let stopped = false;
  const watching = (async () => {
    while (!stopped) {
      const { instances } = EndpointFile.parse(JSON.parse(readFileSync(join(world.dir, ENDPOINT_FILE), "utf8")));
      const state = instances.find((row) => row.instance === instance)?.state ?? "absent";
      if (state !== states.at(-1)) states.push(state);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  })();
  return {
    async stop() {
      stopped = true;
      await watching;
      return states;
    },
  };
}

/** A strict singleton and a neighbour, both ready. */
async function begin(runtime: "docker" | "process") {
  world = await makeWorld(runtime, TUNING);
  const { peer } = world;
  const bundle = await makeBundle({ "index.js": SERVER_JS });
  peer.bundles.set(bundle.hash, bundle.bytes);
  const source = runtime === "process" ? { source: { kind: "bundle", hash: bundle.hash } } : {};
  // Of a higher generation, so that an agent that comes back finds it first.
  const strict = desired({ ...source, singleton: "strict", generation: 2 });
  const neighbour = desired({ ...source });
  peer.publish([strict, neighbour]);
  await untilStatus(world, neighbour.instance, "ready");
  // Its lease is what it waits for.
  expect(peer.observed(strict.instance)?.status.kind ?? "absent").toMatch(/absent|pending/);
  peer.leaseCommitted = true;
  await untilStatus(world, strict.instance, "ready");
  const pid = (await pidOf(strict.instance))!;
  expect(await readStat(pid)).not.toBeNull();
  return { peer, strict, neighbour, pid, neighbourPid: (await pidOf(neighbour.instance))! };
}

/** Milliseconds from the last lease that was committed until the process is gone. */
async function untilGone(pid: number, sinceMs: number): Promise<number> {
  await until("the singleton's end", async () => (await readStat(pid)) === null);
  return performance.now() - sinceMs;
}

for (const runtime of ["docker", "process"] as const) {
  test(`without a committed lease a strict singleton ends in time, for good, and its neighbour runs on (${runtime})`, async () => {
    const { peer, strict, neighbour, pid, neighbourPid } = await begin(runtime);
    const sinceMs = lastBeatMs();
    peer.leaseCommitted = false;
    const tookMs = await untilGone(pid, sinceMs);
    expect(tookMs).toBeGreaterThan(STOP_MS - ON_ITS_WAY_MS);
    expect(tookMs).toBeLessThan(STOP_MS + SLACK_MS);
    const { status } = await untilStatus(world, strict.instance, "failed");
    expect(status).toMatchObject({ failure: { code: "fenced" } });
    await until("the notice", () => fencedNotices().length === 1);
    peer.leaseCommitted = true;
    await new Promise((resolve) => setTimeout(resolve, 800));
    expect(peer.observed(strict.instance)?.status.kind).toBe("failed");
    expect(peer.observed(neighbour.instance)).toMatchObject({ restarts: 0, status: { kind: "ready" } });
    expect(await readStat(neighbourPid)).not.toBeNull();
    // Its successor is another instance, and may run here.
    const next = desired({ ...neighbour, ...desired(), source: neighbour.source, singleton: "strict" });
    peer.publish([neighbour, next]);
    await untilStatus(world, next.instance, "ready");
    await until("the fenced one is told as stopped", () => peer.observed(strict.instance)?.status.kind === "stopped");
  });

  test(`kill -9 of the agent: the watchdog ends the strict singleton in time, and the next agent tells it once (${runtime})`, async () => {
    const { peer, strict, neighbour, pid, neighbourPid } = await begin(runtime);
    const watchdog = pidFile("watchdog.pid");
    await world.killAgent("SIGKILL");
    const tookMs = await untilGone(pid, lastBeatMs());
    expect(tookMs).toBeGreaterThan(STOP_MS - ON_ITS_WAY_MS);
    expect(tookMs).toBeLessThan(STOP_MS + SLACK_MS);
    expect(await readStat(neighbourPid)).not.toBeNull();
    expect(await readStat(watchdog)).not.toBeNull();
    // The lease is committed again at once: what had lapsed is over all the same.
    const serving = watchServing(neighbour.instance);
    await world.startAgent();
    const { status } = await untilStatus(world, strict.instance, "failed");
    expect(status).toMatchObject({ failure: { code: "fenced" } });
    await until("the notice", () => fencedNotices().length > 0);
    expect(fencedNotices()).toMatchObject([
      { instance: strict.instance, message: expect.stringContaining("watchdog") },
    ]);
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(peer.observed(strict.instance)?.status.kind).toBe("failed");
    expect(peer.observed(neighbour.instance)).toMatchObject({ restarts: 0, status: { kind: "ready" } });
    await world.killAgent("SIGKILL");
    await world.startAgent();
    const beats = peer.beats.length;
    await until("heartbeats of a third agent", () => peer.beats.length > beats + 3);
    expect(await serving.stop()).toEqual(["serving"]);
    expect(peer.observed(strict.instance)?.status.kind).toBe("failed");
    expect(fencedNotices()).toHaveLength(1);
  });
}

test("an agent that is back within the lease keeps its strict singleton running, and its watchdog", async () => {
  const { peer, strict, pid } = await begin("docker");
  const watchdog = pidFile("watchdog.pid");
  await world.killAgent("SIGKILL");
  await world.startAgent();
  const beats = peer.beats.length;
  await until("heartbeats", () => peer.beats.length > beats + 3);
  await new Promise((resolve) => setTimeout(resolve, STOP_MS + 500));
  expect(await readStat(pid)).not.toBeNull();
  expect(peer.observed(strict.instance)).toMatchObject({ restarts: 0, status: { kind: "ready" } });
  expect(pidFile("watchdog.pid")).toBe(watchdog);
  // A watchdog that dies is replaced; with nothing to watch it is no longer needed.
  process.kill(watchdog, "SIGKILL");
  await until("another watchdog", async () => {
    const pidNow = pidFile("watchdog.pid");
    return pidNow !== watchdog && (await readStat(pidNow)) !== null;
  });
  const second = pidFile("watchdog.pid");
  expect((await runAgentCommand("purge", world.dir)).exitCode).toBe(0);
  await until("purge ends the watchdog too", async () => (await readStat(second)) === null);
});

test("a hung agent does not keep a strict singleton alive, and what it does later changes nothing", async () => {
  const { peer, strict, pid } = await begin("docker");
  world.agent.kill("SIGSTOP");
  const tookMs = await untilGone(pid, lastBeatMs());
  expect(tookMs).toBeGreaterThan(STOP_MS + HUNG_MS - ON_ITS_WAY_MS);
  expect(tookMs).toBeLessThan(STOP_MS + HUNG_MS + SLACK_MS);
  world.agent.kill("SIGCONT");
  await untilStatus(world, strict.instance, "failed");
  await until("the notice", () => fencedNotices().length === 1);
  expect(peer.observed(strict.instance)?.restarts).toBe(0);
});

test("while the control plane is away a strict singleton ends and everything else runs on", async () => {
  const { peer, pid, neighbourPid } = await begin("docker");
  const sinceMs = lastBeatMs();
  peer.down = 503;
  expect(await untilGone(pid, sinceMs)).toBeLessThan(STOP_MS + SLACK_MS);
  expect(await readStat(neighbourPid)).not.toBeNull();
  peer.down = null;
  await until("the notice", () => fencedNotices().length === 1);
});
