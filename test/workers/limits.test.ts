// Plans, quotas and limits as customers meet them: the API in this workerd, its objects, and a real Postgres.
import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { SIGN_IN_LIMITS } from "../../core/sign-in/throttle.ts";
import { NOTHING } from "../../core/quota/holding.ts";
import { limitsOf } from "../../core/quota/plans.ts";
import { Problem } from "../../contracts/failures.ts";
import { TeamQuota, type QuotaName } from "../../contracts/quota.ts";
import { grantHolding } from "../../db/queries/app-holdings.ts";
import { setTeamPlan } from "../../db/queries/quotas.ts";
import { makeOperator } from "../../db/queries/users.ts";
import { app } from "../../workers/control/app.ts";
import { authDatabase } from "../../workers/control/auth/databases.ts";
import { API_REQUESTS_PER_MINUTE } from "../../workers/control/http/rate-limit.ts";
import { networkOf } from "../../workers/control/http/sign-in-throttle.ts";
import { databaseOf } from "../../workers/control/http/database.ts";
import { quotaPolicy } from "../../workers/control/quota/policy.ts";
import { outOfQuota } from "../../workers/control/quota/refuse.ts";
import { sweepHoldings } from "../../workers/control/quota/sweep.ts";
import { env, Team } from "./domain-world.ts";
import { clockGoesOn, notOverMidnight, stillClock } from "./still-clock.ts";

clockGoesOn();
const RACERS = 100;
const MIB = 1024 ** 2;
const spec = (memoryBytes = 64 * MIB) => ({
  source: { kind: "image", reference: "registry.test/app:1" },
  resources: { cpuMilli: 100, memoryBytes, diskBytes: MIB },
});
const generous = { ...env, TUNING: JSON.stringify({ apiRequestsPerMinute: 1_000_000 }) };

async function teamWith(slug: string, overrides: Partial<Record<QuotaName, number>>, ...apps: string[]): Promise<Team> {
  const team = await new Team(slug).begin(...apps);
  const set = { actor: "user:operator", team: team.id as never, plan: null, overrides };
  await setTeamPlan(databaseOf(env), set);
  return team;
}
const usedBy = async (team: Team) => {
  const { quotas } = TeamQuota.parse((await team.ask("GET", "/v1/quota", undefined, generous)).body);
  return Object.fromEntries(quotas.map(({ quota, used }) => [quota, used]));
};
async function race(one: (n: number) => Promise<{ status: number; body: unknown }>) {
  const answers = await Promise.all(Array.from({ length: RACERS }, (_, n) => one(n)));
  const of = (status: number) => answers.filter((answer) => answer.status === status);
  return { won: [...of(201), ...of(202)], refused: of(409).map(({ body }) => Problem.parse(body)), all: answers };
}

describe("a team's quota", () => {
  it("of apps has one left: of a hundred who make one at once one does, and the others are told why", async () => {
    const team = await teamWith("race-apps", { apps: 2 }, "first");
    const { won, refused } = await race((n) => team.ask("POST", "/v1/apps", { name: `race-${n}` }, generous));
    expect([won.length, refused.length]).toEqual([1, RACERS - 1]);
    expect(refused[0]).toMatchObject({
      code: "quota_exceeded",
      quota: { quota: "apps", plan: "starter", used: 2, asked: 1, limit: 2 },
      detail: expect.stringContaining("Destroy an app that is no longer needed"),
    });
  });

  it("of instances holds over all apps, however many are scaled at once, and counts what is given back", async () => {
    const team = await teamWith("race-scale", { instances: 5 }, "one", "two");
    for (const name of ["one", "two"])
      expect((await team.ask("POST", `/v1/apps/${name}/releases`, { spec: spec() })).status).toBe(202);
    const scale = (name: string, replicas: number) => team.ask("PATCH", `/v1/apps/${name}`, { replicas }, generous);
    const { all } = await race((n) => scale(n % 2 === 0 ? "one" : "two", 2 + (n % 5)));
    expect(all.filter(({ status }) => status !== 202 && status !== 409)).toEqual([]);
    const ids = await Promise.all(
      ["one", "two"].map(async (name) => (await team.ask("GET", `/v1/apps/${name}`)).body.id),
    );
    const held = await Promise.all(ids.map((id: string) => env.APP.getByName(id).holding({ seen: 0 })));
    const instances = held.map((answer) => (answer.ok ? answer.value.amounts.instances : Infinity));
    expect(instances[0]! + instances[1]!).toBeLessThanOrEqual(5);
    expect((await usedBy(team)).instances).toBeLessThanOrEqual(5);
    const release = (replicas: number) =>
      team.ask("POST", "/v1/apps/one/releases", { spec: spec(), replicas }, generous);
    expect((await release(6)).status).toBe(409);
    expect((await release(0)).status).toBe(202);
  });

  it("of memory refuses a release that needs more, also its first, and says how much there is", async () => {
    await notOverMidnight();
    const team = await teamWith("memory", { memoryBytes: 100 * MIB }, "shop");
    const release = (memoryBytes: number) =>
      team.ask("POST", "/v1/apps/shop/releases", { spec: spec(memoryBytes) }, generous);
    const refused = await release(128 * MIB);
    expect(refused).toMatchObject({
      status: 409,
      body: { quota: { quota: "memoryBytes", used: 0, asked: 128 * MIB, limit: 100 * MIB } },
    });
    expect((await release(64 * MIB)).status).toBe(202);
    expect((await usedBy(team)).memoryBytes).toBe(64 * MIB);
    expect((await release(128 * MIB)).status).toBe(409);
    expect(await usedBy(team)).toMatchObject({ releasesPerDay: 1, apps: 1, instances: 1 });
  });

  it("of releases a day is worth waiting for until the next one, but where none are allowed", () => {
    const told = (limit: number) => {
      const limits = limitsOf("starter", { releasesPerDay: limit });
      const amounts = (releasesPerDay: number) => ({ releasesPerDay });
      return outOfQuota({ plan: "starter", limits, used: amounts(limit), asked: amounts(1), allowed: false }, 1);
    };
    expect(told(1)).toMatchObject({ retryAfterMs: 86_399_999 });
    expect(told(0)).not.toHaveProperty("retryAfterMs");
  });

  it("of releases a day counts what was made: not what was refused, nor the same request again", async () => {
    await notOverMidnight();
    const team = await teamWith("daily", { releasesPerDay: 2 }, "shop");
    const release = (key: string, body: object = { spec: spec() }, of = "shop") =>
      keyed(team, key, "POST", `/v1/apps/${of}/releases`, body);
    expect((await release("a")).status).toBe(202);
    expect((await release("a")).status).toBe(202);
    expect((await release("x", { spec: spec() }, "nowhere")).status).toBe(404);
    expect((await release("y", { spec: { ...spec(), placement: { singleton: "strict" } }, replicas: 3 })).status).toBe(
      422,
    );
    expect((await usedBy(team)).releasesPerDay).toBe(1);
    expect((await release("b")).status).toBe(202);
    const refused = await release("c");
    expect(refused.status).toBe(409);
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
    expect((await release("b")).status).toBe(202);
    expect((await keyed(team, "d", "PATCH", "/v1/apps/shop/env", { set: { A: "1" } })).status).toBe(409);
  });

  it("goes back in the sweep where nobody said what became of a grant", async () => {
    const team = await teamWith("swept", {}, "shop");
    const shop = (await team.ask("GET", "/v1/apps/shop", undefined, generous)).body;
    const needs = { instances: 9, cpuMilli: 900, memoryBytes: 9 * 64 * MIB, diskBytes: 9 * MIB };
    await grantHolding(databaseOf(env), {
      team: shop.team,
      app: shop.id,
      policy: quotaPolicy(env),
      needs,
      holds: NOTHING,
    });
    expect((await usedBy(team)).instances).toBe(9);
    expect(await sweepHoldings(env, Date.now() + 120_000)).toBeGreaterThan(0);
    expect(await usedBy(team)).toMatchObject({ apps: 1, instances: 0, memoryBytes: 0 });
  });
});

describe("a plan", () => {
  let operator: Team;
  beforeAll(async () => {
    // As the set-up makes one, of which an installation has one: other files share it and make operators too.
    operator = await new Team("op").begin();
    const { body } = await operator.ask("GET", "/v1/whoami");
    await authDatabase(env).transaction({ kind: "auth" }, (tx) => makeOperator(tx, body.user.id));
  });

  it("of an operator's own team has no limits", async () => {
    expect((await operator.ask("GET", "/v1/quota")).body).toMatchObject({ plan: "unlimited", byDefault: false });
  });

  it("is set by operators alone, by slug or id, and shown with what is used", async () => {
    const team = await new Team("planned-one").begin("shop");
    const path = "/v1/teams/planned-one/quota";
    expect((await team.ask("PUT", path, { plan: "team" })).status).toBeGreaterThanOrEqual(403);
    expect(await operator.ask("PUT", path, { plan: "team", overrides: { apps: 3 } })).toMatchObject({ status: 200 });
    const shown = TeamQuota.parse((await team.ask("GET", "/v1/quota")).body);
    expect(shown).toMatchObject({ plan: "team", byDefault: false });
    expect(shown.quotas[0]).toEqual({ quota: "apps", used: 1, limit: 3, overridden: true });
    expect(await operator.ask("GET", `/v1/teams/${team.id}/quota`)).toMatchObject({ body: { plan: "team" } });
    expect((await operator.ask("PUT", path, { plan: "golden" })).body.errors[0]).toMatchObject({ pointer: "/plan" });
    expect((await operator.ask("PUT", "/v1/teams/no-such-team/quota", { plan: null })).status).toBe(404);
    const { items } = (await team.ask("GET", "/v1/plans")).body;
    expect(items.map(({ name }: { name: string }) => name)).toContain("starter");
  });
});

/** A request with a header of its own, and the answer's headers. */
async function keyed(team: Team, key: string, method: string, path: string, body: object) {
  const headers = { authorization: `Bearer ${team.token}`, "content-type": "application/json", "idempotency-key": key };
  return asked(path, { method, headers, body: JSON.stringify(body) }, generous);
}
async function asked(path: string, init: RequestInit, as = env): Promise<Response> {
  const context = createExecutionContext();
  const answer = await app.fetch(new Request(`https://api.berth.test${path}`, init), as, context);
  await waitOnExecutionContext(context);
  return answer;
}

describe("a customer's requests", () => {
  it("are counted exactly within a minute, also all at once, and each answer says what is left", async () => {
    const team = await new Team("counted").begin();
    const limit = 40;
    const as = { ...env, TUNING: JSON.stringify({ apiRequestsPerMinute: limit, limiterPatienceMs: 60_000 }) };
    const headers = { authorization: `Bearer ${team.token}` };
    stillClock();
    const first = await asked("/v1/whoami", { headers }, as);
    expect(first.headers.get("ratelimit-policy")).toBe(`"minute";q=${limit};w=60`);
    expect(first.headers.get("ratelimit")).toMatch(new RegExp(`^"minute";r=${limit - 1};t=\\d+$`));
    const answers = await Promise.all(Array.from({ length: limit + 10 }, () => asked("/v1/whoami", { headers }, as)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(limit - 1);
    const refused = answers.find(({ status }) => status === 429);
    expect(refused?.headers.get("ratelimit")).toMatch(/^"minute";r=0;t=\d+$/);
    const waitS = Number(refused?.headers.get("retry-after"));
    expect(waitS).toBeGreaterThanOrEqual(1);
    expect(waitS).toBeLessThanOrEqual(60);
    expect(Problem.parse(await refused?.json())).toMatchObject({ code: "rate_limited" });
  });

  it("are a thousand a minute, and the next is refused, however many come at once", async () => {
    expect(API_REQUESTS_PER_MINUTE).toBe(1_000);
    stillClock();
    const object = env.RATE_LIMIT.getByName("team:of-a-thousand");
    const takes = Array.from({ length: 1_100 }, () =>
      object.take({ limitPerMinute: API_REQUESTS_PER_MINUTE, cost: 1 }),
    );
    const answers = await Promise.all(takes);
    expect(answers.filter((answer) => answer.ok && answer.value.granted === 1)).toHaveLength(1_000);
  });
});

describe("signing in", () => {
  const signIn = (email: string, password: string, address: string) =>
    asked("/v1/sign-in", {
      method: "POST",
      headers: { "content-type": "application/json", "cf-connecting-ip": address },
      body: JSON.stringify({ email, password }),
    });
  const right = "correct horse battery";

  it("with a wrong password is possible five times from an address, all at once too, whoever is asked about", async () => {
    await new Team("guessed").begin();
    const wrong = await Promise.all(
      Array.from({ length: 8 }, (_, n) =>
        signIn(n % 2 ? "guessed@example.com" : "nobody@example.com", "wrong password", "198.51.100.1"),
      ),
    );
    expect(wrong.map(({ status }) => status).sort((a, b) => a - b)).toEqual([401, 401, 401, 401, 401, 429, 429, 429]);
    const bodies = await Promise.all(wrong.map(async (answer) => Problem.parse(await answer.json()).detail));
    expect(new Set(bodies).size).toBe(2);
    const late = await signIn("guessed@example.com", right, "198.51.100.1");
    expect(late.status).toBe(429);
    expect(Number(late.headers.get("retry-after"))).toBeGreaterThan(14 * 60);
    expect((await signIn("guessed@example.com", right, "198.51.100.2")).status).toBe(201);
  });

  it("is possible for the owner from a known address while strangers guess and neighbours have used up theirs", async () => {
    await new Team("owner").begin();
    expect((await signIn("owner@example.com", right, "203.0.113.5")).status).toBe(201);
    await Promise.all(Array.from({ length: 5 }, () => signIn("nobody@example.com", "wrong password", "203.0.113.5")));
    await Promise.all(
      Array.from({ length: 5 }, (_, n) => signIn("owner@example.com", "wrong password", `203.0.113.${10 + n}`)),
    );
    expect((await signIn("other@example.com", right, "203.0.113.5")).status).toBe(429);
    stillClock();
    const timers = vi.spyOn(globalThis, "setTimeout");
    const waits = () => timers.mock.calls.filter(([, ms]) => ms === SIGN_IN_LIMITS.spacingMs).length;
    expect((await signIn("owner@example.com", right, "203.0.113.5")).status).toBe(201);
    expect(waits()).toBe(0);
    // A stranger with the right password waits, and gets in.
    const beganMs = performance.now();
    expect((await signIn("owner@example.com", right, "203.0.113.30")).status).toBe(201);
    expect([waits(), performance.now() - beganMs >= 1_900]).toEqual([1, true]);
    timers.mockRestore();
  });

  it("counts a subscriber's whole network of IPv6, and nobody by the address of this machine", () => {
    expect(networkOf("2001:db8:1:2:3:4:5:6")).toBe("2001:db8:1:2");
    expect(networkOf("2001:db8:1:2::9")).toBe("2001:db8:1:2");
    expect(networkOf("2001:db8::9")).toBe("2001:db8:0:0");
    expect(networkOf("203.0.113.5")).toBe("203.0.113.5");
    for (const nobody of [null, "127.0.0.1", "::1"]) expect(networkOf(nobody)).toBeNull();
  });
});
