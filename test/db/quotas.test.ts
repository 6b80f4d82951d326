// Quotas in the transactions that spend them, on a real Postgres: also when everybody asks at once.
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { AppId, TeamId } from "../../contracts/ids.ts";
import type { Holding } from "../../contracts/quota.ts";
import { holdingOf } from "../../core/quota/holding.ts";
import { limitsOf, PLANS } from "../../core/quota/plans.ts";
import { spend } from "../../core/quota/spend.ts";
import { mintId, toUuid } from "../../db/ids.ts";
import {
  giveBackRelease,
  grantHolding,
  settleHoldings,
  spendReleases,
  type Settle,
} from "../../db/queries/app-holdings.ts";
import { unsettledHoldings } from "../../db/queries/app-holdings.ts";
import { createApp, destroyApp } from "../../db/queries/apps.ts";
import { addDomain } from "../../db/queries/domains.ts";
import { OutOfQuota, type QuotaPolicy } from "../../db/queries/quota-sql.ts";
import { readTeamPlan, setTeamPlan } from "../../db/queries/quotas.ts";
import { announced, SEED } from "../core/seed.ts";
import { notOverMidnight } from "../workers/still-clock.ts";
import { addApp, addTeam, testDatabase, type TestDatabase } from "./database.ts";

let db: TestDatabase;
const actor = "user:operator";
const plans = Object.fromEntries(Object.entries(PLANS).map(([name, { limits }]) => [name, limits]));
const policy: QuotaPolicy = { plans, defaultPlan: "starter" };
const each = { cpuMilli: 250, memoryBytes: 256 * 1024 ** 2, diskBytes: 1024 ** 3 };
const of = (replicas: number): Holding => holdingOf(replicas, each);
const NONE = of(0);
const RACERS = 100;

beforeAll(async () => {
  db = await testDatabase();
});
afterAll(() => db.close());

let teams = 0;
/** A team with limits of its own. */
async function teamWith(overrides: Record<string, number | null>, plan: string | null = "starter"): Promise<TeamId> {
  const { team } = await addTeam(db, `quota-${(teams += 1)}`);
  await setTeamPlan(db.app, { actor, team, plan, overrides });
  return team;
}
const makeApp = (team: TeamId, id: AppId = mintId("app")) => {
  const name = `a-${id.slice(-20)}`;
  const hostnameCandidates = [`${name}.test`];
  return createApp(db.app, { actor, id, team, name, regions: [], replicas: 2, hostnameCandidates, quota: policy });
};
const fails = (error: unknown): OutOfQuota => {
  if (error instanceof OutOfQuota) return error;
  throw error;
};
async function race<Value>(tries: number, one: (n: number) => Promise<Value>) {
  const ends = await Promise.all(Array.from({ length: tries }, (_, n) => one(n).catch(fails)));
  return {
    won: ends.filter((end) => !(end instanceof OutOfQuota)),
    lost: ends.filter((end) => end instanceof OutOfQuota),
  };
}

describe("one left, and a hundred who ask for it at once", () => {
  it("is had by exactly one, of apps", async () => {
    const team = await teamWith({ apps: 3 });
    for (let n = 0; n < 2; n += 1) await makeApp(team);
    const { won, lost } = await race(RACERS, () => makeApp(team));
    expect([won.length, lost.length]).toEqual([1, RACERS - 1]);
    expect(lost[0]).toMatchObject({
      facts: { plan: "starter", used: { apps: 3 }, asked: { apps: 1 }, limits: { apps: 3 } },
    });
  });

  it("is had by exactly one, of domains", async () => {
    const team = await teamWith({ domains: 1 });
    const { app } = await addApp(db, team, "domains");
    const own = { actor, team, app, domainsMax: 100, nowMs: 1, quota: policy };
    const { won } = await race(RACERS, (n) => addDomain(db.app, { ...own, hostname: `d${n}.example`, token: `t${n}` }));
    expect(won).toHaveLength(1);
  });

  it("is had by exactly one, of releases a day and of instances", async () => {
    await notOverMidnight();
    const team = await teamWith({ releasesPerDay: 5, instances: 3 });
    const apps = await Promise.all([makeApp(team), makeApp(team)]);
    const ids = apps.map((made) => (made.ok ? made.value.id : mintId<AppId>("app")));
    for (let n = 0; n < 4; n += 1) await release(team, ids[0]!, 1);
    const spent = await Promise.all(Array.from({ length: RACERS }, (_, n) => release(team, ids[n % 2]!, 1)));
    expect(spent.filter(({ counted }) => counted)).toHaveLength(1);
    const grants = await Promise.all(
      Array.from({ length: RACERS }, (_, n) => grant(team, ids[n % 2]!, of(2), n % 2 === 0 ? of(1) : NONE)),
    );
    const held = await readTeamPlan(db.app, team, policy);
    expect(held.used.instances).toBeLessThanOrEqual(3);
    expect(
      new Set(grants.filter(({ facts }) => facts.allowed).map(({ grant: granted }) => granted?.version)).size,
    ).toBeGreaterThan(0);
  });
});

const ask = (app: AppId, replicas: number | undefined) => ({
  app: { id: app },
  registry: null,
  replicas,
  resources: each,
});
const release = async (team: TeamId, app: AppId, replicas: number | undefined) =>
  (await spendReleases(db.app, { team, policy }, [ask(app, replicas)]))[0]!;
const settleHolding = async ({ team, ...one }: Settle & { team: TeamId }) =>
  (await settleHoldings(db.app, team, [one]))[0];
const grant = (team: TeamId, app: AppId, needs: Holding, holds: Holding) =>
  grantHolding(db.app, { team, policy, app, needs, holds });

describe("what an app may hold", () => {
  async function withApp(overrides: Record<string, number | null>) {
    const team = await teamWith(overrides);
    const made = await makeApp(team);
    if (!made.ok) throw new Error(made.failure.message);
    return { team, app: made.value.id };
  }

  it("is granted with the release that needs it, by as many replicas as the app began with, and once", async () => {
    const { team, app } = await withApp({});
    expect(await release(team, app, undefined)).toMatchObject({ counted: true, grant: { version: 1, amounts: of(2) } });
    // Nobody has said yet what became of the first: the App object may hold none of it.
    expect(await release(team, app, undefined)).toMatchObject({ counted: true, grant: { version: 2, amounts: of(2) } });
    expect(await settleHolding({ team, app, amounts: of(2), version: 2, settled: true })).toBe(true);
    expect(await release(team, app, undefined)).toMatchObject({ counted: true, grant: null });
    expect(await release(team, app, 3)).toMatchObject({ grant: { version: 3, amounts: of(3) } });
  });

  it("is not granted beyond the plan; the release is left to the app, which knows whether it grows", async () => {
    const { team, app } = await withApp({ memoryBytes: 300 * 1024 ** 2 });
    expect(await release(team, app, 2)).toMatchObject({ facts: { allowed: true }, counted: true, grant: null });
    expect(await grant(team, app, of(2), NONE)).toMatchObject({
      facts: { allowed: false, used: { memoryBytes: 0 }, asked: { memoryBytes: 512 * 1024 ** 2 } },
      grant: null,
    });
  });

  it("goes back when the app holds less, unless a newer grant is out", async () => {
    const { team, app } = await withApp({ instances: 4 });
    await grant(team, app, of(4), NONE);
    expect((await grant(team, app, of(5), NONE)).facts.allowed).toBe(false);
    const settle = (version: number, replicas: number) =>
      settleHolding({ team, app, version, amounts: of(replicas), settled: true });
    expect(await settle(0, 1)).toBe(false);
    expect(await settle(1, 1)).toBe(true);
    expect((await readTeamPlan(db.app, team, policy)).used.instances).toBe(1);
    expect((await grant(team, app, of(3), of(1))).grant).toMatchObject({ version: 2, amounts: of(3) });
    expect(await settle(1, 1)).toBe(false);
  });

  it("is granted anew where the app gave it back and Postgres does not know it yet", async () => {
    const { team, app } = await withApp({ instances: 2 });
    expect((await grant(team, app, of(2), NONE)).grant).toMatchObject({ version: 1, amounts: of(2) });
    expect((await grant(team, app, of(2), NONE)).grant).toMatchObject({ version: 2, amounts: of(2) });
  });

  it("is looked at again by the sweep for as long as it is not settled", async () => {
    const { team, app } = await withApp({});
    await grant(team, app, of(2), NONE);
    const mine = async () =>
      (await unsettledHoldings(db.app, { beforeMs: Date.now() + 1_000, limit: 500 })).filter((row) => row.app === app);
    expect(await mine()).toEqual([{ team, app, version: 1 }]);
    await settleHolding({ team, app, version: 1, amounts: of(2), settled: true });
    expect(await mine()).toEqual([]);
  });

  it("counts for apps from before quotas with what they say they hold, and is no growth", async () => {
    const { team, app } = await withApp({ instances: 5 });
    expect((await grant(team, app, of(6), of(4))).facts).toMatchObject({ allowed: false, used: { instances: 4 } });
    expect((await grant(team, app, of(5), of(4))).grant).toMatchObject({ amounts: of(5) });
  });

  it("is gone with the app", async () => {
    const { team, app } = await withApp({});
    await grant(team, app, of(2), NONE);
    await destroyApp(db.app, { actor, team, id: app, domainsRestUntilMs: 0 });
    expect((await readTeamPlan(db.app, team, policy)).used).toMatchObject({ apps: 0, instances: 0, memoryBytes: 0 });
    expect((await grant(team, app, of(1), NONE)).grant).toBeNull();
    expect((await release(team, app, 1)).counted).toBe(false);
  });
});

describe("releases of a day", () => {
  it("that come together are judged one after the other, each for its own app", async () => {
    await notOverMidnight();
    const team = await teamWith({ releasesPerDay: 2 });
    const made = [await makeApp(team), await makeApp(team)];
    const [first, second] = made.map((one) => (one.ok ? one.value.id : mintId<AppId>("app")));
    const nobodys = mintId<AppId>("app");
    const asks = [ask(first!, 1), ask(nobodys, 1), ask(second!, 2), ask(first!, 1)];
    const spent = await spendReleases(db.app, { team, policy }, asks);
    expect(spent.map(({ counted, facts }) => [counted, facts.allowed])).toEqual([
      ...[[true, true], [false, true], [true, true], [false, false]], // prettier-ignore
    ]);
    expect(spent.map((one) => one.grant?.amounts.instances ?? null)).toEqual([1, null, 2, null]);
    expect((await readTeamPlan(db.app, team, policy)).used).toMatchObject({ releasesPerDay: 2, instances: 3 });
  });

  it("are given back where none was made, and begin anew on another day", async () => {
    await notOverMidnight();
    const team = await teamWith({ releasesPerDay: 2 });
    const made = await makeApp(team);
    const app = made.ok ? made.value.id : mintId<AppId>("app");
    for (const counted of [true, true, false]) expect((await release(team, app, 1)).counted).toBe(counted);
    await giveBackRelease(db.app, team);
    for (const counted of [true, false]) expect((await release(team, app, 1)).counted).toBe(counted);
    await db.admin.query("update team_releases set day = day - 1 where team_id = $1", [toUuid(team, "team")]);
    expect((await release(team, app, 1)).counted).toBe(true);
    expect((await readTeamPlan(db.app, team, policy)).used.releasesPerDay).toBe(1);
  });
});

describe("a plan", () => {
  it("is the installation's default until an operator says otherwise, and audited with what was before", async () => {
    const { team } = await addTeam(db, "planned");
    expect(await readTeamPlan(db.app, team, policy)).toMatchObject({ plan: "starter", byDefault: true });
    await setTeamPlan(db.app, { actor, team, plan: "team", overrides: { apps: 7, domains: null } });
    await setTeamPlan(db.app, { actor, team, plan: "frozen", overrides: {} });
    expect(await readTeamPlan(db.app, team, policy)).toMatchObject({
      plan: "frozen",
      byDefault: false,
      limits: { apps: 0 },
    });
    const { rows } = await db.admin.query(
      "select before, after from audit where action = 'quota.set' and subject = $1 order by id",
      [team],
    );
    expect(rows).toEqual([
      { before: null, after: { plan: "team", overrides: { apps: 7, domains: null } } },
      { before: { plan: "team", overrides: { apps: 7, domains: null } }, after: { plan: "frozen", overrides: {} } },
    ]);
  });

  it("cannot be set from within a team", async () => {
    const { team } = await addTeam(db, "self-service");
    const set = db.app.run({ kind: "team", team }, (statements) =>
      statements.execute(
        `insert into team_plans (team_id, plan, set_by) values ('${toUuid(team, "team")}', 'unlimited', 'me')`,
      ),
    );
    await expect(set).rejects.toThrow();
  });

  it("which nobody knows any more counts as the default one", async () => {
    const team = await teamWith({}, "of-last-year");
    expect((await readTeamPlan(db.app, team, policy)).limits.apps).toBe(PLANS.starter.limits.apps);
  });
});

it(announced("Postgres and the rule agree on what fits"), async () => {
  const amount = fc.integer({ min: 0, max: 12 });
  const given = { apps: fc.option(amount), instances: fc.option(amount), memoryBytes: fc.option(amount) };
  const some = fc.record(given, { noNullPrototype: true });
  const { team } = await addTeam(db, "agreement");
  const { app } = await addApp(db, team, "agreement");
  await fc.assert(
    fc.asyncProperty(some, amount, amount, async (overrides, held, needed) => {
      await setTeamPlan(db.app, { actor, team, plan: "starter", overrides: overrides as never });
      await db.admin.query("update app_holdings set instances = $1, memory_bytes = $1 where app_id = $2", [
        held,
        toUuid(app, "app"),
      ]);
      const needs = { ...NONE, instances: needed, memoryBytes: needed };
      const { facts } = await grantHolding(db.app, { team, policy, app, needs, holds: NONE });
      const asked = Math.max(0, needed - held);
      const limits = limitsOf("starter", overrides as never);
      const rule = spend(
        { name: "starter", limits },
        { instances: held, memoryBytes: held },
        { instances: asked, memoryBytes: asked },
      );
      expect(facts.allowed).toBe(rule.kind === "allowed");
    }),
    { seed: SEED, numRuns: 40 },
  );
});
