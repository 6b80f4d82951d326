// The cron sweep: looks in on every object that may have work in flight, in case the platform gave up on its alarm.
import { appsInFlight } from "../../db/queries/in-flight.ts";
import { sweepIdempotencyKeys } from "../../db/queries/idempotency.ts";
import { listCells } from "../../db/queries/nodes.ts";
import { sweepSessions } from "../../db/queries/sessions.ts";
import { authDatabase } from "./auth/databases.ts";
import type { ControlEnv } from "./env.ts";
import { inBatches } from "./http/ask.ts";
import { databaseOf } from "./http/database.ts";

/** A minute's worth: rollouts in flight are few beside apps, and what is left out comes with the next sweep. */
const APPS_MAX = 2_000;
const POKED_AT_ONCE = 32;

/** Each object's failure is its own: the next sweep comes in a minute. */
export async function sweep(env: ControlEnv): Promise<void> {
  const database = databaseOf(env);
  const [cells, apps] = await Promise.all([listCells(database), appsInFlight(database, APPS_MAX)]);
  const objects = [...cells.map((cell) => env.CELL.getByName(cell)), ...apps.map((app) => env.APP.getByName(app))];
  await inBatches(objects, POKED_AT_ONCE, async (object) => object.poke().catch(() => null));
  await Promise.all([sweepIdempotencyKeys(database), sweepSessions(authDatabase(env))]);
}
