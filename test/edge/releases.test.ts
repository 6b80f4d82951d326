// Which release a visitor gets: exact shares, stickiness, previews and overrides; and what the edge refuses by itself.
import { importJWK, SignJWT, type JWK } from "jose";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { OVERRIDE_HEADER, OVERRIDE_ISSUER, OVERRIDE_TYP, PREVIEW_PATH, previewHost } from "../../contracts/override.ts";
import type { RouteRelease } from "../../contracts/route.ts";
import { httpApp, sleep } from "../node-agent/gateway/upstreams.ts";
import { bodies, edgeTest, Stage, type TestApp } from "./world.ts";

let stage: Stage;
beforeAll(async () => {
  stage = new Stage(await edgeTest(2));
});
afterAll(() => stage.stop());

/** Version 1 is "old", version 2 is "new". */
async function split(
  old: number,
  coming: number,
  state: Record<string, unknown> = {},
  each: Partial<RouteRelease> = {},
): Promise<TestApp> {
  const app = stage.fresh();
  await stage.put(1, app.row(1, await stage.named("old")));
  await stage.put(2, app.row(2, await stage.named("new")));
  const [first, second] = [app.release(1, old, [app.endpoint(1, 1)]), app.release(2, coming, [app.endpoint(2, 2)])];
  const route = app.route([
    { ...first, ...each },
    { ...second, ...each },
  ]);
  await app.publish({ ...route, state: { ...route.state, ...state } as typeof route.state });
  return app;
}

const override = async (app: TestApp, version: number, wish: { secret?: string; exp?: number; aud?: string } = {}) => {
  const jwk = JSON.parse(wish.secret ?? stage.world.key.secret) as JWK & { kid: string };
  const nowS = Math.floor(Date.now() / 1_000);
  return new SignJWT({ ver: version })
    .setProtectedHeader({ alg: "EdDSA", typ: OVERRIDE_TYP, kid: jwk.kid })
    .setIssuer(OVERRIDE_ISSUER)
    .setAudience(wish.aud ?? app.app)
    .setIssuedAt(nowS)
    .setExpirationTime(wish.exp ?? nowS + 60)
    .sign(await importJWK(jwk, "EdDSA"));
};

describe("a split", () => {
  test("is exact: of 1,000 requests at 10 %, 100 are the new release's, give or take two", async () => {
    const app = await split(90, 10);
    const coming = (await bodies(app, 1_000)).filter((body) => body === "new").length;
    expect(Math.abs(coming - 100)).toBeLessThanOrEqual(2);
  });

  const VISITORS = 400;
  const STICKY = { sticky: { kind: "cookie", ttlMs: 60_000 } };
  const cookieOf = ({ headers }: { headers: Record<string, unknown> }): string =>
    String(headers["set-cookie"]).split("; ")[0] as string;

  test("sticky by cookie: a visitor keeps the release they were given, and is told who they are only once", async () => {
    const app = await split(50, 50, STICKY);
    const first = await app.send();
    const [cookie = "", ...attributes] = String(first.headers["set-cookie"]).split("; ");
    expect(attributes).toEqual(["Path=/", "Max-Age=60", "HttpOnly", "SameSite=Lax"]);
    expect(cookie).toMatch(/^__berth_visitor=[0-9a-z]{7}$/);
    const again = await Promise.all(
      Array.from({ length: 20 }, () => app.send({ headers: { cookie: `a=b; ${cookie}` } })),
    );
    expect(new Set(again.map(({ body }) => body))).toEqual(new Set([first.body]));
    expect(again.some(({ headers }) => headers["set-cookie"] !== undefined)).toBe(false);
    const odd = await app.send({ headers: { cookie: "__berth_visitor=7" } });
    expect([odd.status, cookieOf(odd) === "__berth_visitor=7"]).toEqual([200, false]);
  });

  test("sticky by cookie: who came before a canary is among its visitors, as its weight says, and stays", async () => {
    const before = await split(100, 0, STICKY);
    const cookies: string[] = [];
    for (let at = 0; at < VISITORS; at++) cookies.push(cookieOf(await before.send()));
    expect(new Set(cookies).size).toBe(VISITORS);
    const ask = async (app: TestApp): Promise<string[]> => {
      const got = [];
      for (const cookie of cookies) got.push((await app.send({ headers: { cookie } })).body);
      return got;
    };
    const few = await ask(await split(80, 20, STICKY));
    const newOf = (seen: string[]): number => seen.filter((body) => body === "new").length;
    // Six standard deviations: no run in a hundred million is further off.
    expect(Math.abs(newOf(few) - 0.2 * VISITORS)).toBeLessThanOrEqual(6 * Math.sqrt(0.2 * 0.8 * VISITORS));
    const many = await ask(await split(30, 70, STICKY));
    expect(Math.abs(newOf(many) - 0.7 * VISITORS)).toBeLessThanOrEqual(6 * Math.sqrt(0.7 * 0.3 * VISITORS));
    expect(many.filter((body, at) => body === "old" && few[at] === "new")).toEqual([]);
  });

  test("sticky by cookie: what any cache may keep carries nobody's cookie", async () => {
    const app = stage.fresh();
    const open = await httpApp((asked, response) => {
      const headers = { "cache-control": asked.url === "/open" ? "public, max-age=60" : "private" };
      response.writeHead(200, headers).end("ok");
    });
    await stage.put(1, app.row(1, stage.add(open)));
    const route = app.route([app.release(1, 100, [app.endpoint(1, 1)])]);
    const sticky = { kind: "cookie" as const, ttlMs: 60_000 };
    await app.publish({ ...route, state: { ...route.state, sticky } as typeof route.state });
    expect((await app.send({ path: "/open" })).headers["set-cookie"]).toBeUndefined();
    expect((await app.send({ path: "/own" })).headers["set-cookie"]).toHaveLength(1);
  });

  test("sticky by header: the same value is the same release, and a rising weight only moves visitors to the new", async () => {
    const sticky = { sticky: { kind: "header", name: "x-user" } };
    const users = Array.from({ length: 60 }, (_, at) => `user-${at}`);
    const ask = async (app: TestApp) =>
      Promise.all(users.map(async (user) => (await app.send({ headers: { "x-user": user } })).body));
    const few = await split(80, 20, sticky);
    const many = await split(40, 60, sticky);
    const before = await ask(few);
    expect(await ask(few)).toEqual(before);
    const after = await ask(many);
    expect(before.filter((body) => body === "new").length).toBeGreaterThan(0);
    expect(after.filter((body, at) => before[at] === "new" && body === "old")).toEqual([]);
    expect(after.filter((body) => body === "new").length).toBeGreaterThan(
      before.filter((body) => body === "new").length,
    );
  });
});

describe("one release alone", () => {
  const codeOf = ({ status, body }: { status: number; body: string }) => [
    status,
    (JSON.parse(body) as { code: string }).code,
  ];
  const preview = (app: TestApp, version: number, wish: { cookie?: string; path?: string } = {}) =>
    app.send({
      path: wish.path ?? "/",
      headers: { host: previewHost(version, app.hostname), ...(wish.cookie ? { cookie: wish.cookie } : {}) },
    });

  test("is seen under its preview's hostname by who has a signed link, and by nobody else", async () => {
    const app = await split(100, 0);
    for (const version of [1, 2, 9]) expect(codeOf(await preview(app, version))).toEqual([403, "preview_signed"]);
    const token = await override(app, 2);
    const opened = await preview(app, 2, { path: `${PREVIEW_PATH}?token=${token}` });
    expect([opened.status, opened.headers.location, opened.headers["cache-control"]]).toEqual([303, "/", "no-store"]);
    const [cookie = "", path, age = "", ...attributes] = String(opened.headers["set-cookie"]).split("; ");
    expect([path, ...attributes]).toEqual(["Path=/", "HttpOnly", "SameSite=Lax"]);
    expect(Number(age.split("=")[1])).toBeGreaterThan(50);
    expect((await preview(app, 2, { cookie: `a=b; ${cookie}` })).body).toBe("new");
    const foreign = await override(stage.fresh(), 2);
    const late = await override(app, 2, { exp: Math.floor(Date.now() / 1_000) - 1 });
    for (const wrong of [await override(app, 1), foreign, late, `${token}x`, ""]) {
      expect(codeOf(await preview(app, 2, { path: `${PREVIEW_PATH}?token=${wrong}` }))).toEqual([
        403,
        "preview_signed",
      ]);
      expect(codeOf(await preview(app, 2, { cookie: `__berth_preview=${wrong}` }))).toEqual([403, "preview_signed"]);
    }
    expect(codeOf(await app.send({ path: `${PREVIEW_PATH}?token=${token}` }))).toEqual([404, "reserved_path"]);
  });

  test("is seen by who knows its name where its previews are open; one that is not there tells nothing", async () => {
    const app = await split(100, 0, {}, { preview: "open" });
    expect((await preview(app, 2)).body).toBe("new");
    expect((await preview(app, 1)).body).toBe("old");
    expect(codeOf(await preview(app, 9))).toEqual([403, "preview_signed"]);
    const cookie = `__berth_preview=${await override(app, 9)}`;
    expect(codeOf(await preview(app, 9, { cookie }))).toEqual([404, "no_release"]);
  });

  test("is at hand during maintenance by signature, when everybody else sees that page", async () => {
    const app = await split(90, 10, { kind: "unavailable", reason: "maintenance" }, { preview: "open" });
    expect(codeOf(await app.send())).toEqual([503, "maintenance"]);
    expect(codeOf(await preview(app, 2))).toEqual([503, "maintenance"]);
    expect((await app.send({ headers: { [OVERRIDE_HEADER]: await override(app, 2) } })).body).toBe("new");
    expect((await preview(app, 1, { cookie: `__berth_preview=${await override(app, 1)}` })).body).toBe("old");
  });

  test("is billed to its team, and no part of what it is judged by, for who asks for it by name", async () => {
    const app = await split(100, 0, {}, { preview: "open" });
    await app.send({ headers: { [OVERRIDE_HEADER]: await override(app, 2) } });
    await preview(app, 2);
    await preview(app, 1);
    await app.send();
    const counted = async (on: number): Promise<unknown> => {
      const { instances } = await stage.world.gateways[on - 1]!.counters();
      const tally = instances.find(({ instance }) => instance === app.endpoint(on, on).instance);
      return [tally?.requests, tally?.status.s2xx];
    };
    expect([await counted(1), await counted(2)]).toEqual([
      [2, 1],
      [2, 0],
    ]);
  });

  test("that an old route does not name is no 404 while nobody can be asked for a newer one", async () => {
    const app = await split(100, 0);
    expect((await app.send()).body).toBe("old");
    await stage.world.edge.setMode("app", app.app, "silent");
    await sleep(200);
    expect((await preview(app, 9)).status).toBe(503);
    await stage.world.edge.setMode("app", app.app, "said");
  });

  test("is reached by a signed header; a forged, expired or foreign one is refused", async () => {
    const app = await split(100, 0);
    const send = async (value: string) => app.send({ headers: { [OVERRIDE_HEADER]: value } });
    expect((await send(await override(app, 2))).body).toBe("new");
    const other = stage.fresh();
    const refused = [
      await override(app, 2, { exp: Math.floor(Date.now() / 1_000) - 1 }),
      await override(app, 2, { aud: other.app }),
      `${await override(app, 2)}x`,
      "2",
    ];
    for (const value of refused) {
      const { status, body } = await send(value);
      expect([status, (JSON.parse(body) as { code: string }).code]).toEqual([400, "override_invalid"]);
    }
  });

  test("the app sees neither header nor cookie", async () => {
    const app = stage.fresh();
    const seen: unknown[] = [];
    const backend = stage.add(
      await httpApp((request, response) => {
        seen.push([request.headers[OVERRIDE_HEADER], request.headers.cookie]);
        response.end("ok");
      }),
    );
    await stage.put(1, app.row(1, backend));
    await app.publish(app.route([app.release(1, 100, [app.endpoint(1, 1)])]));
    const token = await override(app, 1);
    await app.send({ headers: { [OVERRIDE_HEADER]: token, cookie: "a=b" } });
    await preview(app, 1, { cookie: `a=b; __berth_preview=${token}; c=d` });
    await preview(app, 1, { cookie: `__berth_preview=${token}` });
    expect(seen).toEqual([
      [undefined, "a=b"],
      [undefined, "a=b; c=d"],
      [undefined, undefined],
    ]);
  });
});

describe("the edge itself", () => {
  test("says that an app is in maintenance, and when to come back", async () => {
    const app = stage.fresh();
    await app.publish(app.unavailable("maintenance"));
    const { status, headers, body } = await app.send();
    expect([status, headers["retry-after"], (JSON.parse(body) as { code: string }).code]).toEqual([
      503,
      "60",
      "maintenance",
    ]);
  });

  test("refuses a body that is declared larger than the app takes, before anything of it is sent on", async () => {
    const app = stage.fresh();
    await stage.put(1, app.row(1, await stage.named("took it")));
    const release = { ...app.release(1, 100, [app.endpoint(1, 1)]), bodyBytesMax: 10 };
    await app.publish(app.route([release]));
    expect((await app.send({ method: "POST", body: "0123456789" })).body).toBe("took it");
    const { status, body } = await app.send({ method: "POST", body: "01234567890" });
    expect([status, (JSON.parse(body) as { code: string }).code]).toEqual([413, "body_too_large"]);
  });
});
