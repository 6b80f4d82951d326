// Which hostnames apps are served under, over all teams: the platform's, and custom ones for as long as they are held.
import { afterAll, beforeAll, expect, it } from "vitest";
import type { AppId } from "../../contracts/ids.ts";
import { mintId, toUuid } from "../../db/ids.ts";
import { hostnamesOf } from "../../db/queries/hostnames.ts";
import { addApp, addTeam, testDatabase, type TestDatabase } from "./database.ts";

let db: TestDatabase;
beforeAll(async () => void (db = await testDatabase()));
afterAll(() => db.close());

it("finds those of many apps of several teams, and leaves out what rests and whose apps were not asked for", async () => {
  const [one, other] = [await addTeam(db, "names-a"), await addTeam(db, "names-b")];
  const a = (await addApp(db, one.team, "shop", "shop-a.test")).app;
  const b = (await addApp(db, other.team, "shop", "shop-b.test")).app;
  const hold = (hostname: string, team: string, app: AppId, state: string) =>
    db.admin.query("insert into domain_holds (hostname, team_id, app_id, state, revision) values ($1, $2, $3, $4, 1)", [
      hostname,
      toUuid(team as never, "team"),
      toUuid(app, "app"),
      state,
    ]);
  await hold("www.shop.example", one.team, a, "held");
  await hold("*.shop.example", one.team, a, "held");
  await hold("old.shop.example", one.team, a, "resting");
  const many = Array.from({ length: 1_100 }, () => mintId<AppId>("app"));
  const found = await hostnamesOf(db.app, [a, ...many, b]);
  expect(found.get(a)?.sort()).toEqual(["*.shop.example", "shop-a.test", "www.shop.example"]);
  expect(found.get(b)).toEqual(["shop-b.test"]);
  expect([...found.keys()]).toHaveLength(2);
  expect([...(await hostnamesOf(db.app, [b])).keys()]).toEqual([b]);
});
