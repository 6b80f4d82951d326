// What the edge tells visitors when there is nobody to send them to, and how it serves while the control plane is away.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ROUTING_LIMITS } from "../../core/routing/limits.ts";
import { eventually, sleep } from "../node-agent/gateway/upstreams.ts";
import { bodies, edgeTest, Stage } from "./world.ts";

let stage: Stage;

beforeAll(async () => {
  stage = new Stage(await edgeTest(3));
});
afterAll(() => stage.stop());

describe("when nobody is there to serve", () => {
  test("a hostname that nobody has is a 404: HTML for a browser, JSON for the rest", async () => {
    const app = stage.fresh();
    const json = await app.send();
    expect(json).toMatchObject({ status: 404, headers: { "content-type": "application/problem+json" } });
    const html = await app.send({ headers: { accept: "text/html,*/*" } });
    expect(html.headers["content-type"]).toBe("text/html; charset=utf-8");
    expect(html.body).toContain(html.headers["x-request-id"]);
    for (const { headers } of [json, html]) {
      expect(headers).toMatchObject({ "x-content-type-options": "nosniff", "cache-control": "no-store" });
      expect(headers["content-security-policy"]).toMatch(/^default-src 'none'/);
    }
    expect((await app.send({ method: "HEAD" })).body).toBe("");
  });

  test("the Host object of such a hostname is not asked for every request, and a new app answers at once", async () => {
    const app = stage.fresh();
    const sinceMs = Date.now();
    await Promise.all(Array.from({ length: 100 }, () => app.send()));
    const asksMax = 1 + (Date.now() - sinceMs) / ROUTING_LIMITS.recheckMs;
    expect(await stage.world.edge.asked("host", app.hostname)).toBeLessThanOrEqual(asksMax);
    await stage.put(1, app.row(1, await stage.named("new")));
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
    const app = stage.fresh();
    await app.publish(app.unavailable(reason));
    const answer = await app.send();
    expect(answer.status).toBe(status);
    expect(JSON.parse(answer.body)).toMatchObject({ code: reason });
  });

  test("an app that has just become ready answers within moments, although KV has its old route", async () => {
    const app = stage.fresh();
    await app.publish(app.unavailable("starting"));
    expect((await app.send()).status).toBe(503);
    await stage.put(1, app.row(1, await stage.named("ready")));
    await stage.world.edge.setRoute(app.route([app.release(1, 100, [app.endpoint(1, 1)])]), { kv: false });
    const startedAtMs = Date.now();
    expect(
      (
        await eventually(
          () => app.send(),
          ({ status }) => status === 200,
        )
      ).body,
    ).toBe("ready");
    // Not only when routes are read anew. On an idle machine it is a tenth of a second.
    expect(Date.now() - startedAtMs).toBeLessThan(ROUTING_LIMITS.routeFreshMs);
  });

  test("a destroyed app's hostname goes to its next owner", async () => {
    const [old, next] = [stage.fresh(), stage.fresh()];
    await old.publish(old.unavailable("destroyed"));
    expect((await old.send()).status).toBe(404);
    await stage.put(1, next.row(1, await stage.named("next")));
    await next.publish(next.route([next.release(1, 100, [next.endpoint(1, 1)])]));
    await stage.world.edge.setHost(old.hostname, { app: next.app, team: next.route([]).team });
    await sleep(150);
    expect(await bodies(old, 1)).toEqual(["next"]);
  });

  test.each(["/.berth/logs", "/.berth/health", "/.berth/x"])(
    "%s is the platform's and reaches no gateway",
    async (path) => {
      const { app } = await stage.spread(1);
      expect(JSON.parse((await app.send({ path })).body)).toMatchObject({ code: "reserved_path" });
    },
  );

  test("the edge's own health is on a path that no app can have, and on hosts that no app can have", async () => {
    const { app } = await stage.spread(1);
    expect((await app.send({ path: "/.berth/edge/health" })).body).toBe('{"status":"ok"}');
    expect(await bodies(app, 1, { path: "/healthz" })).toEqual(["a"]);
    expect((await app.send({ path: "/healthz", headers: { host: `127.0.0.1:${stage.world.edge.port}` } })).body).toBe(
      '{"status":"ok"}',
    );
  });
});

describe("when the control plane is away", () => {
  test.each(["broken", "silent"] as const)(
    "objects %s: a known app serves on, without waiting each time",
    async (mode) => {
      const { app } = await stage.spread(2);
      expect((await bodies(app, 1))[0]).toMatch(/a|b/);
      await stage.world.edge.setMode("app", app.app, mode);
      await stage.world.edge.setMode("host", app.hostname, mode);
      await stage.name(1, app, 1_000);
      await bodies(app, 4);
      const startedAtMs = Date.now();
      for (const body of await bodies(app, 30)) expect(body).toMatch(/^[ab]$/);
      // Half of what it would be if each waited.
      expect(Date.now() - startedAtMs).toBeLessThan(15 * ROUTING_LIMITS.refreshWaitMs);
      await stage.name(1, app, null);
    },
  );

  test("an unknown hostname is a 503, never a 404", async () => {
    const app = stage.fresh();
    await stage.world.edge.setMode("host", app.hostname, "broken");
    const answer = await app.send();
    expect({ status: answer.status, code: (JSON.parse(answer.body) as { code: string }).code }).toEqual({
      status: 503,
      code: "route_unreadable",
    });
  });

  test("a lower version in KV is ignored", async () => {
    const { app, route } = await stage.spread(2);
    await bodies(app, 1);
    const newest = app.route([app.release(2, 100, [app.endpoint(2, 2)])]);
    await stage.world.edge.setRoute(newest);
    await stage.name(1, app, newest.version);
    await stage.name(2, app, newest.version);
    await bodies(app, 2);
    await stage.world.edge.setRoute(route);
    await sleep(5_200);
    expect(await bodies(app, 5)).toEqual(["b", "b", "b", "b", "b"]);
  });
});
