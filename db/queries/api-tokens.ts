// API tokens as their team sees them. Who a token is, on the path of each request, is asked in callers.ts.
import { and, desc, eq, lt } from "drizzle-orm";
import type { ApiToken } from "../../contracts/teams.ts";
import type { Result } from "../../contracts/failures.ts";
import { ApiTokenId, type ProjectId, type TeamId, type UserId } from "../../contracts/ids.ts";
import type { Database } from "../connect.ts";
import { apiTokens } from "../schema/teams.ts";
import { insertAudit, okIfExists, type By } from "./audit.ts";
import { decodeCursor, pageOf, type Page, type PageRequest } from "./page.ts";
import { projectNames } from "./projects.ts";

const shown = {
  id: apiTokens.id,
  name: apiTokens.name,
  prefix: apiTokens.prefix,
  user: apiTokens.userId,
  scopes: apiTokens.scopes,
  projects: projectNames(apiTokens.projectIds),
  createdAtMs: apiTokens.createdAtMs,
  expiresAtMs: apiTokens.expiresAtMs,
  lastUsedAtMs: apiTokens.lastUsedAtMs,
};

/** hash: SHA-256 of the token, in hexadecimal digits. The same id again replaces a token that nobody was shown. */
export async function insertApiToken(
  db: Database,
  input: By & {
    id: ApiTokenId;
    team: TeamId;
    user: UserId;
    name: string;
    prefix: string;
    hash: string;
    scopes: string[] | null;
    projectIds: ProjectId[] | null;
    expiresAtMs: number | null;
  },
): Promise<ApiToken> {
  const { id, team, user, name, prefix, hash, scopes, projectIds, expiresAtMs } = input;
  const [, , , [row]] = await db.runAll({ kind: "team", team }, (statements) => [
    statements.delete(apiTokens).where(and(eq(apiTokens.teamId, team), eq(apiTokens.id, id))),
    statements
      .insert(apiTokens)
      .values({ id, teamId: team, userId: user, name, prefix, hash, scopes, projectIds, expiresAtMs }),
    insertAudit(statements, {
      ...input,
      action: "token.create",
      subject: id,
      after: { name, scopes, projects: projectIds, expiresAtMs },
    }),
    statements.select(shown).from(apiTokens).where(eq(apiTokens.id, id)),
  ]);
  if (row === undefined) throw new Error(`token ${id} was not stored`);
  return row;
}

/** Newest first. madeBy: that user's alone. */
export async function listApiTokens(
  db: Database,
  team: TeamId,
  page: PageRequest & { readonly madeBy?: UserId | undefined },
): Promise<Result<Page<ApiToken>>> {
  const cursor = decodeCursor(page.cursor, (key) => ApiTokenId.safeParse(key).success);
  if (!cursor.ok) return cursor;
  const before = cursor.value === null ? undefined : lt(apiTokens.id, cursor.value as ApiTokenId);
  const made = page.madeBy === undefined ? undefined : eq(apiTokens.userId, page.madeBy);
  const rows = await db.run({ kind: "team", team }, (statements) =>
    statements
      .select(shown)
      .from(apiTokens)
      .where(and(eq(apiTokens.teamId, team), made, before))
      .orderBy(desc(apiTokens.id))
      .limit(page.limit + 1),
  );
  return { ok: true, value: pageOf(rows, page.limit, (row) => row.id, (row) => row) }; // prettier-ignore
}

/** From then on it opens nothing. madeBy: only if that user made it. False: no such token. */
export async function deleteApiToken(
  db: Database,
  input: By & { team: TeamId; id: ApiTokenId; madeBy?: UserId | undefined },
): Promise<boolean> {
  const { team, id, madeBy } = input;
  const which = and(
    eq(apiTokens.teamId, team),
    eq(apiTokens.id, id),
    madeBy === undefined ? undefined : eq(apiTokens.userId, madeBy),
  );
  const [, deleted] = await db.runAll({ kind: "team", team }, (statements) => [
    insertAudit(statements, {
      ...input,
      action: "token.revoke",
      subject: id,
      outcome: okIfExists(statements.select({ id: apiTokens.id }).from(apiTokens).where(which)),
    }),
    statements.delete(apiTokens).where(which).returning({ id: apiTokens.id }),
  ]);
  return deleted.length > 0;
}
