// Sessions that are over: refused by whoever reads them, and swept away here.
import { lt, sql } from "drizzle-orm";
import type { Database } from "../connect.ts";
import { sessions } from "../schema/auth.ts";

/** Forgets expired sessions; for the cron sweep, as berth_auth. Answers how many. */
export async function sweepSessions(db: Database): Promise<number> {
  const gone = await db.run({ kind: "auth" }, (statements) =>
    statements
      .delete(sessions)
      .where(lt(sessions.expiresAt, sql`now()`))
      .returning({ id: sessions.id }),
  );
  return gone.length;
}
