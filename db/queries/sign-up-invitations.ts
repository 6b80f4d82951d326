// Who is invited to make an account, as berth_auth.
import { and, eq, gt, isNull, sql } from "drizzle-orm";
import type { Database, Transaction } from "../connect.ts";
import { signUpInvitations } from "../schema/auth.ts";
import { invitations } from "../schema/teams.ts";
import { insertAudit, type By } from "./audit.ts";

/** Whether there was one that stands: of an operator, which is used up, or of a team, which is accepted after the sign-in. */
export async function takeInvitation(tx: Transaction, email: string): Promise<boolean> {
  const taken = await tx
    .delete(signUpInvitations)
    .where(and(eq(signUpInvitations.email, email.toLowerCase()), gt(signUpInvitations.expiresAt, sql`now()`)))
    .returning({ email: signUpInvitations.email });
  if (taken.length > 0) return true;
  const isOpen = and(
    ...[isNull(invitations.acceptedAtMs), isNull(invitations.revokedAtMs)],
    gt(invitations.expiresAtMs, sql`now()`),
  );
  const [ofTeam] = await tx
    .select({ id: invitations.id })
    .from(invitations)
    .where(and(eq(invitations.email, email.toLowerCase()), isOpen))
    .limit(1);
  return ofTeam !== undefined;
}

/** Again: it stands for as long anew. */
export async function invite(db: Database, { email, expiresAt, ...by }: By & { email: string; expiresAt: Date }) {
  const address = email.toLowerCase();
  await db.runAll({ kind: "auth" }, (statements) => [
    statements
      .insert(signUpInvitations)
      .values({ email: address, invitedBy: by.actor, expiresAt })
      .onConflictDoUpdate({ target: signUpInvitations.email, set: { expiresAt, invitedBy: by.actor } }),
    insertAudit(statements, { ...by, team: null, action: "user.invite", subject: address }),
  ]);
}
