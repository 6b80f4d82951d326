// Counters of watched apps: what the meter tells never falls, whatever dies; and the real agent tells it with every heartbeat.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";
import { type InstanceCounters, WATCHED_MAX } from "../../../contracts/agent-protocol.ts";
import { LATENCY_BUCKETS_MS } from "../../../contracts/analysis.ts";
import type { DesiredInstance } from "../../../contracts/desired.ts";
import { AGENT_LIMITS } from "../../../core/converge/limits.ts";
import { Meter } from "../../../node-agent/agent/metering/meter.ts";
import type { Unit } from "../../../node-agent/agent/runtime/runtime.ts";
import type { GatewayCounters } from "../../../node-agent/endpoint-file.ts";
import { ticketFor } from "./ticket-for.ts";
import { desired, makeBundle, makeWorld, SERVER_JS, until, untilStatus, type World } from "./world.ts";

const folders: string[] = [];
let world: World | null = null;
afterEach(async () => {
  await world?.close();
  world = null;
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

function folder(): string {
  const dir = mkdtempSync(join(tmpdir(), "berth-meter-"));
  folders.push(dir);
  return dir;
}
const unitOf = (at: DesiredInstance, life = "life-1") =>
  ({ ...at, life, startedAtMs: 0, pid: 1, exit: null }) as unknown as Unit;

/** So many requests, half of them below 1 ms and half of them slower than anything. */
function seen(startId: string, units: readonly DesiredInstance[], requests: number): GatewayCounters {
  const latency = [requests / 2, ...LATENCY_BUCKETS_MS.map(() => 0)];
  latency[LATENCY_BUCKETS_MS.length] = requests / 2;
  const status = { s1xx: 0, s2xx: requests, s3xx: 0, s4xx: 0, s5xx: 0 };
  const instances = units.map(({ instance, generation }) => ({
    ...{ instance, generation, requests, status, bytesIn: requests, bytesOut: requests, latency, open: 0 },
  }));
  return { startId, instances };
}
const told = (meter: Meter, app: string): InstanceCounters[] => meter.watched(new Set([app]));

test("what was told of a watched app never falls: neither when the gateway died, nor when the agent did, nor when both did", async () => {
  const dir = folder();
  const one = desired();
  const watch = new Set<string>([one.app]);
  const totals: [number, number, number][] = [];
  const tell = async (meter: Meter) => {
    await meter.saveWatched(watch);
    const [counters] = told(meter, one.app);
    totals.push([counters!.requests, counters!.latency[0]!, counters!.latency.at(-1)!]);
  };
  let meter = await Meter.open(dir, AGENT_LIMITS);
  meter.know(unitOf(one));
  await tell(meter);
  meter.traffic(seen("gateway-1", [one], 10));
  await tell(meter);
  // The gateway died.
  meter.traffic(seen("gateway-2", [one], 4));
  await tell(meter);
  // The agent died, without a word: the same gateway counts on.
  meter = await Meter.open(dir, AGENT_LIMITS);
  expect(told(meter, one.app), "before the gateway was asked").toEqual([]);
  meter.traffic(seen("gateway-2", [one], 6));
  await tell(meter);
  // Both died.
  meter = await Meter.open(dir, AGENT_LIMITS);
  meter.traffic(seen("gateway-3", [one], 2));
  await tell(meter);
  expect(totals).toEqual([
    [0, undefined, undefined],
    [10, 5, 5],
    [14, 7, 7],
    [16, 8, 8],
    [18, 9, 9],
  ]);
});

test("an account that has left with its last row does not come back with the file of watched ones", async () => {
  const dir = folder();
  const one = desired();
  const limits = { ...AGENT_LIMITS, meteringMs: 0 };
  const before = await Meter.open(dir, limits);
  before.know(unitOf(one));
  before.traffic(seen("gateway-1", [one], 10));
  await before.saveWatched(new Set([one.app]));
  before.close(one);
  before.tick(1_000);
  await before.save();
  const after = await Meter.open(dir, limits);
  expect(after.pending()).toHaveLength(1);
  await after.saveWatched(new Set([one.app]));
  expect(told(after, one.app)).toEqual([]);
  after.tick(2_000);
  expect(after.pending()[1]?.instances).toEqual([]);
});

test("of more watched instances than a heartbeat takes, each has its turn", async () => {
  const meter = await Meter.open(folder(), AGENT_LIMITS);
  const many = Array.from({ length: WATCHED_MAX + 500 }, () => desired());
  for (const one of many) meter.know(unitOf(one));
  await meter.saveWatched(new Set([many[0]!.app]));
  const heard = new Set<string>();
  for (let beat = 0; beat < 2; beat += 1) {
    const counters = told(meter, many[0]!.app);
    expect(counters.length).toBe(WATCHED_MAX);
    for (const { instance } of counters) heard.add(instance);
  }
  expect(heard.size).toBe(many.length);
});

test("heartbeats tell of watched apps alone what went through the gateway, over the deaths of agent and gateway", async () => {
  world = await makeWorld("process", { heartbeatMs: 200 });
  const { peer, gatewayPort, dir } = world;
  const bundle = await makeBundle({ "index.js": SERVER_JS });
  peer.bundles.set(bundle.hash, bundle.bytes);
  const wanted = desired({ source: { kind: "bundle", hash: bundle.hash } });
  peer.publish([wanted]);
  await untilStatus(world, wanted.instance, "ready");
  const ask = async (times: number) => {
    for (let time = 0; time < times; time += 1) {
      const headers = { "berth-ticket": await ticketFor(peer, wanted) };
      expect((await fetch(`http://127.0.0.1:${gatewayPort}/`, { headers })).status).toBe(200);
    }
  };
  const serves = (since: number) =>
    until("the gateway", () => peer.beats.length > since && peer.beats.at(-1)?.request.gatewayReady);
  const requests = () => peer.beats.at(-1)?.request.watched[0]?.requests;
  await serves(0);
  await ask(3);
  const beats = peer.beats.length;
  await until("two beats", () => peer.beats.length > beats + 1);
  expect(peer.beats.every(({ request }) => request.watched.length === 0)).toBe(true);
  peer.publish([wanted], { watch: [wanted.app] });
  await until("three requests", () => requests() === 3);
  await ask(2);
  await until("five requests", () => requests() === 5);
  process.kill(JSON.parse(readFileSync(join(dir, "gateway.pid"), "utf8")).pid, "SIGKILL");
  await world.killAgent("SIGKILL");
  const told = peer.beats.length;
  await world.startAgent();
  await serves(told);
  await ask(2);
  await until("seven requests", () => requests() === 7);
  const counts = peer.beats.flatMap(({ request }) => request.watched);
  const totals = counts.map((counters) => counters.requests);
  expect(totals).toEqual([...totals].sort((a, b) => a - b));
  for (const { latency, requests: all } of counts) {
    expect(latency.reduce((sum, count) => sum + count, 0)).toBe(all);
    expect(latency.length === 0 || latency.length === LATENCY_BUCKETS_MS.length + 1).toBe(true);
  }
  expect(counts.at(-1)!.status).toMatchObject({ s2xx: 7, s5xx: 0 });
  peer.publish([wanted], { watch: [] });
  const { revision } = peer.document;
  await until("nobody watches", () => {
    const { ackRevision, watched } = peer.beats.at(-1)!.request;
    return ackRevision === revision && watched.length === 0;
  });
  // What nobody watched is told as a beginning: never the old number first, as if the rest had come just now.
  await pause(1_500);
  await ask(5);
  const before = peer.beats.length;
  peer.publish([wanted], { watch: [wanted.app] });
  await until("twelve requests", () => requests() === 12);
  const again = peer.beats.slice(before).flatMap(({ request }) => request.watched.map((counters) => counters.requests));
  expect(new Set(again)).toEqual(new Set([12]));
});
