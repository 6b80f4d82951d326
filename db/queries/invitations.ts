// Invitations: made, listed and revoked within a team; accepted by whom they were sent to, who is not in it yet.
import { and, count, desc, eq, gt, isNull, lt, sql } from "drizzle-orm";
import type { Failure, Result } from "../../contracts/failures.ts";
import { InvitationId, type ProjectId, type TeamId, type UserId } from "../../contracts/ids.ts";
import type { Invitation } from "../../contracts/teams.ts";
import type { Database, Transaction } from "../connect.ts";
import { invitations, memberships, teams } from "../schema/teams.ts";
import { insertAudit, okIfExists, type By } from "./audit.ts";
import { teamOfUser, type TeamOfUser } from "./callers.ts";
import { isRole } from "./members.ts";
import { decodeCursor, pageOf, type Page, type PageRequest } from "./page.ts";
import { projectNames } from "./projects.ts";

const shown = {
  id: invitations.id,
  email: invitations.email,
  role: invitations.role,
  projects: projectNames(invitations.projectIds),
  state: sql<Invitation["state"]>`case when ${invitations.acceptedAtMs} is not null then 'accepted'
    when ${invitations.revokedAtMs} is not null then 'revoked'
    when ${invitations.expiresAtMs} <= now() then 'expired' else 'open' end`,
  invitedBy: invitations.invitedBy,
  createdAtMs: invitations.createdAtMs,
  expiresAtMs: invitations.expiresAtMs,
};
const isOpen = and(
  isNull(invitations.acceptedAtMs),
  isNull(invitations.revokedAtMs),
  gt(invitations.expiresAtMs, sql`now()`),
);
const refused = (code: Failure["code"], message: string): { ok: false; failure: Failure } => ({
  ok: false,
  failure: { code, message },
});

export interface Invite extends By {
  readonly id: InvitationId;
  readonly team: TeamId;
  /** Whoever the token acts for where an API token invites: it stands and falls with them. The audit has the token. */
  readonly inviter: UserId;
  readonly email: string;
  readonly role: string;
  readonly projectIds: ProjectId[] | null;
  /** SHA-256 of the link's token, in hexadecimal digits. */
  readonly hash: string;
  readonly expiresAtMs: number;
  readonly openMax: number;
}

/** An open one to the same address is replaced: one link at most is valid. The same id again replaces a link that nobody was shown. */
export function invite(db: Database, input: Invite): Promise<Result<Invitation>> {
  const { id, team, inviter, email, role, projectIds, hash, expiresAtMs } = input;
  return db.transaction({ kind: "team", team }, async (tx) => {
    if (!(await isRole(tx, team, role))) return refused("unprocessable", `the team has no role ${role}`);
    // Held, so that many at once are counted one after the other.
    await tx.select({ id: teams.id }).from(teams).where(eq(teams.id, team)).for("update");
    await tx
      .update(invitations)
      .set({ revokedAtMs: sql`now()` })
      .where(and(eq(invitations.teamId, team), eq(invitations.email, email), isOpen));
    const [open] = await tx
      .select({ all: count() })
      .from(invitations)
      .where(and(eq(invitations.teamId, team), isOpen));
    if ((open?.all ?? 0) >= input.openMax)
      return refused("conflict", `the team has ${input.openMax} open invitations: revoke some first`);
    const row = { teamId: team, email, role, projectIds, hash, invitedBy: `user:${inviter}`, expiresAtMs };
    await tx
      .insert(invitations)
      .values({ id, ...row })
      .onConflictDoUpdate({
        target: invitations.id,
        set: { hash, revokedAtMs: null },
        setWhere: isNull(invitations.acceptedAtMs),
      });
    await insertAudit(tx, {
      ...input,
      action: "member.invite",
      subject: id,
      after: { email, role, projects: projectIds, expiresAtMs },
    });
    const [made] = await tx.select(shown).from(invitations).where(eq(invitations.id, id));
    if (made === undefined) throw new Error(`the invitation ${id} was not stored`);
    return { ok: true, value: made };
  });
}

/** Newest first, those that ended included. */
export async function listInvitations(
  db: Database,
  team: TeamId,
  page: PageRequest,
): Promise<Result<Page<Invitation>>> {
  const cursor = decodeCursor(page.cursor, (key) => InvitationId.safeParse(key).success);
  if (!cursor.ok) return cursor;
  const before = cursor.value === null ? undefined : lt(invitations.id, cursor.value as InvitationId);
  const rows = await db.run({ kind: "team", team }, (statements) =>
    statements
      .select(shown)
      .from(invitations)
      .where(and(eq(invitations.teamId, team), before))
      .orderBy(desc(invitations.id))
      .limit(page.limit + 1),
  );
  return { ok: true, value: pageOf(rows, page.limit, (row) => row.id, (row) => row) }; // prettier-ignore
}

/** False: there is no such invitation that could still be accepted. */
export async function revokeInvitation(db: Database, input: By & { team: TeamId; id: InvitationId }): Promise<boolean> {
  const { team, id } = input;
  const which = and(
    ...[eq(invitations.teamId, team), eq(invitations.id, id)],
    ...[isNull(invitations.acceptedAtMs), isNull(invitations.revokedAtMs)],
  );
  const [, revoked] = await db.runAll({ kind: "team", team }, (statements) => [
    insertAudit(statements, {
      ...input,
      action: "invitation.revoke",
      subject: id,
      outcome: okIfExists(statements.select({ id: invitations.id }).from(invitations).where(which)),
    }),
    statements
      .update(invitations)
      .set({ revokedAtMs: sql`now()` })
      .where(which)
      .returning({ id: invitations.id }),
  ]);
  return revoked.length > 0;
}

export interface Accept extends By {
  readonly hash: string;
  readonly user: UserId;
  readonly email: string;
  readonly membersMax: number;
}

/**
 * As berth_auth: the user is not in the team yet. not_found: no such token, or it was sent to another address. gone: expired, revoked
 * or used. Who is a member already keeps their role.
 */
export function acceptInvitation(db: Database, input: Accept): Promise<Result<TeamOfUser>> {
  return db.transaction({ kind: "auth" }, async (tx) => {
    const [found] = await tx.select().from(invitations).where(eq(invitations.hash, input.hash)).for("update");
    if (found === undefined || found.email !== input.email.toLowerCase()) {
      const deed = { ...input, team: null, action: "invitation.accept", subject: input.email };
      await insertAudit(tx, { ...deed, outcome: "not_found" });
      return refused("not_found", "there is no such invitation to the e-mail address that you are signed in with");
    }
    const repeated = found.acceptedBy === input.user;
    if (!repeated) {
      if (found.acceptedAtMs !== null) return refused("gone", "this invitation was accepted already");
      if (found.revokedAtMs !== null) return refused("gone", "this invitation was revoked; ask for another");
      if (found.expiresAtMs <= Date.now()) return refused("gone", "this invitation has expired; ask for another");
      const joined = await join(tx, found, input);
      if (!joined.ok) return joined;
    }
    const [team] = await tx
      .select(teamOfUser)
      .from(memberships)
      .innerJoin(teams, eq(teams.id, memberships.teamId))
      .where(and(eq(memberships.teamId, found.teamId), eq(memberships.userId, input.user)));
    if (team === undefined) return refused("gone", "you have left this team since; ask for another invitation");
    return { ok: true, value: team };
  });
}

async function join(
  tx: Transaction,
  { id, teamId, role, projectIds }: typeof invitations.$inferSelect,
  input: Accept,
): Promise<Result<null>> {
  const [members] = await tx.select({ all: count() }).from(memberships).where(eq(memberships.teamId, teamId));
  if ((members?.all ?? 0) >= input.membersMax)
    return refused("conflict", `the team has ${input.membersMax} members, which is the most it may have`);
  await tx
    .insert(memberships)
    .values({ teamId, userId: input.user, role, projectIds })
    .onConflictDoUpdate({
      target: [memberships.teamId, memberships.userId],
      // As of now, so that it does not go before what they joined in the meantime.
      set: { bySignOn: false, createdAtMs: sql`now()` },
      setWhere: eq(memberships.bySignOn, true),
    });
  await tx.update(invitations).set({ acceptedAtMs: Date.now(), acceptedBy: input.user }).where(eq(invitations.id, id));
  const after = { user: input.user, role, projects: projectIds };
  await insertAudit(tx, { ...input, team: teamId, action: "invitation.accept", subject: id, after });
  return { ok: true, value: null };
}
