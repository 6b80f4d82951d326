// API tokens as their team sees them. Who a token is, on the path of each request, is asked in callers.ts.
import { and, desc, eq, lt } from "drizzle-orm";
import type { ApiToken } from "../../contracts/api.ts";
import type { Result } from "../../contracts/failures.ts";
import { ApiTokenId, type TeamId, type UserId } from "../../contracts/ids.ts";
import type { Database } from "../connect.ts";
import { apiTokens } from "../schema/teams.ts";
import { insertAudit, okIfExists, type By } from "./audit.ts";
import { decodeCursor, pageOf, type Page, type PageRequest } from "./page.ts";

const shown = {
  id: apiTokens.id,
  name: apiTokens.name,
  prefix: apiTokens.prefix,
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
    expiresAtMs: number | null;
  },
): Promise<ApiToken> {
  const { id, team, user, name, prefix, hash, expiresAtMs } = input;
  const [, [row]] = await db.runAll({ kind: "team", team }, (statements) => [
    statements.delete(apiTokens).where(and(eq(apiTokens.teamId, team), eq(apiTokens.id, id))),
    statements
      .insert(apiTokens)
      .values({ id, teamId: team, userId: user, name, prefix, hash, expiresAtMs })
      .returning(shown),
    insertAudit(statements, { ...input, action: "token.create", subject: id, data: { name } }),
  ]);
  if (row === undefined) throw new Error(`token ${id} was not stored`);
  return row;
}

/** Newest first, whoever of the team made them. */
export async function listApiTokens(db: Database, team: TeamId, page: PageRequest): Promise<Result<Page<ApiToken>>> {
  const cursor = decodeCursor(page.cursor, (key) => ApiTokenId.safeParse(key).success);
  if (!cursor.ok) return cursor;
  const before = cursor.value as ApiTokenId | null;
  const rows = await db.run({ kind: "team", team }, (statements) =>
    statements
      .select(shown)
      .from(apiTokens)
      .where(and(eq(apiTokens.teamId, team), before === null ? undefined : lt(apiTokens.id, before)))
      .orderBy(desc(apiTokens.id))
      .limit(page.limit + 1),
  );
  return {
    ok: true,
    value: pageOf(
      rows,
      page.limit,
      (row) => row.id,
      (row) => row,
    ),
  };
}

/** From then on it opens nothing. madeBy: only if that user made it. False: no such token. */
export async function deleteApiToken(
  db: Database,
  input: By & { team: TeamId; id: ApiTokenId; madeBy?: UserId },
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
