// The outbox's end: a source's events enter in order, each once in effect, however often and by how many they are brought.
import { eq, sql } from "drizzle-orm";
import type { BerthEvent } from "../../contracts/events.ts";
import type { Result } from "../../contracts/failures.ts";
import type { Database, Statements } from "../connect.ts";
import { toUuid } from "../ids.ts";
import { outboxSources } from "../schema/history.ts";
import { storable } from "./json.ts";
import { ACCEPT_AFTER, projectMetering, projectReleases, projectRollouts } from "./projections.ts";

/** Greater than any seq: nothing takes effect. */
const NOTHING = String(Number.MAX_SAFE_INTEGER);

/**
 * One transaction, one request. lastSeq: what Postgres has now. Repeated and overlapping events change nothing; after a gap
 * nothing is taken, and lastSeq says from where the source must send again.
 */
export async function acceptEvents(
  db: Database,
  { source, events }: { readonly source: string; readonly events: readonly BerthEvent[] },
): Promise<Result<{ lastSeq: number }>> {
  const fault = faultIn(source, events);
  if (fault !== null) return { ok: false, failure: { code: "invalid_request", message: fault } };
  const first = events[0]?.seq;
  const last = events.at(-1)?.seq;
  if (first === undefined || last === undefined) return { ok: true, value: { lastSeq: await lastSeqOf(db, source) } };
  const results = await db.runAll({ kind: "sink" }, (statements) => [
    selectLastSeq(statements, source, "insert"),
    compareAndSet(statements, source, first, last),
    insertEvents(statements, events),
    ...projectReleases(statements, events),
    ...projectRollouts(statements, events),
    ...projectMetering(statements, events),
    selectLastSeq(statements, source, "select"),
  ]);
  return { ok: true, value: { lastSeq: lastSeqIn(results.at(-1)) } };
}

/** Seqs must rise by one within a delivery; whatever else is wrong with it is the source's fault, not a gap. */
function faultIn(source: string, events: readonly BerthEvent[]): string | null {
  for (const [index, event] of events.entries()) {
    if (event.source !== source) return `event ${event.id} is not of the source ${source}`;
    const before = events[index - 1];
    if (before && event.seq !== before.seq + 1) return `event ${event.id} does not follow ${before.id}`;
  }
  return null;
}

export async function lastSeqOf(db: Database, source: string): Promise<number> {
  return lastSeqIn(await db.run({ kind: "sink" }, (statements) => selectLastSeq(statements, source, "select")));
}

function selectLastSeq(statements: Statements, source: string, kind: "insert" | "select") {
  return kind === "insert"
    ? statements.execute(
        sql`insert into outbox_sources (source, last_seq) values (${source}, 0) on conflict do nothing`,
      )
    : statements.select({ lastSeq: outboxSources.lastSeq }).from(outboxSources).where(eq(outboxSources.source, source));
}

function lastSeqIn(rows: unknown): number {
  return (rows as { lastSeq: number }[])[0]?.lastSeq ?? 0;
}

/** Of two deliveries at once the second waits here for the first's row, and then continues from what that one left. */
function compareAndSet(statements: Statements, source: string, first: number, last: number) {
  return statements.execute(sql`
    with raised as (
      update outbox_sources set last_seq = ${last}, updated_at = now()
      where source = ${source} and last_seq between ${first - 1} and ${last - 1}
      returning old.last_seq as before)
    select set_config('berth.accept_after', coalesce((select before::text from raised), ${NOTHING}), true)`);
}

function insertEvents(statements: Statements, events: readonly BerthEvent[]) {
  const rows = events.map(({ source, seq, type, version, subject, actor, data, team, causeId, atMs }) => ({
    source,
    seq,
    type,
    version,
    subject,
    actor,
    data,
    team_id: team === null ? null : toUuid(team, "team"),
    cause_id: causeId,
    at: new Date(atMs).toISOString(),
  }));
  return statements.execute(sql`
    insert into events (source, seq, team_id, type, version, subject, actor, cause_id, at, data)
    select source, seq, team_id, type, version, subject, actor, cause_id, at, data
    from jsonb_to_recordset(${storable(rows)}::jsonb) as e(source text, seq bigint, team_id uuid, type text,
      version integer, subject text, actor text, cause_id text, at timestamptz, data jsonb)
    where seq > ${ACCEPT_AFTER} order by seq`);
}
