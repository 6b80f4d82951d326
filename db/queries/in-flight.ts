// What history says is under way: the apps whose objects the cron sweep looks in on.
import { sql } from "drizzle-orm";
import type { AppId } from "../../contracts/ids.ts";
import type { Database } from "../connect.ts";
import { rolloutHistory } from "../schema/history.ts";

/** Apps with a rollout that no event has ended yet; at most `limit`. */
export async function appsInFlight(db: Database, limit: number): Promise<AppId[]> {
  const rows = await db.run({ kind: "sink" }, (statements) =>
    statements
      .selectDistinct({ app: rolloutHistory.appId })
      .from(rolloutHistory)
      // As the partial index has it, word for word.
      .where(sql`${rolloutHistory.phase} in ('preparing', 'rolling', 'verifying', 'holding', 'finishing')`)
      .limit(limit),
  );
  return rows.map((row) => row.app);
}
