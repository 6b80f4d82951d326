// History as a team reads it: the events and rollouts that the app's object no longer keeps.
import { and, asc, desc, eq, gt, lt } from "drizzle-orm";
import type { BerthEvent } from "../../contracts/events.ts";
import type { Result } from "../../contracts/failures.ts";
import { RolloutId, type AppId, type TeamId } from "../../contracts/ids.ts";
import type { Rollout } from "../../contracts/api.ts";
import type { Database } from "../connect.ts";
import { events, rolloutHistory } from "../schema/history.ts";
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
  return rows.map((row) => ({
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
  }));
}

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
