// The cron sweep: looks in on every object that may have work in flight, in case the platform gave up on its alarm.
import { appsInFlight } from "../../db/queries/in-flight.ts";
import { sweepIdempotencyKeys } from "../../db/queries/idempotency.ts";
import { listCells } from "../../db/queries/nodes.ts";
import { sweepSessions } from "../../db/queries/sessions.ts";
import { authDatabase } from "./auth/databases.ts";
import { sweepDomains } from "./domains/sweep.ts";
import type { KeyedEnv } from "./keys/keyed.ts";
import { tendKeys } from "./keys/tend.ts";
import { forgetNames } from "./names/forget-name.ts";
import { inBatches } from "./http/ask.ts";
import { databaseOf } from "./http/database.ts";
import { sweepHoldings } from "./quota/sweep.ts";

/** A minute's worth: rollouts in flight are few beside apps, and what is left out comes with the next sweep. */
const APPS_MAX = 2_000;
const POKED_AT_ONCE = 32;

/** Each object's failure is its own: the next sweep comes in a minute. */
export async function sweep(env: KeyedEnv): Promise<void> {
  const database = databaseOf(env);
  const [cells, apps] = await Promise.all([listCells(database), appsInFlight(database, APPS_MAX)]);
  const regions = new Set(cells.map((cell) => cell.slice(0, cell.lastIndexOf("."))));
  const objects = [
    ...cells.map((cell) => env.CELL.getByName(cell)),
    ...apps.map((app) => env.APP.getByName(app)),
    ...[...regions].map((region) => env.REGION.getByName(region)),
  ];
  await inBatches(objects, POKED_AT_ONCE, async (object) => object.poke().catch(() => null));
  await Promise.all([
    sweepIdempotencyKeys(database),
    sweepSessions(authDatabase(env)),
    sweepDomains(env),
    forgetNames(env),
    sweepHoldings(env),
    tendKeys(env),
  ]);
}
