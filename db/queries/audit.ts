// The audit trail: who did what to which thing, and how it ended. Written in the transaction of the deed itself.
import { and, desc, eq, lt, sql, type SQL, type SQLWrapper } from "drizzle-orm";
import type { Result } from "../../contracts/failures.ts";
import type { TeamId } from "../../contracts/ids.ts";
import type { Database, Statements, Transaction } from "../connect.ts";
import { audit } from "../schema/requests.ts";
import type { Scope } from "../scope.ts";
import { decodeCursor, pageOf, type Page, type PageRequest } from "./page.ts";

/** Who did it, and in which request. */
export interface By {
  /** `user:<id>`, `token:<id>`, `node:<id>` or `system`. */
  readonly actor: string;
  readonly requestId?: string;
}

export interface AuditEntry extends By {
  readonly team: TeamId | null;
  /** `app.create`, `token.revoke`, …: resource, dot, verb. */
  readonly action: string;
  /** The id or name of the thing. */
  readonly subject: string;
  /** `ok` or a failure code; see `okIfExists`. */
  readonly outcome?: string | SQL<string>;
  readonly data?: Record<string, unknown>;
}

export interface AuditRecord extends AuditEntry {
  readonly id: string;
  readonly outcome: string;
  readonly atMs: number;
}

/** For an entry that stands in a batch before the deed: whether there is anything to do it to. */
export function okIfExists(found: SQLWrapper): SQL<string> {
  return sql`case when exists ${found} then 'ok' else 'not_found' end`;
}

/** The statement, for a batch or a transaction. */
export function insertAudit(statements: Statements | Transaction, entry: AuditEntry) {
  return statements.insert(audit).values({
    teamId: entry.team,
    actor: entry.actor,
    action: entry.action,
    subject: entry.subject,
    outcome: entry.outcome ?? "ok",
    requestId: entry.requestId ?? null,
    data: entry.data ?? {},
  });
}

/** An entry of its own: for what was refused, and for deeds that are not Postgres'. */
export async function recordAudit(db: Database, entry: AuditEntry): Promise<void> {
  const scope: Scope = entry.team === null ? { kind: "operator" } : { kind: "team", team: entry.team };
  await db.run(scope, (statements) => insertAudit(statements, entry));
}

const isUuid = (key: string) => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(key);

/** Newest first. */
export async function listAudit(db: Database, team: TeamId, page: PageRequest): Promise<Result<Page<AuditRecord>>> {
  const cursor = decodeCursor(page.cursor, isUuid);
  if (!cursor.ok) return cursor;
  const rows = await db.run({ kind: "team", team }, (statements) =>
    statements
      .select()
      .from(audit)
      .where(and(eq(audit.teamId, team), cursor.value === null ? undefined : lt(audit.id, cursor.value)))
      .orderBy(desc(audit.id))
      .limit(page.limit + 1),
  );
  return {
    ok: true,
    value: pageOf(
      rows,
      page.limit,
      (row) => row.id,
      ({ teamId, requestId, ...row }) => ({ ...row, team: teamId, requestId: requestId ?? undefined }),
    ),
  };
}
