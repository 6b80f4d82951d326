// Users beside what better-auth does with them: who is registered, who is the installation's operator.
import { eq, sql } from "drizzle-orm";
import type { UserId } from "../../contracts/ids.ts";
import type { Database, Transaction } from "../connect.ts";
import { toUuid } from "../ids.ts";
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
  await tx.update(users).set({ operator: true, emailVerified: true }).where(eq(users.id, user));
  // What an operator's own teams use is the operator's to pay for.
  await tx.execute(sql`insert into team_plans (team_id, plan, set_by)
    select team_id, 'unlimited', 'system' from memberships where user_id = ${toUuid(user, "user")} on conflict do nothing`);
}

export async function findUser(tx: Transaction, email: string) {
  const [user] = await tx
    .select({ id: users.id, email: users.email })
    .from(users)
    .where(eq(users.email, email.toLowerCase()));
  return user ?? null;
}

/** Whoever read a letter has proven the address. */
export async function markVerified(tx: Transaction, user: UserId): Promise<void> {
  await tx.update(users).set({ emailVerified: true }).where(eq(users.id, user));
}

/** Nobody else holds the row until this transaction ends. */
export async function holdUser(tx: Transaction, user: UserId): Promise<{ email: string; name: string }> {
  const shown = { email: users.email, name: users.name };
  const [found] = await tx.select(shown).from(users).where(eq(users.id, user)).for("no key update");
  if (found === undefined) throw new Error(`the user ${user} vanished`);
  return found;
}

export async function showUser(tx: Transaction, user: UserId) {
  const [found] = await tx
    .select({ email: users.email, emailVerified: users.emailVerified, secondFactor: users.twoFactorEnabled })
    .from(users)
    .where(eq(users.id, user));
  return found ?? null;
}

/** better-auth keeps addresses in lower case. */
export async function isRegistered(db: Database, email: string): Promise<boolean> {
  const found = await db.run({ kind: "auth" }, (statements) =>
    statements.select({ id: users.id }).from(users).where(eq(users.email, email.toLowerCase())),
  );
  return found.length > 0;
}

export async function isOperator(tx: Transaction, user: UserId): Promise<boolean> {
  const [found] = await tx.select({ operator: users.operator }).from(users).where(eq(users.id, user));
  return found?.operator ?? false;
}
