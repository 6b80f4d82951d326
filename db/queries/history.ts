// History as a team reads it: the events and rollouts that the app's object no longer keeps.
import { and, asc, desc, eq, gt, inArray, lt, sql, type SQL } from "drizzle-orm";
import type { BerthEvent } from "../../contracts/events.ts";
import type { Result } from "../../contracts/failures.ts";
import { RolloutId, type AppId, type CellName, type NodeId, type TeamId } from "../../contracts/ids.ts";
import type { Rollout } from "../../contracts/api.ts";
import type { Database } from "../connect.ts";
import { events, rolloutHistory } from "../schema/history.ts";
import type { Scope } from "../scope.ts";
import { decodeCursor, pageOf, type Page, type PageRequest } from "./page.ts";

/** Of one source after a seq, oldest first. */
export async function listEvents(
  db: Database,
  team: TeamId,
  { source, afterSeq, limit }: { readonly source: string; readonly afterSeq: number; readonly limit: number },
): Promise<BerthEvent[]> {
  const rows = await db.run({ kind: "team", team }, (statements) =>
    statements
      .select()
      .from(events)
      .where(and(eq(events.teamId, team), eq(events.source, source), gt(events.seq, afterSeq)))
      .orderBy(asc(events.seq))
      .limit(limit),
  );
  return rows.map(eventOf);
}

/** What happened to an app, newest first. */
export function listAppEvents(
  db: Database,
  { team, app, ...page }: PageRequest & { readonly team: TeamId; readonly app: AppId },
): Promise<Result<Page<BerthEvent>>> {
  const which = and(eq(events.teamId, team), eq(events.source, `app:${app}`));
  return newestFirst(db, { kind: "team", team }, { which, ...page });
}

/**
 * What happened to a node and to its cell as a whole, newest first; its metering is elsewhere. A node is in one cell for life,
 * so that seqs order it.
 */
export function listNodeEvents(
  db: Database,
  { node, cell, ...page }: PageRequest & { readonly node: NodeId; readonly cell: CellName },
): Promise<Result<Page<BerthEvent>>> {
  const ofNode = and(inArray(events.subject, [node, cell]), eq(events.source, `cell:${cell}`));
  return newestFirst(db, { kind: "operator" }, { which: and(ofNode, sql`${events.type} <> 'node.metered'`), ...page });
}

async function newestFirst(
  db: Database,
  scope: Scope,
  {
    which,
    limit,
    cursor: given,
  }: { readonly which: SQL | undefined; readonly limit: number; readonly cursor?: string },
): Promise<Result<Page<BerthEvent>>> {
  const cursor = decodeCursor(given, (key) => /^[1-9]\d{0,14}$/.test(key));
  if (!cursor.ok) return cursor;
  const before = cursor.value === null ? undefined : lt(events.seq, Number(cursor.value));
  const rows = await db.run(scope, (statements) =>
    statements
      .select()
      .from(events)
      .where(and(which, before))
      .orderBy(desc(events.seq))
      .limit(limit + 1),
  );
  return { ok: true, value: pageOf(rows, limit, (row) => String(row.seq), eventOf) };
}

const eventOf = (row: typeof events.$inferSelect): BerthEvent => ({
  id: `${row.source}#${row.seq}` as BerthEvent["id"],
  source: row.source,
  seq: row.seq,
  type: row.type,
  version: 1,
  team: row.teamId,
  subject: row.subject,
  actor: row.actor,
  causeId: row.causeId,
  atMs: row.atMs,
  data: row.data,
});

/** Newest first; each as it last was. */
export async function listRolloutHistory(
  db: Database,
  team: TeamId,
  app: AppId,
  page: PageRequest,
): Promise<Result<Page<Rollout>>> {
  const cursor = decodeCursor(page.cursor, (key) => RolloutId.safeParse(key).success);
  if (!cursor.ok) return cursor;
  const { id, teamId, appId, rollout } = rolloutHistory;
  const before = cursor.value === null ? undefined : lt(id, cursor.value as RolloutId);
  const rows = await db.run({ kind: "team", team }, (statements) =>
    statements
      .select({ id, rollout })
      .from(rolloutHistory)
      .where(and(eq(teamId, team), eq(appId, app), before))
      .orderBy(desc(id))
      .limit(page.limit + 1),
  );
  return {
    ok: true,
    value: pageOf(
      rows,
      page.limit,
      (row) => row.id,
      (row) => row.rollout,
    ),
  };
}
