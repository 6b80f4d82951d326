// Who is in a team: listed, changed and removed within it. A team always keeps an owner.
import { and, asc, eq, gt, inArray, isNull, or } from "drizzle-orm";
import { TEAM_ROLES } from "../../contracts/access.ts";
import type { Failure, Result } from "../../contracts/failures.ts";
import { UserId, type ProjectId, type TeamId } from "../../contracts/ids.ts";
import type { Member } from "../../contracts/teams.ts";
import type { Database, Transaction } from "../connect.ts";
import { users } from "../schema/auth.ts";
import { invitations, memberships, roles, type StoredPolicy } from "../schema/teams.ts";
import { insertAudit, type By } from "./audit.ts";
import { decodeCursor, pageOf, type Page, type PageRequest } from "./page.ts";
import { projectNames } from "./projects.ts";

type Shown = Omit<Member, "email" | "name">;
const shown = {
  user: memberships.userId,
  role: memberships.role,
  projects: projectNames(memberships.projectIds),
  createdAtMs: memberships.createdAtMs,
};
const ofTeam = (team: TeamId, user: UserId) => and(eq(memberships.teamId, team), eq(memberships.userId, user));

/** By user id: as they signed up. The names are berth_auth's to read. */
export async function listMembers(
  db: { readonly app: Database; readonly auth: Database },
  team: TeamId,
  page: PageRequest,
): Promise<Result<Page<Member>>> {
  const cursor = decodeCursor(page.cursor, (key) => UserId.safeParse(key).success);
  if (!cursor.ok) return cursor;
  const after = cursor.value === null ? undefined : gt(memberships.userId, cursor.value as UserId);
  const rows = await db.app.run({ kind: "team", team }, (statements) =>
    statements
      .select(shown)
      .from(memberships)
      .where(and(eq(memberships.teamId, team), after))
      .orderBy(asc(memberships.userId))
      .limit(page.limit + 1),
  );
  const { items, nextCursor } = pageOf(rows, page.limit, (row) => row.user, (row) => row); // prettier-ignore
  return { ok: true, value: { items: await named(db.auth, items), nextCursor } };
}

async function named(auth: Database, rows: readonly Shown[]): Promise<Member[]> {
  if (rows.length === 0) return [];
  const ids = rows.map(({ user }) => user);
  const known = await auth.run({ kind: "auth" }, (statements) =>
    statements.select({ id: users.id, email: users.email, name: users.name }).from(users).where(inArray(users.id, ids)),
  );
  const byId = new Map(known.map((user) => [user.id, user]));
  return rows.map((row) => ({ ...row, email: byId.get(row.user)?.email ?? "", name: byId.get(row.user)?.name ?? "" }));
}

export interface MembershipRecord {
  readonly role: string;
  readonly policies: readonly StoredPolicy[] | null;
  readonly projects: readonly ProjectId[] | null;
}

/** What a member may, to be held against what would be taken from or given to it. Null: no member. */
export async function findMembership(db: Database, team: TeamId, user: UserId): Promise<MembershipRecord | null> {
  const [row] = await db.run({ kind: "team", team }, (statements) =>
    statements
      .select({ role: memberships.role, policies: roles.policies, projects: memberships.projectIds })
      .from(memberships)
      .leftJoin(roles, and(eq(roles.teamId, memberships.teamId), eq(roles.name, memberships.role)))
      .where(ofTeam(team, user)),
  );
  return row ?? null;
}

interface OfMember extends By {
  readonly team: TeamId;
  readonly user: UserId;
  /** As it was when the caller's right to this was judged; another one since: conflict. */
  readonly judgedRole: string;
}

const refused = (code: Failure["code"], message: string): { ok: false; failure: Failure } => ({
  ok: false,
  failure: { code, message },
});

/** conflict: the team would have no owner left, or the member was changed meanwhile. The open invitations of one who may less now end. */
export function changeMember(
  db: Database,
  input: OfMember & { readonly role?: string | undefined; readonly projectIds?: ProjectId[] | null | undefined },
): Promise<Result<null>> {
  const { team, user } = input;
  return db.transaction({ kind: "team", team }, async (tx) => {
    const held = await hold(tx, input);
    if (!held.ok) return held;
    const before = held.value;
    const after = {
      role: input.role ?? before.role,
      projectIds: input.projectIds === undefined ? before.projectIds : input.projectIds,
    };
    if (after.role === "owner" && after.projectIds !== null)
      return refused("unprocessable", "an owner is not limited to projects: give another role");
    if (!(await isRole(tx, team, after.role))) return refused("unprocessable", `the team has no role ${after.role}`);
    if (before.role === "owner" && after.role !== "owner" && held.value.otherOwners === 0)
      return refused(...LAST_OWNER);
    await tx.update(memberships).set(after).where(ofTeam(team, user));
    await endInvitations(tx, team, [user]);
    const { otherOwners: _, ...was } = before;
    await insertAudit(tx, { ...input, action: "member.update", subject: user, before: was, after });
    return { ok: true, value: null };
  });
}

/** From then on nothing of the team opens to that user, nor to the user's API tokens in it. */
export function removeMember(db: Database, input: OfMember): Promise<Result<null>> {
  const { team, user } = input;
  return db.transaction({ kind: "team", team }, async (tx) => {
    const held = await hold(tx, input);
    if (!held.ok) return held;
    const { otherOwners, ...before } = held.value;
    if (before.role === "owner" && otherOwners === 0) return refused(...LAST_OWNER);
    await tx.delete(memberships).where(ofTeam(team, user));
    await endInvitations(tx, team, [user]);
    await insertAudit(tx, { ...input, action: "member.remove", subject: user, before });
    return { ok: true, value: null };
  });
}

const LAST_OWNER = ["conflict", "the team would have no owner left: make another member its owner first"] as const;

/** The owners' rows are held with the member's: two owners who go at once go one after the other. */
async function hold(
  tx: Transaction,
  { team, user, judgedRole }: OfMember,
): Promise<Result<{ role: string; projectIds: ProjectId[] | null; otherOwners: number }>> {
  const rows = await tx
    .select({ user: memberships.userId, role: memberships.role, projectIds: memberships.projectIds })
    .from(memberships)
    .where(and(eq(memberships.teamId, team), or(eq(memberships.role, "owner"), eq(memberships.userId, user))))
    .orderBy(asc(memberships.userId))
    .for("update");
  const member = rows.find((row) => row.user === user);
  if (member === undefined) return refused("not_found", `the team has no member ${user}`);
  if (member.role !== judgedRole) return refused("conflict", "the member's role was changed meanwhile: try again");
  const otherOwners = rows.filter((row) => row.role === "owner" && row.user !== user).length;
  return { ok: true, value: { role: member.role, projectIds: member.projectIds, otherOwners } };
}

/** Built in, or one of the team's own that is there and stays until this transaction ends. */
export async function isRole(tx: Transaction, team: TeamId, role: string): Promise<boolean> {
  if ((TEAM_ROLES as readonly string[]).includes(role)) return true;
  const named = and(eq(roles.teamId, team), eq(roles.name, role));
  return (await tx.select({ name: roles.name }).from(roles).where(named).for("update")).length > 0;
}

/** Whoever may less, or nothing, has nobody join on a word of before. */
export async function endInvitations(tx: Transaction, team: TeamId, users: readonly UserId[]): Promise<void> {
  const inviters = users.map((user) => `user:${user}`);
  const open = and(isNull(invitations.acceptedAtMs), isNull(invitations.revokedAtMs));
  await tx
    .update(invitations)
    .set({ revokedAtMs: Date.now() })
    .where(and(eq(invitations.teamId, team), inArray(invitations.invitedBy, inviters), open));
}
