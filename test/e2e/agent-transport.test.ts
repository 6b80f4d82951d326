// A real agent and a real control plane with something in between: from a socket to HTTP within a beat, and back, and nothing is lost.
import { type ChildProcess, spawn } from "node:child_process";
import { openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { makeJoinToken } from "../../dev/stack/operator.ts";
import { REGION } from "../../dev/stack/options.ts";
import { agentFile, freePort, runAgentCommand } from "../node-agent/agent/world.ts";
import { deployed, nodeIs, readyOf, storyOf } from "./nodes-support.ts";
import { createWorld, eventually, type World } from "./support.ts";
import { UpgradeProxy, type Way } from "./upgrade-proxy.ts";

const NAME = "wired";
const [BEAT, POLL] = ["/agent/v1/heartbeat", "/agent/v1/poll"];
/** Twice what ships, so that what a busy machine adds is little beside a beat. */
const BEATS = { heartbeatMs: 4_000, heartbeatJitterMs: 400, heartbeatTimeoutMs: 3_000, heartbeatGiveUpMs: 12_000 };
const HEARD = { suspectMs: 10_000, leaseTtlMs: 16_000 };
const TUNING = {
  ...BEATS,
  leaseMs: HEARD.leaseTtlMs,
  socketOpenMs: 10_000,
  socketRetryMinMs: 100,
  socketRetryMs: 300,
  socketRetryMaxMs: 600,
  pollAsideMs: 600,
};
/** The rest of a beat that was just answered, the time-out of the next one, and the try that follows within that beat. */
const WITHIN_MS = 2 * TUNING.heartbeatMs + TUNING.heartbeatJitterMs;
/** Of a busy machine; less than the beat that a later answer would cost. */
const SLACK_MS = 2_000;

let world: World;
let proxy: UpgradeProxy;
let agent: ChildProcess;
let dir: string;
let logFile: string;

beforeAll(async () => {
  [world] = await Promise.all([createWorld({ agents: 0, runtime: "process", tuning: HEARD }), agentFile()]);
  proxy = await UpgradeProxy.start(world.stack.controlPort);
  proxy.way = "older";
  dir = join(world.home, NAME);
  logFile = join(world.home, "agent.log");
  const { controlUrl, operator } = world.stack;
  const token = await makeJoinToken(controlUrl, operator.token, REGION);
  const args = [
    "run",
    "--dir",
    dir,
    "--control",
    proxy.url,
    "--name",
    NAME,
    "--region",
    REGION,
    "--runtime",
    "process",
  ];
  const out = openSync(logFile, "a");
  agent = spawn(process.execPath, [await agentFile(), ...args, "--gateway-port", String(await freePort())], {
    stdio: ["ignore", out, out],
    env: { ...process.env, BERTH_JOIN_TOKEN: token, BERTH_TUNING: JSON.stringify(TUNING) },
  });
  await nodeIs(world, NAME, "ready");
});
afterAll(async () => {
  agent?.kill("SIGTERM");
  if (dir !== undefined) await runAgentCommand("purge", dir);
  await proxy?.close();
  await world?.end();
});

const shown = (): string => readFileSync(logFile, "utf8").slice(-2_000);
const until = (holds: () => boolean, withinMs = 60_000) =>
  eventually(
    async () => holds(),
    (is) => is,
    { withinMs, everyMs: 20 },
  ).catch((error: unknown) => {
    throw new Error(`${String(error)}\n${shown()}`);
  });
const set = (way: Way): number => {
  proxy.way = way;
  return performance.now();
};
/** Its own last word: a pause between its beats over HTTP is none yet. */
const saysSocket = (): boolean =>
  /.*goes on over (a socket|HTTP)/s.exec(readFileSync(logFile, "utf8"))?.[1] === "a socket";
/** Beats and polls no longer come over HTTP. */
const overSocket = async (): Promise<void> => {
  await until(() => proxy.living === 1 && saysSocket());
  let sinceMs = performance.now();
  await until(() => {
    const last = proxy.requests.findLast(({ path }) => path === BEAT || path === POLL);
    sinceMs = Math.max(sinceMs, last?.atMs ?? 0);
    return performance.now() - sinceMs > TUNING.heartbeatMs + 2 * TUNING.heartbeatJitterMs;
  });
};

test("over HTTP while the control plane knows no sockets, or a proxy kills the upgrade; it deploys all the same", async () => {
  await deployed(world, "floor", "replicas = 1\n");
  expect(await readyOf(world, "floor")).toHaveLength(1);
  expect(proxy.sockets).toBe(0);
  const deafAtMs = set("deaf");
  await until(() => proxy.since(deafAtMs, BEAT) >= 2);
  expect(proxy.sockets).toBe(0);
});

test("over a socket once one comes about: no heartbeat and no poll over HTTP any more, and documents come by messages", async () => {
  set("pass");
  await overSocket();
  const atMs = performance.now();
  await deployed(world, "socketed", "replicas = 1\n");
  expect(await readyOf(world, "socketed")).toHaveLength(1);
  expect([proxy.since(atMs, BEAT), proxy.since(atMs, POLL)]).toEqual([0, 0]);
});

test("over HTTP again within a beat of a socket that went silent, without a word of it to either end; and back", async () => {
  const atMs = set("silent");
  await until(() => proxy.since(atMs, BEAT) >= 1);
  const first = proxy.requests.find((each) => each.path === BEAT && each.atMs >= atMs);
  expect((first?.atMs ?? Infinity) - atMs).toBeLessThan(WITHIN_MS + SLACK_MS);
  await until(() => proxy.since(atMs, POLL) >= 1);
  set("pass");
  await overSocket();
});

test("over HTTP within a beat of a socket that was cut, and back on a new one", async () => {
  const before = proxy.sockets;
  const atMs = performance.now();
  set("older");
  proxy.cut();
  await until(() => proxy.since(atMs, BEAT) >= 1);
  expect(proxy.requests.find((each) => each.path === BEAT && each.atMs >= atMs)!.atMs - atMs).toBeLessThan(
    TUNING.heartbeatMs + TUNING.heartbeatJitterMs + SLACK_MS,
  );
  set("pass");
  await overSocket();
  expect(proxy.sockets).toBe(before + 1);
  // Whatever the way was like, the node was never silent for long enough to be suspect.
  expect(await storyOf(world, ["nodes", "events", NAME], /./)).not.toMatch(/suspect|unreachable|lost/);
});

test("back on a socket after the control plane was killed, and told over it what was deployed next", async () => {
  const before = proxy.sockets;
  await world.stack.kill("control", "SIGKILL");
  await world.stack.untilReady("control");
  await until(() => proxy.sockets > before && proxy.living === 1);
  await nodeIs(world, NAME, "ready");
  await deployed(world, "after", "replicas = 1\n");
  expect(await readyOf(world, "after")).toHaveLength(1);
});

test("cut off within 5 s of its node's revocation, and never let in again", async () => {
  await until(() => proxy.living === 1);
  const atMs = performance.now();
  const { status } = await world.api("POST", `/v1/nodes/${NAME}/revoke`, {});
  expect(status).toBeLessThan(300);
  await until(() => proxy.living === 0, 5_000);
  // Its heartbeats are refused from now on, and who is refused does not even ask for a socket.
  const sockets = proxy.sockets;
  await until(() => proxy.since(atMs, BEAT) >= 3);
  expect([proxy.sockets, proxy.living]).toEqual([sockets, 0]);
});
