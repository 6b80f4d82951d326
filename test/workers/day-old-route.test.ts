// An isolate that slept for a day: what it remembers is read again before it is used, and used all the same where nobody answers (invariant 9).
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { appId, releaseId, teamId } from "../../bench/shared/gateway-world.ts";
import { DEFAULT_DOMAIN_LIMITS } from "../../core/domains/limits.ts";
import { hostKey, routeKey, type HostRecord, type Route } from "../../contracts/route.ts";
import type { EdgeEnv } from "../../workers/edge/env.ts";
import { RouteBook } from "../../workers/edge/routes.ts";

const DAY_MS = 86_400_000;
const HOSTNAME = "shop.example.com";
const record = (app: number): HostRecord => ({ hostname: HOSTNAME, app: appId(app), team: teamId(app) });
const route = (app: number, version: number): Route => ({
  app: appId(app),
  team: teamId(app),
  name: "shop",
  version,
  state: { kind: "serving", releases: [{ release: releaseId(version), version, weight: 100, endpoints: [] }] },
  atMs: 0,
});

/** What KV has and the objects say; null: nobody answers. */
interface Told {
  kv: Record<string, unknown> | null;
  owner: HostRecord | null;
  now: Route | null;
}
const bindings = (told: Told): EdgeEnv => {
  const answer = <Value>(value: Value | null) =>
    value === null ? Promise.reject(new Error("away")) : Promise.resolve({ ok: true, value });
  return {
    ROUTES: { get: (key: string) => (told.kv ? Promise.resolve(told.kv[key] ?? null) : answer(null)) },
    APP: { getByName: () => ({ route: () => answer(told.now) }) },
    HOST: { getByName: () => ({ resolve: () => answer(told.owner) }) },
    BASE_DOMAIN: "apps.test",
    TICKET_SIGNING_KEY: "",
  } as unknown as EdgeEnv;
};
const keptAlive = (promise: Promise<unknown>): void => void promise.catch(() => {});

describe("an isolate with a day-old route", () => {
  beforeEach(() => vi.useFakeTimers({ toFake: ["Date"] }));
  afterEach(() => void vi.useRealTimers());

  const remembering = async (told: Told): Promise<{ book: RouteBook; env: EdgeEnv }> => {
    const book = new RouteBook();
    const env = bindings(told);
    expect(await book.resolve(HOSTNAME, env, keptAlive)).toMatchObject({ kind: "route", route: { version: 3 } });
    vi.setSystemTime(Date.now() + DAY_MS);
    return { book, env };
  };
  const known = (): Told => ({
    kv: { [hostKey(HOSTNAME)]: record(1), [routeKey(appId(1))]: route(1, 3) },
    owner: record(1),
    now: route(1, 3),
  });

  test("serves nobody by it before it has looked: the first request goes by what is so now", async () => {
    const told = known();
    const { book, env } = await remembering(told);
    told.kv![routeKey(appId(1))] = route(1, 9);
    expect(book.fresh(HOSTNAME, Date.now())).toBeNull();
    expect(await book.resolve(HOSTNAME, env, keptAlive)).toMatchObject({ kind: "route", route: { version: 9 } });
  });

  test("believes no older copy in KV than it has itself", async () => {
    const told = known();
    const { book, env } = await remembering(told);
    told.kv![routeKey(appId(1))] = route(1, 2);
    told.now = route(1, 10);
    expect(await book.resolve(HOSTNAME, env, keptAlive)).toMatchObject({ kind: "route", route: { version: 10 } });
  });

  test("serves on by it where neither KV nor the objects answer: never a 404", async () => {
    const told = known();
    const { book, env } = await remembering(told);
    Object.assign(told, { kv: null, owner: null, now: null });
    expect(await book.resolve(HOSTNAME, env, keptAlive)).toMatchObject({ kind: "route", route: { version: 3 } });
  });

  test("looks whose its hostname is beside the first request: it rests for other teams far longer than a day", async () => {
    const told = known();
    const { book, env } = await remembering(told);
    told.kv = { [hostKey(HOSTNAME)]: record(2), [routeKey(appId(1))]: route(1, 4), [routeKey(appId(2))]: route(2, 1) };
    const kept: Promise<unknown>[] = [];
    const first = await book.resolve(HOSTNAME, env, (promise) => void kept.push(promise));
    expect(first).toMatchObject({ kind: "route", route: { app: appId(1), version: 4 } });
    await Promise.all(kept);
    expect(await book.resolve(HOSTNAME, env, keptAlive)).toMatchObject({ kind: "route", route: { app: appId(2) } });
    expect(DEFAULT_DOMAIN_LIMITS.domainRestMs).toBeGreaterThan(DAY_MS);
  });
});
