// An agent that starts while its Engine is away: it is heard at once, says why, stops nothing, and takes up what runs later.
import { connect, createServer, type Server, type Socket } from "node:net";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { readEndpoints } from "../../../node-agent/agent/gateway-child/endpoint-writer.ts";
import { desired, docker, ensureBoxImage, makeWorld, networkAnswer, until, untilStatus, type World } from "./world.ts";

const ENGINE = "/var/run/docker.sock";
const QUICK = { heartbeatMs: 300, heartbeatJitterMs: 0 };

/** The way to the Engine. mute: it takes connections and never answers, as a socket does whose daemon is being started. */
class Way {
  readonly dir = mkdtempSync(join(tmpdir(), "berth-way-"));
  readonly socket = join(this.dir, "docker.sock");
  #server: Server | null = null;
  #open = new Set<Socket>();

  async be(kind: "closed" | "mute" | "bridged"): Promise<void> {
    for (const socket of this.#open) socket.destroy();
    const before = this.#server;
    if (before !== null) await new Promise((resolve) => before.close(resolve));
    this.#server = null;
    if (kind === "closed") return;
    const server = createServer((socket) => {
      const ends = kind === "mute" ? [socket] : [socket, connect(ENGINE)];
      for (const end of ends) {
        this.#open.add(end);
        end.on("error", () => undefined);
        end.on("close", () => {
          this.#open.delete(end);
          for (const other of ends) other.destroy();
        });
      }
      if (ends[1] !== undefined) socket.pipe(ends[1]).pipe(socket);
    });
    await new Promise<void>((resolve) => server.listen(this.socket, resolve));
    this.#server = server;
  }
}

let way: Way;
let world: World;
beforeAll(() => ensureBoxImage());
beforeEach(() => {
  way = new Way();
});
afterEach(async () => {
  expect(world.peer.faults).toEqual([]);
  await way.be("bridged");
  await world.close();
  await way.be("closed");
  rmSync(way.dir, { recursive: true, force: true });
});

const containerOf = async (instance: string) =>
  (await docker.listContainers({ all: true, filters: { label: [`berth.instance=${instance}`] } }))[0];

for (const kind of ["closed", "mute"] as const) {
  test(`with an Engine whose socket is ${kind} it beats at once with the cause, and takes up its containers once it is back`, async () => {
    await way.be("bridged");
    world = await makeWorld("docker", QUICK, true, { DOCKER_HOST: `unix://${way.socket}` });
    const { peer } = world;
    const [stays, leaves] = [desired(), desired()];
    peer.publish([stays, leaves]);
    for (const { instance } of [stays, leaves]) await untilStatus(world, instance, "ready");
    const before = [await containerOf(stays.instance), await containerOf(leaves.instance)].map((at) => at?.Id);
    const { host, port } = (await readEndpoints(world.dir))!.instances.find((row) => row.instance === stays.instance)!;
    await world.killAgent("SIGKILL");
    await way.be(kind);
    peer.beats.length = 0;
    // What leaves the document meanwhile must not be taken for stopped: nobody can know.
    peer.publish([stays]);
    await world.startAgent();
    const atMs = performance.now();
    await until("a heartbeat", () => peer.beats.length > 0);
    await until("its cause", () => peer.conditions().includes("engine_down"));
    expect(performance.now() - atMs).toBeLessThan(40_000);
    expect(peer.beats.at(-1)!.request.conditions[0]!.message).toContain("the Docker Engine does not answer");
    const beats = peer.beats.length;
    await until("more heartbeats", () => peer.beats.length > beats + 3);
    await until("the gateway is looked after meanwhile", () => peer.beats.at(-1)!.request.gatewayReady);
    for (const { request } of peer.beats) expect([request.ackRevision, request.observed]).toEqual([0, []]);
    expect(await networkAnswer(host, port, "/")).toContain("hello");
    expect([await containerOf(stays.instance), await containerOf(leaves.instance)].map((at) => at?.State)).toEqual([
      "running",
      "running",
    ]);
    await way.be("bridged");
    await until("the condition ends", () => peer.conditions().length === 0);
    await untilStatus(world, stays.instance, "ready");
    await untilStatus(world, leaves.instance, "stopped");
    expect(peer.observed(stays.instance)).toMatchObject({ restarts: 0 });
    expect((await containerOf(stays.instance))?.Id).toBe(before[0]);
    expect(await containerOf(leaves.instance)).toBeUndefined();
    const told = peer.notices().map((notice) => notice.kind);
    expect(told).toContain("engine_restarted");
    expect(told).toContain("agent_restarted");
  });
}

test("a strict singleton keeps its lease while the Engine is away, and one whose lease ran out before ends when it is back", async () => {
  const strictTuning = { strictStopMs: 8_000, strictHungMs: 60_000, strictGraceMs: 200, strictWatchMs: 50 };
  await way.be("bridged");
  world = await makeWorld("docker", { ...QUICK, ...strictTuning }, true, { DOCKER_HOST: `unix://${way.socket}` });
  const { peer } = world;
  const wanted = desired({ singleton: "strict" });
  peer.leaseCommitted = true;
  peer.publish([wanted]);
  await untilStatus(world, wanted.instance, "ready");
  const id = (await containerOf(wanted.instance))?.Id;
  await world.killAgent("SIGKILL");
  await way.be("closed");
  await world.startAgent();
  await until("its cause", () => peer.conditions().includes("engine_down"));
  // Longer than a lease.
  await new Promise((resolve) => setTimeout(resolve, 9_000));
  await way.be("bridged");
  await untilStatus(world, wanted.instance, "ready");
  expect((await containerOf(wanted.instance))?.Id).toBe(id);
  expect(peer.observed(wanted.instance)?.restarts).toBe(0);
  // Now no lease is committed for a while, in which nobody can look; what is committed later mends nothing.
  await world.killAgent("SIGKILL");
  await way.be("closed");
  peer.leaseCommitted = false;
  await world.startAgent();
  await until("its cause", () => peer.conditions().includes("engine_down"));
  await new Promise((resolve) => setTimeout(resolve, 9_000));
  peer.leaseCommitted = true;
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  await way.be("bridged");
  const { status } = await untilStatus(world, wanted.instance, "failed");
  expect(status).toMatchObject({ failure: { code: "fenced" } });
});
