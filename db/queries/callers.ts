// Who is asking, in one round trip, as berth_auth: a session or an API token, its user, and the team it is about.
import { and, asc, eq, gt, isNull, or, sql, type SQL } from "drizzle-orm";
import { TeamId, type ApiTokenId, type UserId } from "../../contracts/ids.ts";
import type { Database } from "../connect.ts";
import { sessions, users } from "../schema/auth.ts";
import { apiTokens, memberships, teams } from "../schema/teams.ts";

export type Role = (typeof memberships.$inferSelect)["role"];

export interface TeamOfUser {
  readonly id: TeamId;
  readonly slug: string;
  readonly name: string;
  readonly role: Role;
  readonly createdAtMs: number;
}

export interface CallerRecord {
  readonly user: { readonly id: UserId; readonly email: string; readonly name: string; readonly operator: boolean };
  /** Null: the user is in no team of that name. */
  readonly team: TeamOfUser | null;
  readonly expiresAtMs: number | null;
  readonly token: ApiTokenId | null;
}

const user = { id: users.id, email: users.email, name: users.name, operator: users.operator };
export const teamOfUser = {
  id: teams.id,
  slug: teams.slug,
  name: teams.name,
  role: memberships.role,
  createdAtMs: teams.createdAtMs,
};

/** token: of the sessions table. team: a slug or id; absent, the user's first team. Null: no such session, or it has expired. */
export async function findCallerBySession(
  db: Database,
  token: string,
  team: string | undefined,
): Promise<CallerRecord | null> {
  const [row] = await db.run({ kind: "auth" }, (statements) =>
    statements
      .select({ user, team: teamOfUser, expiresAt: sessions.expiresAt })
      .from(sessions)
      .innerJoin(users, eq(users.id, sessions.userId))
      .leftJoin(memberships, and(eq(memberships.userId, users.id), isTeam(team)))
      .leftJoin(teams, eq(teams.id, memberships.teamId))
      .where(and(eq(sessions.token, token), gt(sessions.expiresAt, sql`now()`)))
      .orderBy(asc(memberships.createdAtMs), asc(memberships.teamId))
      .limit(1),
  );
  if (row === undefined) return null;
  return { user: row.user, team: teamIn(row.team), expiresAtMs: row.expiresAt.getTime(), token: null };
}

function isTeam(team: string | undefined): SQL | undefined {
  if (team === undefined) return undefined;
  const id = TeamId.safeParse(team);
  if (id.success) return eq(memberships.teamId, id.data);
  return sql`${memberships.teamId} = (select ${teams.id} from ${teams} where ${teams.slug} = ${team})`;
}

/** A left join gives each column as null where there is no row. */
function teamIn(team: { [Key in keyof TeamOfUser]: TeamOfUser[Key] | null } | null): TeamOfUser | null {
  return team === null || team.id === null || team.role === null ? null : (team as TeamOfUser);
}

/** hash: SHA-256 of what was shown, in hexadecimal digits. Notes the use, once a minute at most. Null: unknown, expired or its user left. */
export async function findCallerByApiToken(db: Database, hash: string): Promise<CallerRecord | null> {
  const [row] = await db.run({ kind: "auth" }, (statements) => {
    const stale = or(isNull(apiTokens.lastUsedAtMs), sql`${apiTokens.lastUsedAtMs} < now() - interval '1 minute'`);
    const noted = statements.$with("noted").as(
      statements
        .update(apiTokens)
        .set({ lastUsedAtMs: sql`now()` })
        .where(and(eq(apiTokens.hash, hash), stale))
        .returning({ id: apiTokens.id }),
    );
    return statements
      .with(noted)
      .select({ user, team: teamOfUser, expiresAtMs: apiTokens.expiresAtMs, token: apiTokens.id })
      .from(apiTokens)
      .innerJoin(users, eq(users.id, apiTokens.userId))
      .innerJoin(memberships, and(eq(memberships.userId, users.id), eq(memberships.teamId, apiTokens.teamId)))
      .innerJoin(teams, eq(teams.id, apiTokens.teamId))
      .where(and(eq(apiTokens.hash, hash), or(isNull(apiTokens.expiresAtMs), gt(apiTokens.expiresAtMs, sql`now()`))))
      .limit(1);
  });
  return row ?? null;
}
