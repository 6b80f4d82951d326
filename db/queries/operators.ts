// The installation's operators, as berth_auth: who they are, one more, one less. There is always one.
import { and, asc, eq, ne, sql } from "drizzle-orm";
import type { UserId } from "../../contracts/ids.ts";
import type { Database, Transaction } from "../connect.ts";
import { sessions, users } from "../schema/auth.ts";
import { apiTokens } from "../schema/teams.ts";

const shown = { user: users.id, email: users.email, name: users.name };
export type OperatorRecord = { readonly user: UserId; readonly email: string; readonly name: string };

export const listOperators = (db: Database): Promise<OperatorRecord[]> =>
  db.run({ kind: "auth" }, (statements) =>
    statements.select(shown).from(users).where(eq(users.operator, true)).orderBy(asc(users.id)),
  );

export async function findPerson(tx: Transaction, email: string) {
  const [found] = await tx
    .select({ ...shown, operator: users.operator, verified: users.emailVerified, secondFactor: users.twoFactorEnabled })
    .from(users)
    .where(eq(users.email, email.toLowerCase()))
    .for("update");
  return found ?? null;
}

/** What was made before, by whoever had the account's lesser rights, does not get the greater one: sessions and tokens end. */
export async function addOperator(tx: Transaction, user: UserId): Promise<void> {
  await tx.update(users).set({ operator: true }).where(eq(users.id, user));
  await tx.delete(sessions).where(eq(sessions.userId, user));
  await tx.delete(apiTokens).where(eq(apiTokens.userId, user));
}

/** Two at once wait for each other, so that one stays. Null: no operator; last: there would be none left. */
export async function dropOperator(tx: Transaction, user: UserId): Promise<OperatorRecord | "last" | null> {
  await tx.execute(sql`select pg_advisory_xact_lock(${OPERATORS_LOCK})`);
  const [other] = await tx
    .select({ id: users.id })
    .from(users)
    .where(and(eq(users.operator, true), ne(users.id, user)))
    .limit(1);
  const [found] = await tx
    .select(shown)
    .from(users)
    .where(and(eq(users.id, user), eq(users.operator, true)));
  if (found === undefined) return null;
  if (other === undefined) return "last";
  await tx.update(users).set({ operator: false }).where(eq(users.id, user));
  return found;
}

/** Any number of its own. */
const OPERATORS_LOCK = 5_518_204;
