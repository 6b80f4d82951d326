// The agent's side of the protocol: enrolment, credentials, clocks, beats, and what it does when nobody answers.
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { AGENT_PROTOCOL } from "../../../contracts/agent-protocol.ts";
import { AGENT_LIMITS } from "../../../core/converge/limits.ts";
import { ControlClock, monotonicMs } from "../../../node-agent/agent/link/control-clock.ts";
import { renewalDueMs } from "../../../node-agent/agent/link/renewal.ts";
import { backoffMs } from "../../../node-agent/agent/link/pause.ts";
import { desired, makeBundle, makeWorld, SERVER_JS, until, untilStatus, type World } from "./world.ts";

let world: World | null = null;
afterEach(async () => {
  await world?.close();
  world = null;
});

const identity = () => JSON.parse(readFileSync(join(world!.dir, "identity.json"), "utf8"));

test("an enrolment whose answer was lost is tried again with the same keys", async () => {
  world = await makeWorld("process", {}, false);
  const { peer } = world;
  peer.loseEnrolments = 2;
  await world.startAgent();
  await until("a heartbeat", () => peer.beats.length > 0);
  expect(peer.enrolments).toHaveLength(3);
  expect(new Set(peer.enrolments.map(({ signKey, sealKey }) => `${signKey} ${sealKey}`)).size).toBe(1);
  expect(peer.enrolments[0]).toMatchObject({
    name: "n1",
    region: "local",
    failureDomain: "rack-1",
    runtime: "process",
  });
  expect(peer.enrolments[0]?.gatewayUrl).toBe(`http://127.0.0.1:${world.gatewayPort}`);
  expect(statSync(join(world.dir, "identity.json")).mode & 0o777).toBe(0o600);
  expect(identity().enrolled.node).toBe(peer.node);
  expect(peer.faults).toEqual([]);
});

test("keys are on disk before the first request leaves, and a kill between the two changes nothing", async () => {
  world = await makeWorld("process", {}, false);
  const { peer } = world;
  peer.down = 503;
  await world.startAgent();
  const keys = await until("the keys", () => {
    try {
      return identity();
    } catch {
      return null;
    }
  });
  await world.killAgent("SIGKILL");
  peer.down = null;
  await world.startAgent();
  await until("a heartbeat", () => peer.beats.length > 0);
  expect(identity().sign).toEqual(keys.sign);
  expect(peer.enrolments[0]?.sealKey).toBe(keys.seal.x);
});

test("a refused token ends the agent with the reason", async () => {
  world = await makeWorld("process", {}, false);
  const { peer } = world;
  await world.startAgent({ token: "wrong-token-of-16-chars" });
  await until("its end", () => world!.agent.exitCode !== null);
  expect(world.agent.exitCode).toBe(1);
  expect(readFileSync(world.logFile, "utf8")).toContain("join_token_unknown");
  expect(peer.enrolments).toEqual([]);
});

test("a second agent on the same folder is refused", async () => {
  world = await makeWorld("process");
  const { peer } = world;
  await until("a heartbeat", () => peer.beats.length > 0);
  const first = world.agent;
  await world.startAgent();
  await until("its end", () => world!.agent.exitCode !== null);
  expect(world.agent.exitCode).toBe(1);
  expect(readFileSync(world.logFile, "utf8")).toContain(`process ${first.pid} already runs`);
  world.agent = first;
});

test("a credential is renewed before it ends, and also when it was found to have ended", async () => {
  world = await makeWorld("process", { heartbeatMs: 200 }, false);
  const { peer } = world;
  peer.credentialTtlS = 3;
  await world.startAgent();
  await until("two renewals", () => peer.renewals >= 2);
  const before = identity().enrolled.credential;
  await world.killAgent("SIGKILL");
  await new Promise((resolve) => setTimeout(resolve, 3_200));
  peer.beats.length = 0;
  await world.startAgent();
  await until("a heartbeat", () => peer.beats.length > 1);
  expect(identity().enrolled.credential).not.toBe(before);
  expect(peer.faults).toEqual([]);
});

test("a control plane whose clock is an hour off is followed, from the first request on", async () => {
  world = await makeWorld("process", { heartbeatMs: 200 }, false);
  const { peer } = world;
  peer.clockOffsetMs = 3_600_000;
  await world.startAgent();
  await until("heartbeats", () => peer.beats.length > 3);
  const file = await until("the endpoint file", () => {
    const found = JSON.parse(readFileSync(join(world!.dir, "endpoints.json"), "utf8"));
    return Math.abs(found.controlMinusMonotonicMs + monotonicMs() - peer.nowMs()) < 200 ? found : null;
  });
  expect(file.ticketKeys).toHaveLength(1);
});

test("a control plane of the protocol before is spoken to in that, and once it is upgraded in the agent's own again", async () => {
  world = await makeWorld("process", { heartbeatMs: 200, protocolAgainMs: 500, socketRetryMaxMs: 1_000 }, false);
  const { peer } = world;
  peer.protocol = AGENT_PROTOCOL - 1;
  await world.startAgent();
  await until("heartbeats", () => peer.beats.length > 5);
  expect(new Set(peer.beats.map(({ request }) => request.protocol))).toEqual(new Set([AGENT_PROTOCOL - 1]));
  peer.publish([]);
  await until("the document", () => peer.beats.at(-1)?.request.ackRevision === peer.document.revision);
  // It has no sockets, and says so: it is asked again, seldom.
  await until("upgrades", () => peer.upgrades > 1);
  peer.protocol = AGENT_PROTOCOL;
  await until("the newer one", () => peer.beats.at(-1)?.request.protocol === AGENT_PROTOCOL);
  expect(peer.faults).toEqual([]);
});

test("heartbeats keep their beat, and keep on while polls back off", async () => {
  world = await makeWorld("process", { heartbeatMs: 400, heartbeatJitterMs: 20 });
  const { peer } = world;
  // A machine under load makes any of them late, and the next one seem early: what the agent itself waits is seen once there are ten
  // in a row of which more than a quarter are neither.
  const quartileMs = (): number => {
    const last = peer.beats.slice(-11);
    const gaps = last.slice(1).map(({ atMs }, index) => atMs - last[index]!.atMs);
    return gaps.toSorted((a, b) => a - b)[Math.floor(gaps.length / 4)]!;
  };
  const isInTime = () => quartileMs() > 350 && quartileMs() < 550;
  await until("ten heartbeats of which some are in time", () => peer.beats.length > 11 && isInTime(), 90_000);
  peer.down = 503;
  peer.wake();
  await until("heartbeats that fail", () => peer.refused.heartbeat > 40, 60_000);
  expect(peer.refused.poll).toBeLessThan(peer.refused.heartbeat / 3);
});

test("a poll in its backoff is brought back by the answer to a heartbeat that names a newer document", async () => {
  world = await makeWorld("process", { heartbeatMs: 400, pollBackoffMinMs: 300_000, pollBackoffMaxMs: 300_000 });
  const { peer } = world;
  await until("a heartbeat", () => peer.beats.length > 0);
  peer.down = 503;
  peer.wake();
  await until("a poll that fails", () => peer.refused.poll > 0);
  peer.down = null;
  peer.publish([]);
  await until("the document", () => peer.beats.at(-1)?.request.ackRevision === peer.document.revision);
});

test("a change is told at once, and waits for no beat", async () => {
  const heartbeatMs = 120_000;
  world = await makeWorld("process", { heartbeatMs, heartbeatJitterMs: 0 });
  const { peer } = world;
  await until("a heartbeat", () => peer.beats.length > 0);
  const bundle = await makeBundle({ "index.js": SERVER_JS });
  peer.bundles.set(bundle.hash, bundle.bytes);
  const wanted = desired({ source: { kind: "bundle", hash: bundle.hash } });
  peer.publish([wanted]);
  await untilStatus(world, wanted.instance, "ready", heartbeatMs / 2);
});

test("polls that are lost one after the other cost beats, not their time-out", async () => {
  world = await makeWorld("process", { heartbeatMs: 400 });
  const { peer } = world;
  await until("a heartbeat", () => peer.beats.length > 1);
  peer.losePolls = 3;
  peer.wake();
  await until("a lost poll", () => peer.losePolls < 3);
  const atMs = performance.now();
  peer.publish([]);
  const { revision } = peer.document;
  await until("the document", () => peer.beats.at(-1)!.request.ackRevision === revision);
  expect(peer.losePolls).toBe(0);
  expect(performance.now() - atMs).toBeLessThan(AGENT_LIMITS.pollTimeoutMs);
});

test("metering rows touch, never overlap, never fall, and are repeated until they are acknowledged", async () => {
  world = await makeWorld("process", { heartbeatMs: 200, meteringMs: 500, sampleMs: 100 });
  const { peer } = world;
  const bundle = await makeBundle({ "index.js": SERVER_JS });
  peer.bundles.set(bundle.hash, bundle.bytes);
  const wanted = desired({ source: { kind: "bundle", hash: bundle.hash } });
  peer.publish([wanted], { watch: [wanted.app] });
  await untilStatus(world, wanted.instance, "ready");
  await until("three rows, none acknowledged", () => (peer.beats.at(-1)?.request.metering.length ?? 0) >= 3);
  await world.killAgent("SIGKILL");
  await new Promise((resolve) => setTimeout(resolve, 6_000));
  await world.startAgent();
  const rows = await until("rows of both agents", () => {
    const found = peer.beats.at(-1)!.request.metering;
    return found.length >= 6 ? found : null;
  });
  expect(rows.map(({ seq }) => seq)).toEqual(rows.map((_, index) => index + 1));
  for (const [index, row] of rows.entries()) {
    if (index > 0) expect(row.fromMs).toBe(rows[index - 1]!.toMs);
    expect(row.toMs).toBeGreaterThan(row.fromMs);
  }
  const counted = rows.flatMap(({ instances }) => instances.filter(({ instance }) => instance === wanted.instance));
  const totals = counted.map(({ runningMs }) => runningMs);
  expect(totals).toEqual([...totals].sort((a, b) => a - b));
  // It ran on while no agent looked, and never longer than from its first row's time on; rows may be older than the instance.
  const first = rows.find(({ instances }) => instances.some(({ instance }) => instance === wanted.instance))!;
  const betweenMs = rows.at(-1)!.toMs - first.toMs;
  // Less than nobody looked: a busy machine takes its samples late.
  expect(totals.at(-1)! - totals[0]!).toBeGreaterThan(betweenMs - 4_000);
  expect(totals.at(-1)! - totals[0]!).toBeLessThan(betweenMs + 4_000);
  expect(counted.at(-1)!.memoryByteMs).toBeGreaterThan(0);
  expect(peer.beats.at(-1)!.request.watched[0]).toMatchObject({ instance: wanted.instance });
  peer.meteringAck = rows.at(-1)!.seq;
  await until("only newer rows", () => (peer.beats.at(-1)!.request.metering[0]?.seq ?? Infinity) > peer.meteringAck);
});

test("the clock trusts the shortest round trip and gives up samples that a step contradicts", () => {
  const clock = new ControlClock(0);
  const at = monotonicMs();
  clock.hear(10_000_000 + 50, at, at + 100);
  clock.hear(10_000_000 + 300, at + 300, at + 302);
  expect(Math.abs(clock.offsetMs - (10_000_000 - 1 - at))).toBeLessThan(1);
  clock.hear(10_000_000 + 1_300, at + 400, at + 1_400);
  expect(Math.abs(clock.offsetMs - (10_000_000 - 1 - at))).toBeLessThan(1);
  clock.hear(20_000_000, at + 500, at + 501);
  expect(Math.abs(clock.offsetMs - (20_000_000 - 500.5 - at))).toBeLessThan(1);
});

test("backoff is full jitter between its bounds, and obeys what it was asked to wait", () => {
  const waits = Array.from({ length: 500 }, (_, index) => backoffMs((index % 40) + 1, 1_000, 30_000, null));
  expect(Math.min(...waits)).toBeGreaterThanOrEqual(1_000);
  expect(Math.max(...waits)).toBeLessThanOrEqual(30_000);
  expect(new Set(waits.map((wait) => Math.round(wait / 1_000))).size).toBeGreaterThan(15);
  expect(backoffMs(1, 1_000, 30_000, 60_000)).toBeGreaterThanOrEqual(60_000);
  expect(renewalDueMs("not a credential", 0)).toBe(0);
});

test("a clock that stepped far away is found again by the date of a refusal, and a near one is left alone", () => {
  const clock = new ControlClock(0);
  const at = monotonicMs();
  clock.hear(1_000_000_000, at, at + 1);
  clock.hint(1_000_003_000);
  expect(Math.abs(clock.nowMs() - 1_000_000_000)).toBeLessThan(1_000);
  clock.hint(1_000_600_000);
  expect(Math.abs(clock.nowMs() - 1_000_600_500)).toBeLessThan(1_000);
});
