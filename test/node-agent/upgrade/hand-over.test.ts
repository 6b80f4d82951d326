// A gateway hands the port to the next one: no connection is lost, what is open goes on, and counters go with it.
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import {
  endpointInstance,
  instanceId,
  nodeId,
  signingKey,
  type SigningKey,
} from "../../../bench/shared/gateway-world.ts";
import { bundleAgent } from "../../../node-agent/build/bundle-agent.ts";
import { GatewaySocket } from "../../../node-agent/agent/gateway-child/gateway-socket.ts";
import { bootId } from "../../../node-agent/agent/state/process-id.ts";
import { ENDPOINT_FILE, type EndpointFile } from "../../../node-agent/endpoint-file.ts";
import { endGateway } from "../../../node-agent/agent/gateway-child/gateway-child.ts";
import { send, ticket, httpApp, type App } from "../gateway/upstreams.ts";
import { freePort, until } from "../agent/world.ts";

const OLD = "1.0.0";
const NEW = "1.1.0";

let home: string;
let dir: string;
let port: number;
let key: SigningKey;
let app: App;
let socket: GatewaySocket;
let first: ChildProcess;
const bundleOf = (version: string): string => join(home, `agent-${version}.mjs`);
const gatewayArgs = (version: string): string[] => [
  bundleOf(version),
  "gateway",
  ...["--dir", dir, "--gateway-host", "127.0.0.1", "--gateway-port", String(port)],
];
const owner = (): number => (JSON.parse(readFileSync(join(dir, "gateway.pid"), "utf8")) as { pid: number }).pid;

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), "berth-hand-over-"));
  dir = join(home, "node");
  key = await signingKey();
  app = await httpApp((_asked, response) => void setTimeout(() => response.end("well"), 5));
  const file: EndpointFile = {
    node: nodeId(1),
    ticketKeys: [key.publicKey],
    controlMinusMonotonicMs: Date.now() - Number(process.hrtime.bigint()) / 1e6,
    bootId: bootId(),
    routes: {},
    instances: [endpointInstance(app.port, { instance: instanceId(1) })],
  };
  mkdirSync(dir);
  writeFileSync(join(dir, ENDPOINT_FILE), JSON.stringify(file));
  port = await freePort();
  await Promise.all([OLD, NEW].map((version) => bundleAgent(bundleOf(version), { version })));
  first = spawn(process.execPath, gatewayArgs(OLD), { stdio: "ignore", detached: true });
  socket = new GatewaySocket(dir);
  await until("the first gateway serves", async () => (await socket.counters()) !== null);
});
afterAll(async () => {
  socket.close();
  await endGateway(dir);
  await app.close();
  rmSync(home, { recursive: true, force: true });
});

async function ask(): Promise<number> {
  const envelope = `${await ticket(key)} - http req-12345 - shop.test:81`;
  return (await send(port, { headers: { "berth-ticket": envelope } })).status;
}

test("one that does not come up is told, and the present one goes on as if nothing had been asked", async () => {
  const pid = owner();
  const ended = socket.handOver({ program: process.execPath, args: ["-e", "process.exit(4)", "--"] });
  await expect(ended).rejects.toThrow(/the next gateway ended with exit code 4/);
  expect(owner()).toBe(pid);
  expect(await ask()).toBe(200);
  expect((await socket.counters())?.version).toBe(OLD);
});

test("under load of new connections none fails; a WebSocket and a request that are open go on; the counters are one sum", async () => {
  const server = new WebSocketServer({ server: app.server as never });
  server.on("connection", (talk) => talk.on("message", (text) => talk.send(`heard ${String(text)}`)));
  const talk = new WebSocket(`ws://127.0.0.1:${port}/`, { headers: { "berth-ticket": await ticket(key) } });
  await new Promise((resolve, reject) => talk.once("open", resolve).once("error", reject));
  const before = await socket.counters();
  const pid = owner();

  const statuses: number[] = [];
  let loading = true;
  const load = Array.from({ length: 8 }, async () => {
    while (loading) statuses.push(await ask().catch(() => 0));
  });
  await until("load", () => statuses.length > 50);
  const half = connectHalf();
  await socket.handOver({ program: process.execPath, args: gatewayArgs(NEW) });
  const sofar = statuses.length;
  await until("more load", () => statuses.length > sofar + 200);
  loading = false;
  await Promise.all(load);

  expect(statuses.filter((status) => status !== 200)).toEqual([]);
  expect(owner()).not.toBe(pid);
  const after = await socket.counters();
  expect(after).toMatchObject({ version: NEW, startId: before?.startId });
  const total = statuses.length + (before?.instances[0]?.requests ?? 0);
  await until("all are counted once", async () => (await socket.counters())?.instances[0]?.requests === total);

  const echo = new Promise((resolve) => talk.once("message", (text) => resolve(String(text))));
  talk.send("still there");
  expect(await echo).toBe("heard still there");
  expect(existsSync(join(dir, `gateway.leaving.${pid}`))).toBe(true);
  talk.close();
  (await half).destroy();
  await until("the one before ends with its last visitor", () => first.exitCode !== null, 10_000);
  expect(existsSync(join(dir, `gateway.leaving.${pid}`))).toBe(false);
  expect(await ask()).toBe(200);
});

/** A connection on which nothing was sent yet. */
function connectHalf(): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const open = connect(port, "127.0.0.1", () => resolve(open));
    open.on("error", reject);
  });
}
