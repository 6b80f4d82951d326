// Users beside what better-auth does with them: who is registered, who is the installation's operator.
import { eq, sql } from "drizzle-orm";
import type { UserId } from "../../contracts/ids.ts";
import type { Database, Transaction } from "../connect.ts";
import { users } from "../schema/auth.ts";

/** Any number: two set-ups at once wait for each other. */
const SETUP_LOCK = 5_518_203;

/** Until this transaction ends, nobody else learns the answer: so that one set-up makes the operator. */
export async function hasOperator(tx: Transaction): Promise<boolean> {
  await tx.execute(sql`select pg_advisory_xact_lock(${SETUP_LOCK})`);
  const found = await tx.select({ id: users.id }).from(users).where(eq(users.operator, true)).limit(1);
  return found.length > 0;
}

export async function makeOperator(tx: Transaction, user: UserId): Promise<void> {
  await tx.update(users).set({ operator: true }).where(eq(users.id, user));
}

/** better-auth keeps addresses in lower case. */
export async function isRegistered(db: Database, email: string): Promise<boolean> {
  const found = await db.run({ kind: "auth" }, (statements) =>
    statements.select({ id: users.id }).from(users).where(eq(users.email, email.toLowerCase())),
  );
  return found.length > 0;
}
