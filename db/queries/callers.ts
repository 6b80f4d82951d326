// Who is asking, in one round trip, as berth_auth: a session or an API token, its user, the team it is about, and what it may there.
import { and, asc, eq, gt, isNull, or, sql, type SQL } from "drizzle-orm";
import { TeamId, type ApiTokenId, type ProjectId, type UserId } from "../../contracts/ids.ts";
import type { Database, Statements } from "../connect.ts";
import { accounts, sessions, users } from "../schema/auth.ts";
import { findOpenEntry } from "./operator-entries.ts";
import { apiTokens, memberships, roles, singleSignOns, teams, type StoredPolicy } from "../schema/teams.ts";

export interface TeamOfUser {
  readonly id: TeamId;
  readonly slug: string;
  readonly name: string;
  readonly role: string;
  readonly createdAtMs: number;
}

export interface CallerRecord {
  readonly user: { readonly id: UserId; readonly email: string; readonly name: string; readonly operator: boolean };
  /** Null: the user is in no team of that name. */
  readonly team: TeamOfUser | null;
  readonly expiresAtMs: number | null;
  readonly token: ApiTokenId | null;
  /** Of the team's own role that the member has; null: the role is built in, or is no longer there. */
  readonly policies: readonly StoredPolicy[] | null;
  /** Of the membership; null: the whole team. */
  readonly projects: readonly ProjectId[] | null;
  /** Of the API token; null: all that its user may. */
  readonly tokenScopes: readonly string[] | null;
  readonly tokenProjects: readonly ProjectId[] | null;
  /** The team wants a second factor that this user, or this session, does not have. */
  readonly lacksSecondFactor: boolean;
  /** The team wants its members to come in through its own provider, and this session did not. */
  readonly lacksSignOn: boolean;
  /** An operator's, by an entry for a while (db/queries/operator-entries.ts), and no member's. */
  readonly entered: boolean;
  /** The session was opened through this team's single sign-on: it is whoever the team vouches for, and not the account's owner. */
  readonly signedOn: boolean;
}

/** Of the membership in the row: joined, so that it costs no round trip. */
const rights = { policies: roles.policies, projects: memberships.projectIds };
const isRoleOfMembership = and(eq(roles.teamId, memberships.teamId), eq(roles.name, memberships.role));

/** What a team's provider says of an address makes nobody an operator. */
const operatorBySession = sql<boolean>`(${users.operator} and ${sessions.signOnTeam} is null)`;
const user = { id: users.id, email: users.email, name: users.name, operator: users.operator };
export const teamOfUser = {
  id: teams.id,
  slug: teams.slug,
  name: teams.name,
  role: memberships.role,
  createdAtMs: teams.createdAtMs,
};

/**
 * Asked of each request anew, so that a policy holds from the next one on. Whoever signs on through the team's own provider is
 * vouched for by it.
 */
const signsOn = sql`exists (select from ${accounts} where ${accounts.userId} = ${users.id} and ${accounts.providerId} = 'sso-' || ${teams.id})`;
const lacksByToken = sql<boolean>`(${teams.secondFactorRequired} and not ${users.twoFactorEnabled} and not ${signsOn})`;
/** Owners have a way beside the provider, which may be away or wrongly set up. */
const lacksSignOnBySession = sql<boolean>`(${sessions.signOnTeam} is null and not (coalesce(${memberships.role} = 'owner', false) and ${sessions.secondFactor}) and exists (select from ${singleSignOns} where ${singleSignOns.teamId} = ${memberships.teamId} and ${singleSignOns.enforced}))`;
const signedOnBySession = sql<boolean>`(${sessions.signOnTeam} is not null)`;
const lacksBySession = sql<boolean>`coalesce(${teams.secondFactorRequired} and not ${sessions.secondFactor} and ${sessions.signOnTeam} is null, false)`;

/**
 * token: of the sessions table. team: a slug or id; absent, the first that the user made or accepted in person. Null: no such session,
 * or it has expired, or it is older than the account's second factor. A session of a team's single sign-on sees that team alone.
 */
export async function findCallerBySession(
  db: Database,
  token: string,
  team: string | undefined,
): Promise<CallerRecord | null> {
  const [row] = await db.run({ kind: "auth" }, (statements) =>
    statements
      .select({
        ...{
          user: { ...user, operator: operatorBySession },
          team: teamOfUser,
          ...rights,
          expiresAt: sessions.expiresAt,
        },
        ...{ lacksSecondFactor: lacksBySession, lacksSignOn: lacksSignOnBySession, signedOn: signedOnBySession },
      })
      .from(sessions)
      .innerJoin(users, eq(users.id, sessions.userId))
      .leftJoin(memberships, and(eq(memberships.userId, users.id), isTeam(team), isReached))
      .leftJoin(teams, eq(teams.id, memberships.teamId))
      .leftJoin(roles, isRoleOfMembership)
      .where(and(eq(sessions.token, token), gt(sessions.expiresAt, sql`now()`), hasShownEnough))
      .orderBy(asc(memberships.createdAtMs), asc(memberships.teamId))
      .limit(1),
  );
  if (row === undefined) return null;
  const { policies, projects, lacksSecondFactor, lacksSignOn, signedOn } = row;
  const session = { expiresAtMs: row.expiresAt.getTime(), token: null, tokenScopes: null, tokenProjects: null };
  const lacks = { lacksSecondFactor, lacksSignOn, signedOn };
  const own = teamIn(row.team);
  const entry =
    own === null && team !== undefined && row.user.operator ? await findOpenEntry(db, row.user.id, team) : null;
  return { user: row.user, team: own ?? entry, policies, projects, entered: entry !== null, ...lacks, ...session };
}

const isReached = sql`(${sessions.signOnTeam} is null or ${sessions.signOnTeam} = ${memberships.teamId})`;
const hasShownEnough = sql`(${sessions.secondFactor} or not ${users.twoFactorEnabled} or ${sessions.signOnTeam} is not null)`;

/** A provider can name anybody: its team is not where the things go of who comes in by themselves and names no team. */
const isChosen = sql`(${sessions.signOnTeam} is not null or not ${memberships.bySignOn})`;

function isTeam(team: string | undefined): SQL {
  if (team === undefined) return isChosen;
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
  const [row] = await db.ask(byApiToken, { hash: apiTokens.hash.mapToDriverValue(hash) });
  return row === undefined ? null : { ...row, entered: false };
}

function byApiToken(statements: Statements) {
  const isShown = eq(apiTokens.hash, sql.placeholder("hash"));
  const stale = or(isNull(apiTokens.lastUsedAtMs), sql`${apiTokens.lastUsedAtMs} < now() - interval '1 minute'`);
  const noted = statements.$with("noted").as(
    statements
      .update(apiTokens)
      .set({ lastUsedAtMs: sql`now()` })
      .where(and(isShown, stale))
      .returning({ id: apiTokens.id }),
  );
  return statements
    .with(noted)
    .select({
      ...{ user, team: teamOfUser, ...rights },
      ...{ expiresAtMs: apiTokens.expiresAtMs, token: apiTokens.id },
      ...{ tokenScopes: apiTokens.scopes, tokenProjects: apiTokens.projectIds },
      lacksSecondFactor: lacksByToken,
      ...{ lacksSignOn: sql<boolean>`false`, signedOn: sql<boolean>`false` },
    })
    .from(apiTokens)
    .innerJoin(users, eq(users.id, apiTokens.userId))
    .innerJoin(memberships, and(eq(memberships.userId, users.id), eq(memberships.teamId, apiTokens.teamId)))
    .innerJoin(teams, eq(teams.id, apiTokens.teamId))
    .leftJoin(roles, isRoleOfMembership)
    .where(and(isShown, or(isNull(apiTokens.expiresAtMs), gt(apiTokens.expiresAtMs, sql`now()`))))
    .limit(1)
    .prepare("caller_by_api_token");
}
