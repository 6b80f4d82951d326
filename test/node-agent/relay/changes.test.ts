// Gateways on either side of a relay that are replaced or die: replaced, nobody notices; dead, the way is back as soon as they are.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { endpointInstance, instanceId, signingKey, type SigningKey } from "../../../bench/shared/gateway-world.ts";
import type { NodeId } from "../../../contracts/ids.ts";
import { endGateway } from "../../../node-agent/agent/gateway-child/gateway-child.ts";
import { GatewaySocket } from "../../../node-agent/agent/gateway-child/gateway-socket.ts";
import { bootId } from "../../../node-agent/agent/state/process-id.ts";
import { bundleAgent } from "../../../node-agent/build/bundle-agent.ts";
import { ENDPOINT_FILE, type EndpointFile } from "../../../node-agent/endpoint-file.ts";
import { RELAY_FILE } from "../../../node-agent/relay/relay-file.ts";
import { signGrant } from "../../../workers/control/relay/grant.ts";
import { freePort, until } from "../agent/world.ts";
import { httpApp, send, ticket, type App } from "../gateway/upstreams.ts";
import { HIDDEN, RELAY, relayKey } from "./relayed.ts";

const [OLD, NEW] = ["1.0.0", "1.1.0"];
let home: string;
let key: SigningKey;
let app: App;
const bundleOf = (version: string): string => join(home, `agent-${version}.mjs`);

/** One node's gateway, as its agent runs it. */
class Side {
  readonly dir: string;
  readonly port: number;
  readonly socket: GatewaySocket;
  process: ChildProcess | null = null;

  constructor(name: string, port: number) {
    this.dir = join(home, name);
    this.port = port;
    mkdirSync(this.dir);
    this.socket = new GatewaySocket(this.dir);
  }

  write(node: NodeId, instances: EndpointFile["instances"]): void {
    const monotonicMs = Number(process.hrtime.bigint()) / 1e6;
    const known = { ticketKeys: [key.publicKey], controlMinusMonotonicMs: Date.now() - monotonicMs, bootId: bootId() };
    writeFileSync(join(this.dir, ENDPOINT_FILE), JSON.stringify({ node, ...known, routes: {}, instances }));
  }

  arguments(version: string): string[] {
    return [
      bundleOf(version),
      "gateway",
      "--dir",
      this.dir,
      "--gateway-host",
      "127.0.0.1",
      "--gateway-port",
      String(this.port),
    ];
  }

  async start(): Promise<void> {
    this.process = spawn(process.execPath, this.arguments(OLD), { stdio: "ignore", detached: true });
    await until("the gateway serves", async () => (await this.socket.counters()) !== null);
  }

  async end(): Promise<void> {
    this.socket.close();
    await endGateway(this.dir);
  }
}

let relay: Side;
let hidden: Side;

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), "berth-relay-"));
  key = await signingKey();
  app = await httpApp((_asked, answer) => void setTimeout(() => answer.end("well"), 5));
  relay = new Side("relay", await freePort());
  hidden = new Side("hidden", await freePort());
  relay.write(RELAY, []);
  hidden.write(HIDDEN, [endpointInstance(app.port, { instance: instanceId(1) })]);
  const own = await relayKey();
  const grant = await signGrant(key.secret, { node: HIDDEN, relay: RELAY, key: own.x }, Date.now());
  const offer = { node: RELAY, name: "relay", gatewayUrl: `http://127.0.0.1:${relay.port}`, grant };
  writeFileSync(join(hidden.dir, RELAY_FILE), JSON.stringify({ key: own, relays: [offer] }));
  await Promise.all(
    [OLD, NEW].map((version) => bundleAgent(bundleOf(version as string), { version: version as string })),
  );
  await Promise.all([relay.start(), hidden.start()]);
  await until("the way stands", async () => (await ask()) === 200);
});
afterAll(async () => {
  await Promise.all([relay.end(), hidden.end()]);
  await app.close();
  rmSync(home, { recursive: true, force: true });
});

async function ask(method = "GET"): Promise<number> {
  const headers = { "berth-ticket": await ticket(key, { node: HIDDEN }) };
  return send(relay.port, { method, headers }).then(
    ({ status }) => status,
    () => 0,
  );
}

test("replaced one after the other under load, none of the requests fails, and an open WebSocket goes on", async () => {
  const server = new WebSocketServer({ server: app.server as never });
  server.on("connection", (talk) => talk.on("message", (text) => talk.send(`heard ${String(text)}`)));
  const headers = { "berth-ticket": await ticket(key, { node: HIDDEN }) };
  const talk = new WebSocket(`ws://127.0.0.1:${relay.port}/`, { headers });
  await new Promise((resolve, reject) => talk.once("open", resolve).once("error", reject));

  const statuses: number[] = [];
  let loading = true;
  const load = Array.from({ length: 6 }, async (_, at) => {
    while (loading) statuses.push(await ask(at % 2 === 0 ? "GET" : "POST"));
  });
  for (const side of [relay, hidden]) {
    const before = statuses.length;
    await until("load", () => statuses.length > before + 50);
    await side.socket.handOver({ program: process.execPath, args: side.arguments(NEW as string) });
    const after = statuses.length;
    await until("more load", () => statuses.length > after + 150);
    expect((await side.socket.counters())?.version).toBe(NEW);
  }
  loading = false;
  await Promise.all(load);
  expect(statuses.filter((status) => status !== 200)).toEqual([]);
  expect((await hidden.socket.counters())?.relays).toEqual([RELAY]);
  const heard = new Promise((resolve) => talk.once("message", (text) => resolve(String(text))));
  talk.send("still");
  expect(await heard).toBe("heard still");
  talk.close();
  server.close();
});

test.each([
  ["the hidden node's", () => hidden],
  ["the relay's", () => relay],
])("killed, %s gateway fails what comes meanwhile at once, and serves again soon after it is back", async (_, of) => {
  await endGateway(of().dir);
  const startedAtMs = performance.now();
  expect([0, 502]).toContain(await ask());
  // Not only when nobody has answered for the time that an app may take.
  expect(performance.now() - startedAtMs).toBeLessThan(60_000);
  await of().start();
  await until("the way stands again", async () => (await ask()) === 200);
});
