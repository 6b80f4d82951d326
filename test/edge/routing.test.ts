// Where the edge sends requests, what it does when that fails, and what it tells visitors when there is nobody to send them to.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually, httpApp, sleep, tcpApp, type App } from "../node-agent/gateway/upstreams.ts";
import type { Route } from "../../contracts/route.ts";
import type { EndpointInstance } from "../../node-agent/endpoint-file.ts";
import { freePort } from "../../bench/shared/edge-world.ts";
import { edgeTest, TestApp, type EdgeTest } from "./world.ts";

let world: EdgeTest;
const apps: App[] = [];
const rows: EndpointInstance[][] = [[], [], []];
let count = 10;

beforeAll(async () => {
  world = await edgeTest(3);
});
afterAll(async () => {
  await world.stop();
  for (const app of apps) await app.close();
});

const fresh = (): TestApp => new TestApp(world, ++count);
async function named(name: string): Promise<App> {
  const app = await httpApp((asked, response) => void asked.resume().on("end", () => response.end(name)));
  apps.push(app);
  return app;
}
async function put(on: number, row: EndpointInstance): Promise<void> {
  const list = rows[on - 1] as EndpointInstance[];
  rows[on - 1] = [...list.filter(({ instance }) => instance !== row.instance), row];
  await world.gateways[on - 1]?.write({ instances: rows[on - 1] });
}
/** An app with one instance on each of the first gateways, named a, b, c. */
async function spread(onGateways: number): Promise<{ app: TestApp; backends: App[]; route: Route }> {
  const app = fresh();
  const backends: App[] = [];
  for (let n = 1; n <= onGateways; n++) {
    backends.push(await named("abc"[n - 1] as string));
    await put(n, app.row(n, backends[n - 1] as App));
  }
  const route = app.route([
    app.release(
      1,
      100,
      backends.map((_backend, index) => app.endpoint(index + 1, index + 1)),
    ),
  ]);
  await app.publish(route);
  return { app, backends, route };
}
const bodies = async (app: TestApp, requests: number, wish: Parameters<TestApp["send"]>[0] = {}): Promise<string[]> => {
  const answers = [];
  for (let index = 0; index < requests; index++) answers.push(await app.send(wish));
  return answers.map(({ status, body }) => (status === 200 ? body : String(status)));
};

describe("weights", () => {
  test("releases get their shares, one of weight 0 gets nothing", async () => {
    const app = fresh();
    for (const [n, name] of [
      [1, "a"],
      [2, "b"],
      [3, "c"],
    ] as const)
      await put(n, app.row(n, await named(name)));
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
    const { app, backends } = await spread(2);
    await put(1, app.row(1, backends[0] as App, { state: "gone" }));
    expect(await bodies(app, 20)).toEqual(Array.from({ length: 20 }, () => "b"));
    expect(await bodies(app, 20, { method: "POST", body: "small" })).toEqual(Array.from({ length: 20 }, () => "b"));
  });

  test("makes the edge ask the App object, which KV is behind of", async () => {
    const { app, backends } = await spread(1);
    expect(await bodies(app, 1)).toEqual(["a"]);
    await put(2, app.row(2, await named("moved")));
    await world.edge.setRoute(app.route([app.release(2, 100, [app.endpoint(2, 2)])]), { kv: false });
    await put(1, app.row(1, backends[0] as App, { state: "gone" }));
    expect(await bodies(app, 3, { method: "POST", body: "small" })).toEqual(["moved", "moved", "moved"]);
  });

  test("fails a body that was streamed away, and says so", async () => {
    const { app, backends } = await spread(1);
    await put(1, app.row(1, backends[0] as App, { state: "gone" }));
    const answer = await app.send({ method: "POST", body: Buffer.alloc(2_000_000) });
    expect(answer.status).toBe(502);
    expect(JSON.parse(answer.body)).toMatchObject({ code: "instance_moved" });
  });
});

describe("a newer route version named by a gateway", () => {
  test("reaches the edge with the next request, long before KV or its own refresh", async () => {
    const { app } = await spread(2);
    const only = (n: number): Route => app.route([app.release(n, 100, [app.endpoint(n, n)])]);
    await app.publish(only(1));
    await sleep(150);
    await world.edge.setRoute(only(2), { kv: false });
    await world.gateways[0]?.write({ instances: rows[0], routes: { [app.app]: app.version } });
    await bodies(app, 1);
    expect(await bodies(app, 5)).toEqual(["b", "b", "b", "b", "b"]);
    await world.gateways[0]?.write({ instances: rows[0], routes: {} });
  });

  test("that the App object does not know yet changes nothing", async () => {
    const { app } = await spread(1);
    await world.gateways[0]?.write({ instances: rows[0], routes: { [app.app]: 1_000 } });
    expect(await bodies(app, 5)).toEqual(["a", "a", "a", "a", "a"]);
    await world.gateways[0]?.write({ instances: rows[0], routes: {} });
  });
});

describe("an app that fails behind its gateway", () => {
  test("refusing connections costs no request while another instance serves, of any method", async () => {
    const { app, backends } = await spread(2);
    await backends[0]?.close();
    expect(await bodies(app, 20, { method: "POST", body: "small" })).toEqual(Array.from({ length: 20 }, () => "b"));
  });

  test("breaking off: a GET goes elsewhere, a POST is told that it may have been acted on", async () => {
    const app = fresh();
    let posts = 0;
    const rude = await tcpApp((socket) => {
      socket.once("data", (bytes: Buffer) => {
        if (bytes.toString().startsWith("POST")) posts++;
        socket.destroy();
      });
    });
    apps.push(rude);
    await put(1, app.row(1, rude));
    await put(2, app.row(2, rude));
    await put(3, app.row(3, await named("c")));
    await app.publish(
      app.route([
        app.release(
          1,
          100,
          [1, 2, 3].map((n) => app.endpoint(n, n)),
        ),
      ]),
    );
    expect(await bodies(app, 20)).toEqual(Array.from({ length: 20 }, () => "c"));
    const answers = await bodies(app, 20, { method: "POST", body: "x" });
    expect(new Set(answers)).toEqual(new Set(["502", "c"]));
    expect(posts).toBe(answers.filter((body) => body === "502").length);
  });

  test("everywhere: an honest page, as JSON, with the request's id", async () => {
    const { app, backends } = await spread(1);
    await backends[0]?.close();
    const { status, headers, body } = await app.send({ headers: { "x-request-id": "page-test-1" } });
    expect({ status, type: headers["content-type"] }).toEqual({ status: 502, type: "application/problem+json" });
    expect(JSON.parse(body)).toMatchObject({ code: "connect_failed", status: 502, requestId: "page-test-1" });
  });
});

describe("a node that fails", () => {
  test("refusing connections: GETs go elsewhere at once, and soon POSTs do too", async () => {
    const { app, route } = await spread(2);
    const port = await freePort();
    const dead = { ...app.endpoint(1, 1), gatewayUrl: `http://127.0.0.1:${port}` };
    await app.publish({
      ...route,
      version: ++app.version,
      state: { kind: "serving", releases: [app.release(1, 100, [dead, app.endpoint(2, 2)])] },
    });
    expect(await bodies(app, 10)).toEqual(Array.from({ length: 10 }, () => "b"));
    await sleep(100);
    expect(await bodies(app, 10, { method: "POST", body: "x" })).toEqual(Array.from({ length: 10 }, () => "b"));
  });

  test("frozen: GETs that hang on it are answered elsewhere within its probe, then nobody is sent there", async () => {
    const { app } = await spread(2);
    // The nodes of this world are remembered as ejected by the test before; its own two are used afresh.
    await sleep(10_500);
    world.gateways[0]?.process.kill("SIGSTOP");
    const startedAtMs = Date.now();
    const answers = await Promise.all(Array.from({ length: 12 }, () => app.send()));
    expect(answers.map(({ body }) => body)).toEqual(Array.from({ length: 12 }, () => "b"));
    expect(Date.now() - startedAtMs).toBeLessThan(4_000);
    const thenMs = Date.now();
    expect(await bodies(app, 10, { method: "POST", body: "x" })).toEqual(Array.from({ length: 10 }, () => "b"));
    expect(Date.now() - thenMs).toBeLessThan(900);
    world.gateways[0]?.process.kill("SIGCONT");
  });

  test("the only one, frozen: a POST gets a 504 that says so, and is not sent again", async () => {
    const app = fresh();
    await put(3, app.row(1, await named("c")));
    await app.publish(app.route([app.release(1, 100, [app.endpoint(1, 3)])]));
    world.gateways[2]?.process.kill("SIGSTOP");
    const { status, body } = await app.send({ method: "POST", body: "x" });
    world.gateways[2]?.process.kill("SIGCONT");
    expect({ status, code: (JSON.parse(body) as { code: string }).code }).toEqual({
      status: 504,
      code: "node_timeout",
    });
  });
});

describe("when nobody is there to serve", () => {
  test("a hostname that nobody has is a 404: HTML for a browser, JSON for the rest", async () => {
    const app = fresh();
    const json = await app.send();
    expect(json).toMatchObject({ status: 404, headers: { "content-type": "application/problem+json" } });
    const html = await app.send({ headers: { accept: "text/html,*/*" } });
    expect(html.headers["content-type"]).toBe("text/html; charset=utf-8");
    expect(html.body).toContain(html.headers["x-request-id"]);
    expect((await app.send({ method: "HEAD" })).body).toBe("");
  });

  test("the Host object of such a hostname is not asked for every request, and a new app answers at once", async () => {
    const app = fresh();
    await Promise.all(Array.from({ length: 30 }, () => app.send()));
    expect(await world.edge.asked("host", app.hostname)).toBeLessThan(10);
    await put(1, app.row(1, await named("new")));
    await app.publish(app.route([app.release(1, 100, [app.endpoint(1, 1)])]), { kv: false });
    await sleep(120);
    expect(await bodies(app, 1)).toEqual(["new"]);
  });

  test.each([
    ["never_deployed", 503],
    ["starting", 503],
    ["no_ready_instance", 503],
    ["scaled_to_zero", 503],
    ["destroyed", 404],
  ] as const)("an app that is %s says so with %d", async (reason, status) => {
    const app = fresh();
    await app.publish(app.unavailable(reason));
    const answer = await app.send();
    expect(answer.status).toBe(status);
    expect(JSON.parse(answer.body)).toMatchObject({ code: reason });
  });

  test("an app that has just become ready answers within moments, although KV has its old route", async () => {
    const app = fresh();
    await app.publish(app.unavailable("starting"));
    expect((await app.send()).status).toBe(503);
    await put(1, app.row(1, await named("ready")));
    await world.edge.setRoute(app.route([app.release(1, 100, [app.endpoint(1, 1)])]), { kv: false });
    const startedAtMs = Date.now();
    expect(
      (
        await eventually(
          () => app.send(),
          ({ status }) => status === 200,
        )
      ).body,
    ).toBe("ready");
    expect(Date.now() - startedAtMs).toBeLessThan(1_000);
  });

  test("a destroyed app's hostname goes to its next owner", async () => {
    const [old, next] = [fresh(), fresh()];
    await old.publish(old.unavailable("destroyed"));
    expect((await old.send()).status).toBe(404);
    await put(1, next.row(1, await named("next")));
    await next.publish(next.route([next.release(1, 100, [next.endpoint(1, 1)])]));
    await world.edge.setHost(old.hostname, { app: next.app, team: next.route([]).team });
    await sleep(150);
    expect(await bodies(old, 1)).toEqual(["next"]);
  });

  test.each(["/.berth/logs", "/.berth/health", "/.berth/x"])(
    "%s is the platform's and reaches no gateway",
    async (path) => {
      const { app } = await spread(1);
      expect(JSON.parse((await app.send({ path })).body)).toMatchObject({ code: "reserved_path" });
    },
  );

  test("the edge's own health is on a path that no app can have, and on hosts that no app can have", async () => {
    const { app } = await spread(1);
    expect((await app.send({ path: "/.berth/edge/health" })).body).toBe('{"status":"ok"}');
    expect(await bodies(app, 1, { path: "/healthz" })).toEqual(["a"]);
    expect((await app.send({ path: "/healthz", headers: { host: `127.0.0.1:${world.edge.port}` } })).body).toBe(
      '{"status":"ok"}',
    );
  });
});

describe("when the control plane is away", () => {
  test.each(["broken", "silent"] as const)(
    "objects %s: a known app serves on, without waiting each time",
    async (mode) => {
      const { app } = await spread(2);
      expect((await bodies(app, 1))[0]).toMatch(/a|b/);
      await world.edge.setMode("app", app.app, mode);
      await world.edge.setMode("host", app.hostname, mode);
      await world.gateways[0]?.write({ instances: rows[0], routes: { [app.app]: 1_000 } });
      await bodies(app, 4);
      const startedAtMs = Date.now();
      for (const body of await bodies(app, 30)) expect(body).toMatch(/^[ab]$/);
      expect(Date.now() - startedAtMs).toBeLessThan(2_500);
      await world.gateways[0]?.write({ instances: rows[0], routes: {} });
    },
  );

  test("an unknown hostname is a 503, never a 404", async () => {
    const app = fresh();
    await world.edge.setMode("host", app.hostname, "broken");
    const answer = await app.send();
    expect({ status: answer.status, code: (JSON.parse(answer.body) as { code: string }).code }).toEqual({
      status: 503,
      code: "route_unreadable",
    });
  });

  test("a lower version in KV is ignored", async () => {
    const { app, route } = await spread(2);
    await bodies(app, 1);
    const newest = app.route([app.release(2, 100, [app.endpoint(2, 2)])]);
    await world.edge.setRoute(newest);
    await world.gateways[0]?.write({ instances: rows[0], routes: { [app.app]: newest.version } });
    await world.gateways[1]?.write({ instances: rows[1], routes: { [app.app]: newest.version } });
    await bodies(app, 2);
    await world.edge.setRoute(route);
    await sleep(5_200);
    expect(await bodies(app, 5)).toEqual(["b", "b", "b", "b", "b"]);
  });
});
