// Grants whose App object may hold less: it is asked, and the rest goes back to the team.
import { settleHoldings, unsettledHoldings } from "../../../db/queries/app-holdings.ts";
import type { ControlEnv } from "../env.ts";
import { inBatches } from "../http/ask.ts";
import { databaseOf } from "../http/database.ts";

/** Longer than a request lives: what is younger is mostly still on its way. */
const UNSETTLED_MS = 60_000;
/** A minute's worth; the longest unsettled come first, and each that was asked goes to the end. */
const HOLDINGS_MAX = 500;
const ASKED_AT_ONCE = 32;

export async function sweepHoldings(env: ControlEnv, nowMs = Date.now()): Promise<number> {
  const database = databaseOf(env);
  const unsettled = await unsettledHoldings(database, { beforeMs: nowMs - UNSETTLED_MS, limit: HOLDINGS_MAX });
  const settled = await inBatches(unsettled, ASKED_AT_ONCE, async ({ team, app, version }) => {
    const told = await env.APP.getByName(app)
      .holding({ seen: version })
      .catch(() => null);
    // A grant that the App object learnt of meanwhile is newer than what was read: that one is settled by whoever asked for it.
    if (!told?.ok || told.value.version !== version) return false;
    const [taken] = await settleHoldings(database, team, [{ app, ...told.value }]);
    return taken === true;
  });
  return settled.filter(Boolean).length;
}
