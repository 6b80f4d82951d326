// Sessions, as berth_auth: one's own, listed and ended; and those that are over, swept away with what else expires.
import { and, desc, eq, gt, isNotNull, lt, ne, sql } from "drizzle-orm";
import type { TeamId, UserId } from "../../contracts/ids.ts";
import type { Database, Transaction } from "../connect.ts";
import { fromUuid } from "../ids.ts";
import { accounts, deviceCodes, sessions, signUpInvitations, users, verifications } from "../schema/auth.ts";

/** Forgets expired sessions; for the cron sweep. Answers how many. */
export async function sweepSessions(db: Database): Promise<number> {
  const [gone] = await db.runAll({ kind: "auth" }, (statements) => [
    statements
      .delete(sessions)
      .where(lt(sessions.expiresAt, sql`now()`))
      .returning({ id: sessions.id }),
    statements.delete(verifications).where(lt(verifications.expiresAt, sql`now()`)),
    statements.delete(deviceCodes).where(lt(deviceCodes.expiresAt, sql`now() - interval '1 hour'`)),
    statements.delete(signUpInvitations).where(lt(signUpInvitations.expiresAt, sql`now()`)),
  ]);
  return gone.length;
}

export interface OwnSession {
  readonly id: UserId;
  readonly email: string;
  readonly secondFactorOn: boolean;
  /** Of the session. */
  readonly createdAtMs: number;
  readonly secondFactor: boolean;
  readonly signOnTeam: TeamId | null;
}

export async function findOwnSession(tx: Transaction, token: string): Promise<OwnSession | null> {
  const [row] = await tx
    .select({
      id: users.id,
      email: users.email,
      secondFactorOn: users.twoFactorEnabled,
      createdAt: sessions.createdAt,
      secondFactor: sessions.secondFactor,
      signOnTeam: sessions.signOnTeam,
    })
    .from(sessions)
    .innerJoin(users, eq(users.id, sessions.userId))
    .where(and(eq(sessions.token, token), gt(sessions.expiresAt, sql`now()`)));
  if (row === undefined) return null;
  const { createdAt, ...rest } = row;
  return { ...rest, createdAtMs: createdAt.getTime() };
}

/** Newest first; which of them is the one whose token this is. */
export async function listSessionsOf(tx: Transaction, user: UserId, token: string) {
  const rows = await tx
    .select({
      id: sessions.id,
      createdAt: sessions.createdAt,
      expiresAt: sessions.expiresAt,
      address: sessions.ipAddress,
      userAgent: sessions.userAgent,
      secondFactor: sessions.secondFactor,
      signOnTeam: sessions.signOnTeam,
      current: sql<boolean>`${sessions.token} = ${token}`,
    })
    .from(sessions)
    .where(and(eq(sessions.userId, user), gt(sessions.expiresAt, sql`now()`)))
    .orderBy(desc(sessions.createdAt), desc(sessions.id));
  return rows.map(({ createdAt, expiresAt, address, userAgent, ...row }) => ({
    ...row,
    address: address || null,
    userAgent: userAgent || null,
    createdAtMs: createdAt.getTime(),
    expiresAtMs: expiresAt.getTime(),
  }));
}

/** Whether there was one. */
export async function deleteSession(tx: Transaction, user: UserId, id: string): Promise<boolean> {
  const gone = await tx
    .delete(sessions)
    .where(and(eq(sessions.id, id), eq(sessions.userId, user)))
    .returning({ id: sessions.id });
  return gone.length > 0;
}

/** All of a user's, but the one with this token. Answers how many. */
export async function deleteSessionsOf(tx: Transaction, user: UserId, exceptToken: string | null): Promise<number> {
  const others = exceptToken === null ? undefined : ne(sessions.token, exceptToken);
  const gone = await tx
    .delete(sessions)
    .where(and(eq(sessions.userId, user), others))
    .returning({ id: sessions.id });
  return gone.length;
}

/** How one may sign in: `password`, `github`, `google`, `sso-team_…`. Of a team's, better-auth's rows have the uuid. */
export async function listWaysIn(tx: Transaction, user: UserId): Promise<string[]> {
  const rows = await tx
    .select({ provider: accounts.providerId })
    .from(accounts)
    .where(and(eq(accounts.userId, user), isNotNull(accounts.accountId)))
    .orderBy(accounts.createdAt);
  return rows.map(({ provider }) => {
    if (provider === "credential") return "password";
    return provider.startsWith("sso-") ? `sso-${fromUuid("team", provider.slice("sso-".length))}` : provider;
  });
}
