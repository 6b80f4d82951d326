// Host and RateLimit: RPC works, storage comes first, and nothing but the named methods can be called.
import { env } from "cloudflare:workers";
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { HostRecord } from "../../contracts/route.ts";
import { hostKey } from "../../contracts/route.ts";
import { APP_A, APP_B, TEAM_A } from "./ids.ts";

const recordOf = (hostname: string, app = APP_A): HostRecord => ({ hostname, app, team: TEAM_A });

describe("the Host object", () => {
  it("gives a hostname to the first who asks, keeps it over an eviction, and copies it to KV", async () => {
    const host = env.HOST.getByName("a.example.test");
    const record = recordOf("a.example.test");
    expect(await host.claim(record)).toEqual({ ok: true, value: record });
    await evictDurableObject(host as never);
    expect(await env.HOST.getByName("a.example.test").resolve({ hostname: "a.example.test" })).toEqual({
      ok: true,
      value: record,
    });
    expect(await env.ROUTES.get(hostKey("a.example.test"), "json")).toEqual(record);
  });

  it("refuses another app until the first has released it", async () => {
    const host = env.HOST.getByName("b.example.test");
    await host.claim(recordOf("b.example.test"));
    const second = recordOf("b.example.test", APP_B);
    expect(await host.claim(second)).toMatchObject({ ok: false, failure: { code: "name_taken" } });
    await host.release({ hostname: "b.example.test", app: APP_B });
    expect(await host.claim(second)).toMatchObject({ ok: false });
    await host.release({ hostname: "b.example.test", app: APP_A });
    expect(await host.claim(second)).toEqual({ ok: true, value: second });
    expect(await env.ROUTES.get(hostKey("b.example.test"), "json")).toEqual(second);
  });

  it("refuses a malformed record and changes nothing", async () => {
    const host = env.HOST.getByName("c.example.test");
    expect(await host.claim({ ...recordOf("c.example.test"), app: "nonsense" as never })).toMatchObject({
      ok: false,
      failure: { code: "invalid_request" },
    });
    expect(await host.resolve({ hostname: "c.example.test" })).toEqual({ ok: true, value: null });
  });
});

describe("the Host object of a custom domain", () => {
  const name = "shop.custom.test";
  const host = () => env.HOST.getByName(name);
  const holder = async () => ((await host().resolve({ hostname: name })) as { value: HostRecord | null }).value?.app;

  it("believes the newest revision, over an eviction too, and refuses those that were overtaken", async () => {
    const [a, b] = [recordOf(name), recordOf(name, APP_B)];
    expect(await host().claim({ ...a, revision: 1 })).toMatchObject({ ok: true });
    // Released and taken by another before the first release was heard of.
    expect(await host().claim({ ...b, revision: 3 })).toMatchObject({ ok: true });
    await evictDurableObject(host() as never);
    expect(await host().release({ hostname: name, app: APP_A, revision: 2 })).toMatchObject({
      failure: { code: "conflict" },
    });
    expect(await host().claim({ ...a, revision: 1 })).toMatchObject({ failure: { code: "conflict" } });
    expect(await holder()).toBe(APP_B);
    expect(await env.ROUTES.get(hostKey(name), "json")).toEqual(b);
    expect(await host().claim({ ...b, revision: 3 }), "repeated").toMatchObject({ ok: true });
    expect(await host().release({ hostname: name, app: APP_B, revision: 4 })).toMatchObject({ ok: true });
    expect(await host().claim({ ...b, revision: 3 }), "late").toMatchObject({ failure: { code: "conflict" } });
    expect(await holder()).toBeUndefined();
    expect(await env.ROUTES.get(hostKey(name))).toBeNull();
  });

  it("takes no app's own hostname, and gives its own to no app that claims without a revision", async () => {
    const own = env.HOST.getByName("own.example.test");
    await own.claim(recordOf("own.example.test"));
    const other = { ...recordOf("own.example.test", APP_B), revision: 9 };
    expect(await own.claim(other)).toMatchObject({ failure: { code: "name_taken" } });
    await own.release({ hostname: "own.example.test", app: APP_B, revision: 9 });
    expect(await own.resolve({ hostname: "own.example.test" })).toMatchObject({ value: { app: APP_A } });
    const custom = env.HOST.getByName("two.custom.test");
    await custom.claim({ ...recordOf("two.custom.test"), revision: 1 });
    expect(await custom.claim(recordOf("two.custom.test", APP_B))).toMatchObject({ failure: { code: "name_taken" } });
    await custom.release({ hostname: "two.custom.test", app: APP_A });
    expect(await custom.resolve({ hostname: "two.custom.test" }), "an app that ends").toMatchObject({
      value: { app: APP_A },
    });
  });
});

describe("the guard around itty-durable", () => {
  it("answers 404 to every raw request, whatever method it names", async () => {
    const host = env.HOST.getByName("d.example.test");
    await host.claim(recordOf("d.example.test"));
    for (const path of ["/do/call/destroy", "/do/call/release", "/do/set/snapshot", "/do/get-prop/snapshot", "/"]) {
      const headers = { "do-content": JSON.stringify([{ hostname: "d.example.test", app: APP_A }]) };
      expect((await host.fetch(`https://object${path}`, { headers })).status).toBe(404);
    }
    expect(await host.resolve({ hostname: "d.example.test" })).toMatchObject({ ok: true, value: { app: APP_A } });
  });

  it("hides from RPC every method that is not named", async () => {
    const host = env.HOST.getByName("e.example.test");
    await host.claim(recordOf("e.example.test"));
    for (const name of [
      "destroy",
      "reset",
      "persist",
      "loadFromStorage",
      "getPersistable",
      "toJSON",
      "setAlarm",
      "deleteAlarm",
      "block",
      "store",
      "onLoad",
      "optionallyReturnThis",
    ]) {
      const anything = host as unknown as Record<string, (input: object) => Promise<unknown>>;
      await expect((async () => anything[name]?.({}))(), name).rejects.toThrow(/implement|RPC|property/);
    }
    expect(await host.resolve({ hostname: "e.example.test" })).toMatchObject({ ok: true, value: { app: APP_A } });
  });

  it("stores the snapshot and nothing else", async () => {
    const host = env.HOST.getByName("f.example.test");
    await host.claim(recordOf("f.example.test"));
    const stored = await runInDurableObject(host as never, (_instance: never, state) => state.storage.get("data"));
    expect(stored).toEqual({ snapshot: { record: recordOf("f.example.test") } });
  });
});

describe("the RateLimit object", () => {
  // The clock stands, so that no minute ends in the midst of a test.
  beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"] }));
  afterEach(() => void vi.useRealTimers());

  it("allows exactly the limit within a minute, also over an eviction", async () => {
    const stub = () => env.RATE_LIMIT.getByName("team-a");
    const take = async (cost: number) => (await stub().take({ limitPerMinute: 4, cost })) as unknown;
    expect(await take(2)).toMatchObject({ value: { granted: 2, remaining: 2 } });
    await evictDurableObject(stub() as never);
    expect(await take(1)).toMatchObject({ value: { allowed: true, granted: 1, remaining: 1 } });
    // Of several together as many as are left.
    expect(await take(3)).toMatchObject({ value: { granted: 1, remaining: 0 } });
    expect(await take(1)).toMatchObject({ value: { allowed: false, granted: 0, remaining: 0 } });
  });

  it("never allows more than the limit to many at once", async () => {
    const stub = env.RATE_LIMIT.getByName("team-b");
    const answers = await Promise.all(Array.from({ length: 40 }, () => stub.take({ limitPerMinute: 25, cost: 1 })));
    expect(answers.filter((answer) => answer.ok && answer.value.granted === 1)).toHaveLength(25);
  });

  it("refuses a limit that is not a whole number", async () => {
    const answer = await env.RATE_LIMIT.getByName("team-c").take({ limitPerMinute: 1.5, cost: 1 });
    expect(answer).toMatchObject({ ok: false, failure: { code: "invalid_request" } });
  });
});
