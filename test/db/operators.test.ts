// There is always an operator.
import { afterAll, beforeAll, expect, it } from "vitest";
import type { UserId } from "../../contracts/ids.ts";
import { toUuid } from "../../db/ids.ts";
import { addOperator, dropOperator, listOperators } from "../../db/queries/operators.ts";
import { addTeam, testDatabase, type TestDatabase } from "./database.ts";

let db: TestDatabase;
beforeAll(async () => {
  db = await testDatabase();
});
afterAll(() => db.close());

it("of two who end each other's right at once, one stays", async () => {
  const { user: ann } = await addTeam(db, "ann");
  const { user: ben } = await addTeam(db, "ben");
  const drop = (user: UserId) => db.auth.transaction({ kind: "auth" }, (tx) => dropOperator(tx, user));
  expect(await drop(ann), "none yet").toBeNull();
  for (const user of [ann, ben]) await db.auth.transaction({ kind: "auth" }, (tx) => addOperator(tx, user));
  const dropped = await Promise.all([drop(ann), drop(ben)]);
  expect(dropped.filter((result) => result === "last")).toHaveLength(1);
  const left = await listOperators(db.auth);
  expect(left).toHaveLength(1);
  expect(await drop(left[0]!.user)).toBe("last");
  const { rows } = await db.admin.query("select operator from users where id = $1", [toUuid(left[0]!.user, "user")]);
  expect(rows).toEqual([{ operator: true }]);
});
