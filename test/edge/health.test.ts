// Passive health at one isolate: who is ejected by what, for how long, what the App objects hear of it, and what is never ejected.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import type { Endpoint } from "../../contracts/route.ts";
import { ROUTING_LIMITS } from "../../core/routing/limits.ts";
import { httpApp, sleep, tcpApp } from "../node-agent/gateway/upstreams.ts";
import { FaultProxy, type Fault } from "./fault-proxy.ts";
import { bodies, edgeTest, Stage, type TestApp } from "./world.ts";

let stage: Stage;
let wire: FaultProxy;

beforeAll(async () => {
  stage = new Stage(await edgeTest(3));
  wire = await FaultProxy.start(stage.world.gateways[0]?.port ?? 0);
});
/** What a test before held against the first node is over: it is used again. */
beforeEach(async () => {
  const { app } = await wired();
  const byMs = Date.now() + 20_000;
  while (!(await bodies(app, 4)).includes("a")) if (Date.now() > byMs) throw new Error("the first node is not used");
});
afterEach(() => wire.set("pass"));
afterAll(async () => {
  await wire.close();
  await stage.stop();
});

const POST = { method: "POST", body: "x" };
const times = <Value>(count: number, value: Value): Value[] => Array.from({ length: count }, () => value);

/** An app on the first two nodes (a and b), or on the first alone; the first is reached over the wire. */
async function wired(nodes: 1 | 2 = 2): Promise<{ app: TestApp; over: Endpoint }> {
  const { app, route } = await stage.spread(nodes);
  const over = { ...app.endpoint(1, 1), gatewayUrl: wire.url };
  const others = nodes === 2 ? [app.endpoint(2, 2)] : [];
  await app.publish({ ...app.route([app.release(1, 100, [over, ...others])]), name: route.name });
  return { app, over };
}

const reportsOf = (app: TestApp) => stage.world.edge.reports(app.app);
const EJECT_MS = ROUTING_LIMITS.ejectMs;

/** What an app heard of its one failing instance since then: once, and on a slow machine once more for each time it was tried again. */
async function heardOnce(app: TestApp, sinceMs: number) {
  const triesMax = 1 + Math.floor((Date.now() - sinceMs) / EJECT_MS);
  const byMs = Date.now() + 5_000;
  let told = await reportsOf(app);
  for (; told.length === 0 && Date.now() < byMs; told = await reportsOf(app)) await sleep(20);
  expect(told.length).toBeLessThanOrEqual(triesMax);
  expect(new Set(told.map(({ instance, generation, kind }) => `${instance} ${generation} ${kind}`)).size).toBe(1);
  return told[0];
}

describe("a node whose gateway cannot be reached", () => {
  test.each<Fault>(["refuse", "reset"])(
    "(%s) is ejected with the first failure, for every app, and each app hears of its own instance once",
    async (fault) => {
      const { app, over } = await wired();
      const { app: other, over: otherOver } = await wired();
      await bodies(app, 8);
      await bodies(other, 8);
      await wire.set(fault);
      const sinceMs = Date.now();
      // GETs until one has met the node: all are answered by the other one.
      expect(await bodies(app, 12)).toEqual(times(12, "b"));
      expect(await bodies(app, 12, POST)).toEqual(times(12, "b"));
      // The other app never failed there, and does not have to.
      expect(await bodies(other, 12, POST)).toEqual(times(12, "b"));
      await sleep(100);
      for (const [to, endpoint] of [
        [app, over],
        [other, otherOver],
      ] as const) {
        const told = await heardOnce(to, sinceMs);
        expect(told).toMatchObject({ instance: endpoint.instance, generation: 1, kind: "connect" });
        expect(told?.atMs).toBeGreaterThan(sinceMs - 1_000);
        expect(told?.atMs).toBeLessThan(Date.now() + 1_000);
      }
    },
  );

  test("is probed when its time is over, and used again as soon as it answers; no visitor is the trial", async () => {
    const { app } = await wired();
    await wire.set("refuse");
    await bodies(app, 8);
    await sleep(1_100);
    expect(await bodies(app, 8, POST)).toEqual(times(8, "b"));
    await wire.set("pass");
    const byMs = Date.now() + 8_000;
    let answers: string[] = [];
    while (!answers.includes("a") && Date.now() < byMs) answers = [...answers, ...(await bodies(app, 4, POST))];
    expect(new Set(answers)).toEqual(new Set(["a", "b"]));
  });

  test("(swallow) hangs nobody for long: GETs are answered elsewhere, then nobody is sent there", async () => {
    const { app } = await wired();
    await wire.set("swallow");
    const startedAtMs = Date.now();
    const answers = await Promise.all(times(12, null).map(() => app.send()));
    expect(answers.map(({ body }) => body)).toEqual(times(12, "b"));
    expect(Date.now() - startedAtMs).toBeLessThan(2_500);
    const thenMs = Date.now();
    expect(await bodies(app, 10, POST)).toEqual(times(10, "b"));
    expect(Date.now() - thenMs).toBeLessThan(900);
  });

  test("holding the app's last endpoint, is used nevertheless, and serves at once when it is back", async () => {
    const { app } = await wired(1);
    await wire.set("refuse");
    const [status] = await bodies(app, 1);
    expect(status).toBe("502");
    await wire.set("pass");
    expect(await bodies(app, 5, POST)).toEqual(times(5, "a"));
  });

  test("takes its WebSockets with it when its gateway is killed", async () => {
    const app = stage.fresh();
    const chat = stage.add(await httpApp((_asked, response) => response.end("chat")));
    const sockets = new WebSocketServer({ server: chat.server as never });
    await stage.put(3, app.row(1, chat));
    await app.publish(app.route([app.release(1, 100, [app.endpoint(1, 3)])]));
    const socket = new WebSocket(`ws://127.0.0.1:${stage.world.edge.port}/`, { headers: { host: app.hostname } });
    await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
    const closed = new Promise<number>((resolve) => socket.once("close", resolve));
    stage.world.gateways[2]?.process.kill("SIGKILL");
    expect(await closed).toBe(1006);
    sockets.close();
  });
});

describe("an instance that its gateway cannot get an answer from", () => {
  test("is ejected and reported once, however many requests come, while its neighbour on the node serves on", async () => {
    const { app, backends } = await stage.spread(2);
    const { app: neighbour } = await stage.spread(1);
    await backends[0]?.close();
    const sinceMs = Date.now();
    expect(await bodies(app, 30, POST)).toEqual(times(30, "b"));
    expect(await bodies(neighbour, 5, POST)).toEqual(times(5, "a"));
    await sleep(100);
    expect(await heardOnce(app, sinceMs)).toMatchObject({ instance: app.endpoint(1, 1).instance, kind: "gateway_5xx" });
    expect(await reportsOf(neighbour)).toEqual([]);
  });

  test("is tried again when its time is over, by a request that can be repeated, and reported again when that fails", async () => {
    const { app, backends } = await stage.spread(2);
    await backends[0]?.close();
    await bodies(app, 10);
    await sleep(1_100);
    expect(await bodies(app, 10, POST)).toEqual(times(10, "b"));
    expect(await reportsOf(app)).toHaveLength(1);
    expect(await bodies(app, 10)).toEqual(times(10, "b"));
    await sleep(100);
    expect(await reportsOf(app)).toHaveLength(2);
  });

  test("breaking off costs one POST, not one for each", async () => {
    const app = stage.fresh();
    await stage.put(1, app.row(1, stage.add(await tcpApp((socket) => socket.once("data", () => socket.destroy())))));
    await stage.put(2, app.row(2, await stage.named("b")));
    await app.publish(app.route([app.release(1, 100, [app.endpoint(1, 1), app.endpoint(2, 2)])]));
    const answers = await bodies(app, 20, POST);
    expect(answers.filter((body) => body !== "b")).toEqual(["502"]);
    // Once may be chance; the App object is told when the next trial fails too.
    await sleep(1_100);
    expect(await reportsOf(app)).toEqual([]);
    expect(await bodies(app, 10)).toEqual(times(10, "b"));
    await sleep(100);
    expect(await reportsOf(app)).toMatchObject([{ kind: "gateway_5xx" }]);
  });
});

describe("what is nobody's fault but the app's", () => {
  test("its own 5xx is passed on as it is and never reported; five in a row, and its neighbour is preferred", async () => {
    const app = stage.fresh();
    const failing = await httpApp((_asked, response) => response.writeHead(503, { "x-own": "1" }).end("my own"));
    await stage.put(1, app.row(1, stage.add(failing)));
    await stage.put(2, app.row(2, await stage.named("b")));
    await app.publish(app.route([app.release(1, 100, [app.endpoint(1, 1), app.endpoint(2, 2)])]));
    const answers = [];
    for (let index = 0; index < 40; index++) answers.push(await app.send());
    const own = answers.filter(({ status }) => status === 503);
    // Five, and perhaps one on trial.
    expect([5, 6]).toContain(own.length);
    expect(own.every(({ headers, body }) => headers["x-own"] === "1" && body === "my own")).toBe(true);
    expect(await reportsOf(app)).toEqual([]);
  });

  test("it cannot pass for its gateway: a mark of its own is not believed", async () => {
    const app = stage.fresh();
    const liar = await httpApp((_asked, response) =>
      response.writeHead(502, { "berth-gateway-error": "connect_failed" }).end("a lie"),
    );
    await stage.put(1, app.row(1, stage.add(liar)));
    await stage.put(2, app.row(2, await stage.named("b")));
    await app.publish(app.route([app.release(1, 100, [app.endpoint(1, 1), app.endpoint(2, 2)])]));
    const answers = await bodies(app, 40);
    expect(answers.filter((body) => body === "502").length).toBeGreaterThanOrEqual(5);
    expect(await reportsOf(app)).toEqual([]);
  });
});

describe("what a visitor is told of a failure", () => {
  test("a head that no gateway takes: that it is at fault, once, and nobody is ejected for it", async () => {
    const { app, route } = await stage.spread(2);
    await app.publish(route);
    // The edge takes 128 KB, and its ticket makes it more than the gateway does.
    const answer = await app.send({ headers: { "x-big": "b".repeat(130_800) } });
    expect({ status: answer.status, code: (JSON.parse(answer.body) as { code: string }).code }).toEqual({
      status: 400,
      code: "malformed_request",
    });
    expect(new Set(await bodies(app, 20))).toEqual(new Set(["a", "b"]));
    expect(await reportsOf(app)).toEqual([]);
  });

  test.each([
    ["on its way when the instance broke off", true],
    ["that never reached it", false],
  ])("a request %s: in flight %s", async (_name, inFlight) => {
    const app = stage.fresh();
    const rude = await tcpApp((socket) => socket.once("data", () => socket.destroy()));
    await stage.put(2, app.row(1, inFlight ? stage.add(rude) : rude));
    if (!inFlight) await rude.close();
    await app.publish(app.route([app.release(1, 100, [app.endpoint(1, 2)])]));
    const { status, body } = await app.send(POST);
    expect({ status, inFlight: (JSON.parse(body) as { inFlight: boolean }).inFlight }).toEqual({
      status: 502,
      inFlight,
    });
  });
});
