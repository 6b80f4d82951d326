// The audit trail: who did what to which thing, from where, and how it ended. Written in the transaction of the deed where there is one.
import { and, asc, desc, eq, gt, gte, isNull, lt, sql, type SQL, type SQLWrapper } from "drizzle-orm";
import type { AuditRecord } from "../../contracts/teams.ts";
import type { Result } from "../../contracts/failures.ts";
import type { TeamId } from "../../contracts/ids.ts";
import type { Database, Statements, Transaction } from "../connect.ts";
import { audit } from "../schema/requests.ts";
import type { Scope } from "../scope.ts";
import { decodeCursor, pageOf, type Page, type PageRequest } from "./page.ts";

/** Who did it, in which request, and from where. */
export interface By {
  /** `user:<id>`, `token:<id>`, `operator:<id>` (who entered the team), `node:<id>`, `system` or `anonymous`. */
  readonly actor: string;
  readonly requestId?: string;
  readonly address?: string;
  readonly userAgent?: string;
}

export interface AuditEntry extends By {
  readonly team: TeamId | null;
  /** `app.create`, `token.revoke`, …: resource, dot, verb. */
  readonly action: string;
  /** The id or name of the thing. */
  readonly subject: string;
  /** `ok` or a failure code; see `okIfExists`. */
  readonly outcome?: string | SQL<string>;
  /** What the deed changed; never a secret. */
  readonly before?: Record<string, unknown>;
  readonly after?: Record<string, unknown>;
  readonly data?: Record<string, unknown>;
}

/** For an entry that stands in a batch before the deed: whether there is anything to do it to. */
export function okIfExists(found: SQLWrapper): SQL<string> {
  return sql`case when exists ${found} then 'ok' else 'not_found' end`;
}

/** The statement, for a batch or a transaction. */
export function insertAudit(statements: Statements | Transaction, entry: AuditEntry) {
  return statements.insert(audit).values(rowOf(entry));
}

const rowOf = (entry: AuditEntry) => ({
  teamId: entry.team,
  actor: entry.actor,
  action: entry.action,
  subject: entry.subject,
  outcome: entry.outcome ?? "ok",
  requestId: entry.requestId ?? null,
  address: entry.address ?? null,
  userAgent: entry.userAgent ?? null,
  before: entry.before ?? null,
  after: entry.after ?? null,
  data: entry.data ?? {},
});

const scopeOf = (team: TeamId | null): Scope => (team === null ? { kind: "operator" } : { kind: "team", team });

/** An entry of its own: for what was refused, and for deeds that are not Postgres'. */
export const recordAudit = (db: Database, entry: AuditEntry): Promise<void> => recordAudits(db, entry.team, [entry]);

/** Of one team, or of the installation, in this order. */
export async function recordAudits(db: Database, team: TeamId | null, entries: readonly AuditEntry[]): Promise<void> {
  await db.run(scopeOf(team), (statements) => statements.insert(audit).values(entries.map(rowOf)));
}

/** Absent: any. fromMs inclusive, toMs exclusive. */
export interface AuditFilter {
  readonly actor?: string | undefined;
  readonly action?: string | undefined;
  readonly subject?: string | undefined;
  readonly outcome?: string | undefined;
  readonly fromMs?: number | undefined;
  readonly toMs?: number | undefined;
}

const isUuid = (key: string) => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(key);

/** Newest first. team null: the installation's own. */
export async function listAudit(
  db: Database,
  team: TeamId | null,
  { limit, cursor: given, ...filter }: PageRequest & AuditFilter,
): Promise<Result<Page<AuditRecord>>> {
  const cursor = decodeCursor(given, isUuid);
  if (!cursor.ok) return cursor;
  const before = cursor.value === null ? undefined : lt(audit.id, cursor.value);
  const rows = await db.run(scopeOf(team), (statements) =>
    statements
      .select()
      .from(audit)
      .where(and(matching(team, filter), before))
      .orderBy(desc(audit.id))
      .limit(limit + 1),
  );
  return { ok: true, value: pageOf(rows, limit, (row) => row.id, recordOf) };
}

/** Oldest first, after that entry; for an export, page by page. */
export async function readAudit(
  db: Database,
  team: TeamId | null,
  { after, limit, ...filter }: AuditFilter & { readonly after: string | null; readonly limit: number },
): Promise<AuditRecord[]> {
  const rows = await db.run(scopeOf(team), (statements) =>
    statements
      .select()
      .from(audit)
      .where(and(matching(team, filter), after === null ? undefined : gt(audit.id, after)))
      .orderBy(asc(audit.id))
      .limit(limit),
  );
  return rows.map(recordOf);
}

function matching(team: TeamId | null, { actor, action, subject, outcome, fromMs, toMs }: AuditFilter) {
  return and(
    team === null ? isNull(audit.teamId) : eq(audit.teamId, team),
    actor === undefined ? undefined : eq(audit.actor, actor),
    action === undefined ? undefined : eq(audit.action, action),
    subject === undefined ? undefined : eq(audit.subject, subject),
    outcome === undefined ? undefined : eq(audit.outcome, outcome),
    fromMs === undefined ? undefined : and(gte(audit.id, uuidAt(fromMs - SKEW_MS)), gte(audit.atMs, fromMs)),
    toMs === undefined ? undefined : and(lt(audit.id, uuidAt(toMs + SKEW_MS)), lt(audit.atMs, toMs)),
  );
}

/** `at` is when the transaction began, the id when the row was made: a transaction lasts seconds at most. */
const SKEW_MS = 60_000;

/** The least UUIDv7 of that millisecond: so that a time is found by the index that the ids are in. */
function uuidAt(ms: number): string {
  const hex = Math.max(0, ms).toString(16).padStart(12, "0");
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-000000000000`;
}

const recordOf = ({ teamId, ...row }: typeof audit.$inferSelect): AuditRecord => ({ ...row, team: teamId });
