// Join tokens: made by an operator, used once, by one key.
import { and, desc, eq, gt, isNull, lt, ne, notExists, sql } from "drizzle-orm";
import { alias } from "drizzle-orm/pg-core";
import type { JoinTokenCreated } from "../../contracts/api.ts";
import type { Failure, Result } from "../../contracts/failures.ts";
import { JoinTokenId, type NodeId, type RegionName } from "../../contracts/ids.ts";
import type { Database } from "../connect.ts";
import { joinTokens } from "../schema/nodes.ts";
import { insertAudit, okIfExists, recordAudit, type By } from "./audit.ts";
import { decodeCursor, pageOf, type Page, type PageRequest } from "./page.ts";

type JoinToken = Omit<JoinTokenCreated, "token">;

const shown = {
  id: joinTokens.id,
  region: joinTokens.region,
  createdAtMs: joinTokens.createdAtMs,
  expiresAtMs: joinTokens.expiresAtMs,
  usedAtMs: joinTokens.usedAtMs,
  usedBy: joinTokens.usedBy,
};

/** hash: SHA-256 of the token, in hexadecimal digits. The same id again replaces a token that nobody was shown. */
export async function createJoinToken(
  db: Database,
  input: By & { id: JoinTokenId; hash: string; region: RegionName | null; expiresInMs: number },
): Promise<JoinToken> {
  const { id, hash, region, expiresInMs, actor } = input;
  const expires = sql`now() + make_interval(secs => ${expiresInMs / 1_000})`;
  const [, , [row]] = await db.runAll({ kind: "operator" }, (statements) => [
    statements
      .insert(joinTokens)
      .values({ id, hash, region, createdBy: actor, expiresAtMs: expires })
      .onConflictDoUpdate({
        target: joinTokens.id,
        set: { hash, expiresAtMs: expires },
        setWhere: isNull(joinTokens.usedAtMs),
      }),
    insertAudit(statements, { ...input, team: null, action: "join_token.create", subject: id }),
    statements.select(shown).from(joinTokens).where(eq(joinTokens.id, id)),
  ]);
  if (row === undefined) throw new Error(`join token ${id} vanished within its transaction`);
  return row;
}

/** Newest first. */
export async function listJoinTokens(db: Database, page: PageRequest): Promise<Result<Page<JoinToken>>> {
  const cursor = decodeCursor(page.cursor, (key) => JoinTokenId.safeParse(key).success);
  if (!cursor.ok) return cursor;
  const before = cursor.value as JoinTokenId | null;
  const rows = await db.run({ kind: "operator" }, (statements) =>
    statements
      .select(shown)
      .from(joinTokens)
      .where(before === null ? undefined : lt(joinTokens.id, before))
      .orderBy(desc(joinTokens.id))
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

/** For one that got into wrong hands: it ends now. Null: there is none of that id; used: it has made that node, which is what to look at. */
export async function revokeJoinToken(db: Database, input: By & { id: JoinTokenId }): Promise<JoinToken | null> {
  const { id } = input;
  const [, , [row]] = await db.runAll({ kind: "operator" }, (statements) => [
    statements
      .update(joinTokens)
      .set({ expiresAtMs: sql`least(${joinTokens.expiresAtMs}, now())` })
      .where(and(eq(joinTokens.id, id), isNull(joinTokens.usedAtMs))),
    insertAudit(statements, {
      ...{ ...input, team: null, action: "join_token.revoke", subject: id },
      outcome: okIfExists(statements.select({ id: joinTokens.id }).from(joinTokens).where(eq(joinTokens.id, id))),
    }),
    statements.select(shown).from(joinTokens).where(eq(joinTokens.id, id)),
  ]);
  return row ?? null;
}

const before = alias(joinTokens, "before");

export interface ConsumedJoinToken {
  readonly id: JoinTokenId;
  /** The node that this token made: on a retry by the same key the one of the first try. */
  readonly node: NodeId;
  readonly region: RegionName | null;
  /** The actor who made the token. */
  readonly createdBy: string;
}

/**
 * Uses the token up for the key with thumbprint jkt, in one statement, so that of two at once one wins. node: a fresh id, taken
 * if this is the first use. join_token_unknown, join_token_expired, join_token_used, or conflict: the key is another node's, removed or
 * not, and the token stays good; each refusal is audited.
 */
export async function consumeJoinToken(
  db: Database,
  input: { hash: string; node: NodeId; jkt: string; region: RegionName; requestId?: string },
): Promise<Result<ConsumedJoinToken>> {
  const { hash, node, jkt } = input;
  const ours = eq(joinTokens.hash, hash);
  const [, , [row], [other]] = await db.runAll({ kind: "enrol" }, (statements) => [
    // Two servers with one key and a token each: one after the other.
    statements.execute(sql`select pg_advisory_xact_lock(hashtext(${jkt}))`),
    statements
      .update(joinTokens)
      .set({ usedAtMs: sql`now()`, usedBy: node, usedByJkt: jkt })
      .where(
        and(
          ours,
          isNull(joinTokens.usedAtMs),
          gt(joinTokens.expiresAtMs, sql`now()`),
          sql`coalesce(${joinTokens.region}, ${input.region}) = ${input.region}`,
          notExists(statements.select({ id: before.id }).from(before).where(eq(before.usedByJkt, jkt))),
        ),
      ),
    statements
      .select({ ...shown, usedByJkt: joinTokens.usedByJkt, createdBy: joinTokens.createdBy })
      .from(joinTokens)
      .where(ours),
    statements
      .select({ node: before.usedBy })
      .from(before)
      .where(and(eq(before.usedByJkt, jkt), ne(before.hash, hash)))
      .limit(1),
  ]);
  if (row?.usedBy && row.usedByJkt === jkt) {
    return { ok: true, value: { id: row.id, node: row.usedBy, region: row.region, createdBy: row.createdBy } };
  }
  const isGood = row !== undefined && row.usedAtMs === null;
  const cloned = isGood && other?.node ? other.node : null;
  const failure = cloned === null ? refusalOf(row, input.region) : keyUsedBy(cloned);
  await recordAudit(db, {
    team: null,
    actor: `key:${jkt}`,
    action: "join_token.use",
    subject: row?.id ?? "unknown",
    outcome: cloned === null ? failure.code : "node_key_used",
    requestId: input.requestId,
  });
  return { ok: false, failure };
}

/** A key is made on a server and never leaves it, unless its disk is copied; a removed node's comes back by no token. */
const keyUsedBy = (node: NodeId): Failure => ({
  code: "conflict",
  message: `this server has the key of node ${node}: was its disk copied? Remove its identity, then join again`,
});

function refusalOf(
  row: { usedAtMs: number | null; region: RegionName | null } | undefined,
  region: RegionName,
): Failure {
  if (row === undefined) return { code: "join_token_unknown", message: "no such join token" };
  if (row.usedAtMs !== null) {
    return { code: "join_token_used", message: "this join token was used by another node; make a new one" };
  }
  if (row.region !== null && row.region !== region) {
    return { code: "forbidden", message: `this join token is for region ${row.region}, not ${region}` };
  }
  return { code: "join_token_expired", message: "this join token has expired; make a new one" };
}
