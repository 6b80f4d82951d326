// Host and RateLimit: RPC works, storage comes first, and nothing but the named methods can be called.
import { env } from "cloudflare:workers";
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";
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
  it("allows exactly the limit within a minute, also over an eviction", async () => {
    // Not so near to the end of a minute that the test could straddle it.
    const leftMs = 60_000 - (Date.now() % 60_000);
    if (leftMs < 5_000) await new Promise((resolve) => setTimeout(resolve, leftMs + 10));
    const stub = () => env.RATE_LIMIT.getByName("team-a");
    expect(await stub().take({ limitPerMinute: 3, cost: 2 })).toMatchObject({ value: { allowed: true, remaining: 1 } });
    await evictDurableObject(stub() as never);
    expect(await stub().take({ limitPerMinute: 3, cost: 2 })).toMatchObject({
      value: { allowed: false, remaining: 1 },
    });
    expect(await stub().take({ limitPerMinute: 3, cost: 1 })).toMatchObject({ value: { allowed: true, remaining: 0 } });
    expect(await stub().take({ limitPerMinute: 3, cost: 1 })).toMatchObject({ value: { allowed: false } });
  });

  it("never allows more than the limit to many at once", async () => {
    const leftMs = 60_000 - (Date.now() % 60_000);
    if (leftMs < 5_000) await new Promise((resolve) => setTimeout(resolve, leftMs + 10));
    const stub = env.RATE_LIMIT.getByName("team-b");
    const answers = await Promise.all(Array.from({ length: 40 }, () => stub.take({ limitPerMinute: 25, cost: 1 })));
    expect(answers.filter((answer) => answer.ok && answer.value.allowed)).toHaveLength(25);
  });

  it("refuses a limit that is not a whole number", async () => {
    const answer = await env.RATE_LIMIT.getByName("team-c").take({ limitPerMinute: 1.5, cost: 1 });
    expect(answer).toMatchObject({ ok: false, failure: { code: "invalid_request" } });
  });
});
