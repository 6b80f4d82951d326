// Which release a visitor of the racks gets: as at the edge (test/edge/releases.test.ts), by weight, cookie, header or a signed word.
import { request } from "node:http";
import { importJWK, SignJWT, type JWK } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { appId, signingKey } from "../../../bench/shared/gateway-world.ts";
import { OVERRIDE_HEADER, OVERRIDE_ISSUER, OVERRIDE_TYP } from "../../../contracts/override.ts";
import type { Route } from "../../../contracts/route.ts";
import { choose } from "../../../core/routing/choose.ts";
import { spotOf } from "../../../core/routing/spots.ts";
import type { RunningIngress } from "../../../node-agent/ingress/run.ts";
import { until } from "../agent/world.ts";
import { type App, httpApp } from "../gateway/upstreams.ts";
import { endpoint, Region, release, routeOf } from "./region.ts";
import { type Answer, answerOf } from "./visits.ts";

let region: Region;
let ingress: RunningIngress;
let apps: App[];
const given: string[][] = [];

const appOf = (name: string) =>
  httpApp((asked, response) => {
    given.push(Object.keys(asked.headers));
    if (asked.url === "/shared") response.setHeader("cache-control", "public, max-age=60");
    response.end(name);
  });

function visit(headers: Record<string, string> = {}, path = "/"): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const at = { host: "127.0.0.1", port: ingress.plainPort, agent: false as const, path };
    request({ ...at, headers: { host: "shop.apps.test", ...headers } }, (answer) =>
      answerOf(answer).then(resolve, reject),
    )
      .on("error", reject)
      .end();
  });
}
const visits = (count: number, headers: Record<string, string> = {}): Promise<Answer[]> =>
  Promise.all(Array.from({ length: count }, () => visit(headers)));

/** Version 1 is "old", version 2 "new". */
async function split(old: number, coming: number, state: Partial<Route["state"]> = {}): Promise<void> {
  const releases = [release(1, old, [endpoint(1, 1)]), release(2, coming, [endpoint(2, 2)])];
  const serving = { kind: "serving", releases, ...state } as Route["state"];
  await region.publish([{ hostnames: ["shop.apps.test"], route: routeOf(serving) }]);
  const version = region.version;
  await until("the ingress to look", async () => {
    const { body } = await visit({}, "/.berth/ingress");
    return JSON.parse(body).version === version;
  });
}

async function override(version: number, wish: { key?: string; app?: string; exp?: number } = {}): Promise<string> {
  const jwk = JSON.parse(wish.key ?? region.secret) as JWK & { kid: string };
  const nowS = Math.floor(Date.now() / 1_000);
  return new SignJWT({ ver: version })
    .setProtectedHeader({ alg: "EdDSA", typ: OVERRIDE_TYP, kid: jwk.kid })
    .setIssuer(OVERRIDE_ISSUER)
    .setAudience(wish.app ?? appId(1))
    .setIssuedAt(nowS)
    .setExpirationTime(wish.exp ?? nowS + 60)
    .sign(await importJWK(jwk, "EdDSA"));
}

beforeAll(async () => {
  apps = await Promise.all([appOf("old"), appOf("new")]);
  region = await Region.start(2);
  await region.place(1, [[1, (apps[0] as App).port]]);
  await region.place(2, [[2, (apps[1] as App).port]]);
  ingress = await region.open();
});
afterAll(async () => {
  await region.close();
  for (const app of apps) await app.close();
});

describe("a split", () => {
  it("is exact: of 200 requests at 10 %, 20 are the new release's, give or take two", async () => {
    await split(90, 10);
    const coming = (await visits(200)).filter(({ body }) => body === "new").length;
    expect(Math.abs(coming - 20)).toBeLessThanOrEqual(2);
  });

  it("sticky by cookie: a visitor keeps the release that they were given, and is told who they are only once", async () => {
    await split(50, 50, { sticky: { kind: "cookie", ttlMs: 60_000 } });
    const first = await visit();
    const [cookie = "", ...attributes] = String(first.headers["set-cookie"]).split("; ");
    expect(attributes).toEqual(["Path=/", "Max-Age=60", "HttpOnly", "SameSite=Lax"]);
    expect(cookie).toMatch(/^__berth_visitor=[0-9a-z]{7}$/);
    const again = await visits(20, { cookie: `a=b; ${cookie}` });
    expect(new Set(again.map(({ body }) => body))).toEqual(new Set([first.body]));
    expect(again.some(({ headers }) => headers["set-cookie"] !== undefined)).toBe(false);
    expect((await visit({ cookie: "__berth_visitor=7" })).headers["set-cookie"]).toHaveLength(1);
    expect((await visit({}, "/shared")).headers["set-cookie"]).toBeUndefined();
  });

  it("sticky by cookie or header: the very release that the edge gives the same visitor", async () => {
    const byEdge = (value: string): string => {
      const wanted = { tried: null, avoids: null, load: () => 0, visitor: spotOf(value) };
      const choice = choose(region.routes[0]!.route, wanted, 1, 0);
      return choice.kind === "endpoint" && choice.release.version === 1 ? "old" : "new";
    };
    const values = Array.from({ length: 20 }, (_, at) => (at * 7_919 + 100_000).toString(36).padStart(7, "0"));
    const seen = async (header: (value: string) => Record<string, string>): Promise<string[]> =>
      Promise.all(values.map((value) => visit(header(value)).then(({ body }) => body)));
    const byCookie = await seen((value) => ({ cookie: `__berth_visitor=${value}` }));
    expect(byCookie).toEqual(values.map(byEdge));
    await split(50, 50, { sticky: { kind: "header", name: "X-User" } });
    expect(await seen((value) => ({ "x-user": value }))).toEqual(byCookie);
    expect(new Set((await visits(10)).map(({ body }) => body))).toEqual(new Set(["old", "new"]));
  });
});

describe("a release that is asked for by name", () => {
  it("serves whoever has the control plane's word for it, whatever its weight, and the app does not see the word", async () => {
    await split(100, 0);
    expect(new Set((await visits(10)).map(({ body }) => body))).toEqual(new Set(["old"]));
    const counted = async () => (await region.member(2).gateway.counters()).instances[0]!;
    const before = await counted();
    given.length = 0;
    const asked = await visits(5, { [OVERRIDE_HEADER]: await override(2) });
    expect(asked.map(({ body }) => body)).toEqual(Array(5).fill("new"));
    expect(given.flat().filter((name) => name.startsWith("berth-"))).toEqual([]);
    expect((await visit({ [OVERRIDE_HEADER]: await override(3) })).status).toBe(404);
    const { requests, status } = await counted();
    // Billed, and not shown to the release's judge.
    expect([requests, status.s2xx]).toEqual([before.requests + 5, before.status.s2xx]);
  });

  it("is refused to who has another's word, an old one, or none at all of the control plane's", async () => {
    const forged = [
      await override(2, { key: (await signingKey()).secret }),
      await override(2, { app: appId(9) }),
      await override(2, { exp: Math.floor(Date.now() / 1_000) - 1 }),
      "no token",
    ];
    for (const word of forged) {
      const { status, body } = await visit({ [OVERRIDE_HEADER]: word });
      expect([status, JSON.parse(body).code]).toEqual([400, "override_invalid"]);
    }
  });

  it("serves also while the app is in maintenance", async () => {
    const releases = [release(2, 100, [endpoint(2, 2)])];
    await region.publish([
      { hostnames: ["shop.apps.test"], route: routeOf({ kind: "unavailable", reason: "maintenance", releases }) },
    ]);
    await until("maintenance", async () => (await visit()).status === 503);
    expect((await visit({ [OVERRIDE_HEADER]: await override(2) })).body).toBe("new");
  });
});
