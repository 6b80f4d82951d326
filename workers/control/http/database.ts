// Postgres for one request, as the role berth_app.
import { connect, type Database } from "../../../db/connect.ts";
import type { ControlEnv } from "../env.ts";

export const databaseOf = (env: Pick<ControlEnv, "DATABASE_URL_APP" | "NEON_ADAPTER">): Database =>
  connect({ url: env.DATABASE_URL_APP, ...(env.NEON_ADAPTER === undefined ? {} : { adapter: env.NEON_ADAPTER }) });
