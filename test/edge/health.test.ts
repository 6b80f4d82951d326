// Passive health at one isolate: who is ejected by what, for how long, what the App objects hear of it, and what is never ejected.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import type { Endpoint } from "../../contracts/route.ts";
import { ROUTING_LIMITS } from "../../core/routing/limits.ts";
import { httpApp, sleep, tcpApp } from "../node-agent/gateway/upstreams.ts";
import { FaultProxy, type Fault } from "./fault-proxy.ts";
import { bodies, edgeTest, Stage, untilReported, type TestApp } from "./world.ts";

let stage: Stage;
let wire: FaultProxy;

beforeAll(async () => {
  stage = new Stage(await edgeTest(3));
  wire = await FaultProxy.start(stage.world.gateways[0]?.port ?? 0);
});
/** What a test before held against the first node is over, be it for as long as a node can be ejected: it is used again. */
beforeEach(async () => {
  const { app } = await wired();
  const byMs = Date.now() + 2 * ROUTING_LIMITS.ejectMaxMs;
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
/**
 * What hangs on a node longer than this was not answered elsewhere at its first probe: whoever stays with a node that is late waits
 * for busyProbes more. On an idle machine it is a second and a half.
 */
const HANGS_MS = ROUTING_LIMITS.busyProbes * (ROUTING_LIMITS.ejectMs + ROUTING_LIMITS.probeTimeoutMs);

/** What an app heard of its one failing instance: once, and on a slow machine once more for each time it was tried again. */
async function heardOnce(app: TestApp) {
  const told = (await untilReported(stage, app)).toSorted((a, b) => a.atMs - b.atMs);
  // Half of the least wait between two: when one was decided on is a moment before its time is written down.
  expect(told.filter(({ atMs }, at) => at > 0 && atMs - (told[at - 1]?.atMs ?? 0) < EJECT_MS / 2)).toEqual([]);
  expect(new Set(told.map(({ instance, generation, kind }) => `${instance} ${generation} ${kind}`)).size).toBe(1);
  return told[0];
}

/** How many trials an instance may have had since then, at most: each failure is followed by a wait that is no shorter than the first. */
const trialsSince = (sinceMs: number): number => Math.floor((Date.now() - sinceMs) / EJECT_MS);

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
      await untilReported(stage, app, "b");
      expect(await bodies(app, 12, POST)).toEqual(times(12, "b"));
      // The other app never failed there, and does not have to.
      expect(await bodies(other, 12, POST)).toEqual(times(12, "b"));
      for (const [to, endpoint] of [
        [app, over],
        [other, otherOver],
      ] as const) {
        const told = await heardOnce(to);
        expect(told).toMatchObject({ instance: endpoint.instance, generation: 1, kind: "connect" });
        expect(told?.atMs).toBeGreaterThan(sinceMs - 1_000);
        expect(told?.atMs).toBeLessThan(Date.now() + 1_000);
      }
    },
  );

  test("is probed when its time is over, and used again as soon as it answers; no visitor is the trial", async () => {
    const { app } = await wired();
    await wire.set("refuse");
    await untilReported(stage, app, "b");
    await sleep(1_100);
    expect(await bodies(app, 8, POST)).toEqual(times(8, "b"));
    await wire.set("pass");
    const byMs = Date.now() + 2 * ROUTING_LIMITS.ejectMaxMs;
    let answers: string[] = [];
    while (!answers.includes("a") && Date.now() < byMs) answers = [...answers, ...(await bodies(app, 4, POST))];
    expect(new Set(answers)).toEqual(new Set(["a", "b"]));
  });

  test("(swallow) hangs nobody for long: GETs are answered elsewhere, then nobody is sent there", async () => {
    const { app } = await wired();
    await wire.set("swallow");
    const startedAtMs = Date.now();
    // So many that one of them meets the node, whatever their luck.
    const answers = await Promise.all(times(40, null).map(() => app.send()));
    expect(answers.map(({ body }) => body)).toEqual(times(40, "b"));
    expect(Date.now() - startedAtMs).toBeLessThan(HANGS_MS);
    const thenMs = Date.now();
    expect(await bodies(app, 10, POST)).toEqual(times(10, "b"));
    expect(Date.now() - thenMs).toBeLessThan(HANGS_MS);
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
    expect(await bodies(app, 30, POST)).toEqual(times(30, "b"));
    expect(await bodies(neighbour, 5, POST)).toEqual(times(5, "a"));
    await sleep(100);
    expect(await heardOnce(app)).toMatchObject({ instance: app.endpoint(1, 1).instance, kind: "gateway_5xx" });
    expect(await reportsOf(neighbour)).toEqual([]);
  });

  test("is tried again when its time is over, by a request that can be repeated, and reported again when that fails", async () => {
    const { app, backends } = await stage.spread(2);
    await backends[0]?.close();
    expect(await untilReported(stage, app, "b")).toHaveLength(1);
    await sleep(1_100);
    expect(await bodies(app, 10, POST)).toEqual(times(10, "b"));
    expect(await reportsOf(app)).toHaveLength(1);
    expect(await untilReported(stage, app, "b", 2)).toHaveLength(2);
  });

  test("breaking off costs one POST, not one for each", async () => {
    const app = stage.fresh();
    await stage.put(1, app.row(1, stage.add(await tcpApp((socket) => socket.once("data", () => socket.destroy())))));
    await stage.put(2, app.row(2, await stage.named("b")));
    await app.publish(app.route([app.release(1, 100, [app.endpoint(1, 1), app.endpoint(2, 2)])]));
    const answers: string[] = [];
    while (!answers.includes("502") && answers.length < 60) answers.push(...(await bodies(app, 1, POST)));
    answers.push(...(await bodies(app, 10, POST)));
    expect(answers.filter((body) => body !== "b")).toEqual(["502"]);
    // Once may be chance; the App object is told when the next trial fails too.
    await sleep(1_100);
    expect(await reportsOf(app)).toEqual([]);
    expect(await untilReported(stage, app, "b")).toMatchObject([{ kind: "gateway_5xx" }]);
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
    const sinceMs = Date.now();
    for (let index = 0; index < 60; index++) answers.push(await app.send());
    const own = answers.filter(({ status }) => status === 503);
    // Five, and whatever was on trial.
    expect(own.length).toBeGreaterThanOrEqual(5);
    expect(own.length).toBeLessThanOrEqual(5 + trialsSince(sinceMs));
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
    const answers = await bodies(app, 60);
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
    expect(new Set(await bodies(app, 40))).toEqual(new Set(["a", "b"]));
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
