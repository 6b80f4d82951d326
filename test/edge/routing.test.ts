// Where the edge sends requests, and what it does when that fails: weights, moves, crashes, dead and frozen nodes.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { freePort } from "../../bench/shared/edge-world.ts";
import type { Route } from "../../contracts/route.ts";
import { ROUTING_LIMITS } from "../../core/routing/limits.ts";
import { httpApp, sleep, tcpApp, type App } from "../node-agent/gateway/upstreams.ts";
import { bodies, edgeTest, Stage, untilReported, type TestApp } from "./world.ts";

let stage: Stage;

beforeAll(async () => {
  stage = new Stage(await edgeTest(3));
});
afterAll(() => stage.stop());

describe("weights", () => {
  test("releases get their shares, one of weight 0 gets nothing", async () => {
    const app = stage.fresh();
    for (const [n, name] of [
      [1, "a"],
      [2, "b"],
      [3, "c"],
    ] as const)
      await stage.put(n, app.row(n, await stage.named(name)));
    const [one, two, three] = [1, 2, 3].map((n) => app.endpoint(n, n)) as [never, never, never];
    await app.publish(app.route([app.release(1, 80, [one]), app.release(2, 20, [two]), app.release(3, 0, [three])]));
    const got = await bodies(app, 400);
    expect(new Set(got)).toEqual(new Set(["a", "b"]));
    // 20 % of 400 within four standard deviations.
    expect(Math.abs(got.filter((body) => body === "b").length - 80)).toBeLessThan(32);
  });
});

describe("an instance that is gone", () => {
  test("costs no request, of no method, while another serves", async () => {
    const { app, backends } = await stage.spread(2);
    await stage.put(1, app.row(1, backends[0] as App, { state: "gone" }));
    expect(await bodies(app, 20)).toEqual(Array.from({ length: 20 }, () => "b"));
    expect(await bodies(app, 20, { method: "POST", body: "small" })).toEqual(Array.from({ length: 20 }, () => "b"));
  });

  test("makes the edge ask the App object, which KV is behind of", async () => {
    const { app, backends } = await stage.spread(1);
    expect(await bodies(app, 1)).toEqual(["a"]);
    await stage.put(2, app.row(2, await stage.named("moved")));
    await stage.world.edge.setRoute(app.route([app.release(2, 100, [app.endpoint(2, 2)])]), { kv: false });
    await stage.put(1, app.row(1, backends[0] as App, { state: "gone" }));
    expect(await bodies(app, 3, { method: "POST", body: "small" })).toEqual(["moved", "moved", "moved"]);
  });

  test("fails a body that was streamed away, and says so", async () => {
    const { app, backends } = await stage.spread(1);
    await stage.put(1, app.row(1, backends[0] as App, { state: "gone" }));
    const answer = await app.send({ method: "POST", body: Buffer.alloc(2_000_000) });
    expect(answer.status).toBe(502);
    expect(JSON.parse(answer.body)).toMatchObject({ code: "instance_moved" });
  });
});

describe("a newer route version named by a gateway", () => {
  test("reaches the edge with the next request, long before KV or its own refresh", async () => {
    const { app } = await stage.spread(2);
    const only = (n: number): Route => app.route([app.release(n, 100, [app.endpoint(n, n)])]);
    await app.publish(only(1));
    await sleep(150);
    await stage.world.edge.setRoute(only(2), { kv: false });
    await stage.name(1, app, app.version);
    await bodies(app, 1);
    expect(await bodies(app, 5)).toEqual(["b", "b", "b", "b", "b"]);
    await stage.name(1, app, null);
  });

  test("that the App object does not know yet changes nothing", async () => {
    const { app } = await stage.spread(1);
    await stage.name(1, app, 1_000);
    expect(await bodies(app, 5)).toEqual(["a", "a", "a", "a", "a"]);
    await stage.name(1, app, null);
  });
});

describe("an app that fails behind its gateway", () => {
  test("refusing connections costs no request while another instance serves, of any method", async () => {
    const { app, backends } = await stage.spread(2);
    await backends[0]?.close();
    expect(await bodies(app, 20, { method: "POST", body: "small" })).toEqual(Array.from({ length: 20 }, () => "b"));
  });

  test("breaking off: a POST is told that it may have been acted on, a GET goes elsewhere, and soon both do", async () => {
    const app = stage.fresh();
    let posts = 0;
    const rude = await tcpApp((socket) => {
      socket.once("data", (bytes: Buffer) => {
        if (bytes.toString().startsWith("POST")) posts++;
        socket.destroy();
      });
    });
    stage.add(rude);
    await stage.put(1, app.row(1, rude));
    await stage.put(2, app.row(2, rude));
    await stage.put(3, app.row(3, await stage.named("c")));
    await app.publish(
      app.route([
        app.release(
          1,
          100,
          [1, 2, 3].map((n) => app.endpoint(n, n)),
        ),
      ]),
    );
    const answers = await bodies(app, 30, { method: "POST", body: "x" });
    expect(answers.filter((body) => body !== "502" && body !== "c")).toEqual([]);
    // Each of the two cost one request: it was ejected with it.
    expect([posts, answers.filter((body) => body === "502").length]).toEqual([2, 2]);
    expect(await bodies(app, 20)).toEqual(Array.from({ length: 20 }, () => "c"));
  });

  test("answering nothing but errors: it is left alone, while its neighbour does not", async () => {
    const app = stage.fresh();
    let broken = 0;
    const bad = stage.add(
      await httpApp((request, response) => {
        broken++;
        request.resume();
        response.writeHead(500).end("broken");
      }),
    );
    await stage.put(1, app.row(1, bad));
    await stage.put(2, app.row(2, await stage.named("well")));
    await app.publish(app.route([app.release(1, 100, [app.endpoint(1, 1), app.endpoint(2, 2)])]));
    const startedAtMs = Date.now();
    await bodies(app, 60);
    const sinceMs = Date.now();
    const got = await bodies(app, 20);
    // A trial of it is followed by a wait that is no shorter than the first.
    const trialsMax = 1 + Math.floor((Date.now() - sinceMs) / ROUTING_LIMITS.ejectMs);
    // Five in a row, and whatever was on trial since.
    expect(broken).toBeGreaterThanOrEqual(5);
    expect(broken).toBeLessThanOrEqual(5 + Math.floor((Date.now() - startedAtMs) / ROUTING_LIMITS.ejectMs));
    expect(got.filter((body) => body !== "well").length).toBeLessThanOrEqual(trialsMax);
  });

  test("everywhere: no more is repeated than its budget", async () => {
    const app = stage.fresh();
    let asked = 0;
    const rude = stage.add(
      await httpApp((request) => {
        asked++;
        request.socket.destroy();
      }),
    );
    for (const n of [1, 2]) await stage.put(n, app.row(n, rude));
    await app.publish(app.route([app.release(1, 100, [app.endpoint(1, 1), app.endpoint(2, 2)])]));
    const startedAtMs = Date.now();
    await bodies(app, 400);
    const tookS = (Date.now() - startedAtMs) / 1_000;
    expect(asked).toBeGreaterThanOrEqual(400);
    // A fifth on top, the burst, and some for each second that passed: not twice as many.
    const { retryShare, retryBurstMax, retriesPerSecondMin } = ROUTING_LIMITS;
    expect(asked).toBeLessThanOrEqual(400 * (1 + retryShare) + retryBurstMax + retriesPerSecondMin * tookS);
  });

  test("everywhere: an honest page, as JSON, with the request's id", async () => {
    const { app, backends } = await stage.spread(1);
    await backends[0]?.close();
    const { status, headers, body } = await app.send({ headers: { "x-request-id": "page-test-1" } });
    expect({ status, type: headers["content-type"] }).toEqual({ status: 502, type: "application/problem+json" });
    expect(JSON.parse(body)).toMatchObject({ code: "connect_failed", status: 502, requestId: "page-test-1" });
  });
});

/** As in health.test.ts: who hangs on a node for longer stays with it, and is not answered elsewhere. */
const HANGS_MS = ROUTING_LIMITS.busyProbes * (ROUTING_LIMITS.ejectMs + ROUTING_LIMITS.probeTimeoutMs);
/** What a test before held against the first node is over. */
async function untilUsedAgain(app: TestApp): Promise<void> {
  while (!(await bodies(app, 5)).includes("a")) await sleep(100);
}

describe("a node that fails", () => {
  test("refusing connections: GETs go elsewhere at once, and soon POSTs do too", async () => {
    const { app, route } = await stage.spread(2);
    const port = await freePort();
    const dead = { ...app.endpoint(1, 1), gatewayUrl: `http://127.0.0.1:${port}` };
    await app.publish({
      ...route,
      version: ++app.version,
      state: { kind: "serving", releases: [app.release(1, 100, [dead, app.endpoint(2, 2)])] },
    });
    await untilReported(stage, app, "b");
    expect(await bodies(app, 10, { method: "POST", body: "x" })).toEqual(Array.from({ length: 10 }, () => "b"));
  });

  test("frozen: GETs that hang on it are answered elsewhere within its probe, then nobody is sent there", async () => {
    const { app } = await stage.spread(2);
    await untilUsedAgain(app);
    stage.world.gateways[0]?.process.kill("SIGSTOP");
    const startedAtMs = Date.now();
    // So many that one of them meets the node, whatever their luck.
    const answers = await Promise.all(Array.from({ length: 40 }, () => app.send()));
    expect(answers.map(({ body }) => body)).toEqual(Array.from({ length: 40 }, () => "b"));
    expect(Date.now() - startedAtMs).toBeLessThan(HANGS_MS);
    const thenMs = Date.now();
    expect(await bodies(app, 10, { method: "POST", body: "x" })).toEqual(Array.from({ length: 10 }, () => "b"));
    expect(Date.now() - thenMs).toBeLessThan(HANGS_MS);
    stage.world.gateways[0]?.process.kill("SIGCONT");
  });

  test("frozen, with more GETs hanging on it than an app may repeat: all are answered elsewhere", async () => {
    const { app } = await stage.spread(2);
    await untilUsedAgain(app);
    stage.world.gateways[0]?.process.kill("SIGSTOP");
    const hanging = 4 * ROUTING_LIMITS.retryBurstMax;
    const answers = await Promise.all(Array.from({ length: hanging }, () => app.send()));
    stage.world.gateways[0]?.process.kill("SIGCONT");
    expect(new Set(answers.map(({ status, body }) => `${status} ${body}`))).toEqual(new Set(["200 b"]));
  });

  test("late for 4 s beside one that stands: its POSTs are waited for, for its host still takes connections", async () => {
    const { app } = await stage.spread(2);
    await untilUsedAgain(app);
    stage.world.gateways[0]?.process.kill("SIGSTOP");
    setTimeout(() => stage.world.gateways[0]?.process.kill("SIGCONT"), 4_000);
    const posts = await Promise.all(Array.from({ length: 20 }, () => app.send({ method: "POST", body: "x" })));
    expect(posts.filter(({ status }) => status !== 200)).toEqual([]);
    expect(new Set(posts.map(({ body }) => body))).toEqual(new Set(["a", "b"]));
  });

  test("the only one, late for 3 s: nobody is sent away, and a POST is answered", async () => {
    const app = stage.fresh();
    await stage.put(3, app.row(1, await stage.named("c")));
    await app.publish(app.route([app.release(1, 100, [app.endpoint(1, 3)])]));
    stage.world.gateways[2]?.process.kill("SIGSTOP");
    setTimeout(() => stage.world.gateways[2]?.process.kill("SIGCONT"), 3_000);
    const both = await Promise.all([app.send({ method: "POST", body: "x" }), app.send()]);
    expect(both.map(({ status, body }) => [status, body])).toEqual([
      [200, "c"],
      [200, "c"],
    ]);
  });

  test("the only one, frozen: a POST gets a 504 that says so, and is not sent again", async () => {
    const app = stage.fresh();
    await stage.put(3, app.row(1, await stage.named("c")));
    await app.publish(app.route([app.release(1, 100, [app.endpoint(1, 3)])]));
    stage.world.gateways[2]?.process.kill("SIGSTOP");
    const { status, body } = await app.send({ method: "POST", body: "x" });
    stage.world.gateways[2]?.process.kill("SIGCONT");
    expect({ status, code: (JSON.parse(body) as { code: string }).code }).toEqual({
      status: 504,
      code: "node_timeout",
    });
  });
});
