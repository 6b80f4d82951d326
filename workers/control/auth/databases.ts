// The two databases of this folder: as berth_auth (who is asking) and as berth_app (a team's own rows).
import { connect, type Database } from "../../../db/connect.ts";
import type { AuthEnv } from "./caller.ts";

export const authDatabase = (env: AuthEnv): Database =>
  connect({ url: env.DATABASE_URL_AUTH, adapter: env.NEON_ADAPTER });

export const appDatabase = (env: AuthEnv): Database =>
  connect({ url: env.DATABASE_URL_APP, adapter: env.NEON_ADAPTER });
