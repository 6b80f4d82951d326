// Break-glass: operators' ways into teams that are not theirs. Opened, ended and looked up as berth_auth; read by the team.
import { and, desc, eq, gt, isNull, lt, lte, sql, type SQL } from "drizzle-orm";
import { OperatorEntryId, TeamId, type UserId } from "../../contracts/ids.ts";
import type { Result } from "../../contracts/failures.ts";
import type { OperatorEntry } from "../../contracts/teams.ts";
import type { Database, Transaction } from "../connect.ts";
import { users } from "../schema/auth.ts";
import { memberships, operatorEntries, teams } from "../schema/teams.ts";
import type { TeamOfUser } from "./callers.ts";
import { decodeCursor, pageOf, type Page, type PageRequest } from "./page.ts";

const shown = {
  id: operatorEntries.id,
  team: operatorEntries.teamId,
  user: operatorEntries.userId,
  email: operatorEntries.email,
  role: operatorEntries.role,
  reason: operatorEntries.reason,
  createdAtMs: operatorEntries.createdAtMs,
  endsAtMs: operatorEntries.endsAtMs,
  endedAtMs: operatorEntries.endedAtMs,
  endedBy: operatorEntries.endedBy,
};
const isOpen = and(isNull(operatorEntries.endedAtMs), gt(operatorEntries.endsAtMs, sql`now()`));

export function isTeamNamed(team: string): SQL {
  const id = TeamId.safeParse(team);
  return id.success ? eq(teams.id, id.data) : eq(teams.slug, team);
}

/** team: a slug or id. Null: that operator has no way into it now; nor without the second factor that it was opened with. */
export async function findOpenEntry(db: Database, user: UserId, team: string): Promise<TeamOfUser | null> {
  const [found] = await db.run({ kind: "auth" }, (statements) =>
    statements
      .select({
        id: teams.id,
        slug: teams.slug,
        name: teams.name,
        role: operatorEntries.role,
        createdAtMs: teams.createdAtMs,
      })
      .from(operatorEntries)
      .innerJoin(teams, eq(teams.id, operatorEntries.teamId))
      .innerJoin(users, and(eq(users.id, operatorEntries.userId), users.twoFactorEnabled))
      .where(and(eq(operatorEntries.userId, user), isTeamNamed(team), isOpen)),
  );
  return found ?? null;
}

/** Of the one who would enter, and of the team: null where there is no such team. */
export async function findEntering(tx: Transaction, user: UserId, team: string) {
  const [found] = await tx
    .select({
      ...{ team: teams.id, slug: teams.slug, name: teams.name },
      ...{ email: users.email, secondFactor: users.twoFactorEnabled },
      isMember: sql<boolean>`exists (select from ${memberships} where ${memberships.teamId} = ${teams.id} and ${memberships.userId} = ${users.id})`,
    })
    .from(teams)
    .innerJoin(users, eq(users.id, user))
    .where(isTeamNamed(team));
  return found ?? null;
}

export async function ownersOf(tx: Transaction, team: TeamId): Promise<string[]> {
  const rows = await tx
    .select({ email: users.email })
    .from(memberships)
    .innerJoin(users, eq(users.id, memberships.userId))
    .where(and(eq(memberships.teamId, team), eq(memberships.role, "owner")));
  return rows.map(({ email }) => email);
}

type Opening = Pick<OperatorEntry, "id" | "team" | "user" | "email" | "role" | "reason"> & { readonly minutes: number };

/** Null: the operator has an open one there; of two at once one is it. */
export async function openEntry(tx: Transaction, input: Opening): Promise<OperatorEntry | null> {
  const { team, user, minutes, ...rest } = input;
  const over = and(eq(operatorEntries.teamId, team), eq(operatorEntries.userId, user), isNull(operatorEntries.endedAtMs), lte(operatorEntries.endsAtMs, sql`now()`)); // prettier-ignore
  await tx
    .update(operatorEntries)
    .set({ endedAtMs: sql`ends_at`, endedBy: "system" })
    .where(over);
  const endsAtMs = sql`now() + make_interval(mins => ${minutes})`;
  const [opened] = await tx
    .insert(operatorEntries)
    .values({ ...rest, teamId: team, userId: user, endsAtMs })
    .onConflictDoNothing()
    .returning(shown);
  return opened ?? null;
}

/** Null: there is no open one of that kind. */
export async function endEntry(
  tx: Transaction,
  of: { readonly team: TeamId } & ({ readonly user: UserId } | { readonly id: OperatorEntryId }),
  endedBy: string,
): Promise<OperatorEntry | null> {
  const which = "id" in of ? eq(operatorEntries.id, of.id) : eq(operatorEntries.userId, of.user);
  const [ended] = await tx
    .update(operatorEntries)
    .set({ endedAtMs: sql`now()`, endedBy })
    .where(and(eq(operatorEntries.teamId, of.team), which, isOpen))
    .returning(shown);
  return ended ?? null;
}

/** Newest first. */
export async function listEntries(db: Database, team: TeamId, page: PageRequest): Promise<Result<Page<OperatorEntry>>> {
  const cursor = decodeCursor(page.cursor, (key) => OperatorEntryId.safeParse(key).success);
  if (!cursor.ok) return cursor;
  const before = cursor.value === null ? undefined : lt(operatorEntries.id, cursor.value as OperatorEntryId);
  const rows = await db.run({ kind: "team", team }, (statements) =>
    statements
      .select(shown)
      .from(operatorEntries)
      .where(and(eq(operatorEntries.teamId, team), before))
      .orderBy(desc(operatorEntries.id))
      .limit(page.limit + 1),
  );
  return { ok: true, value: pageOf(rows, page.limit, (row) => row.id, (row) => row) }; // prettier-ignore
}
