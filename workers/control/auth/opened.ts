// A session that was just opened, as the API shows it.
import type { Session } from "../../../contracts/api.ts";
import type { Result } from "../../../contracts/failures.ts";
import { findCallerBySession } from "../../../db/queries/callers.ts";
import type { Asked } from "./asked.ts";
import { sessionBearer } from "./bearer.ts";
import { authDatabase } from "./databases.ts";

/** opening: with the stored token of the session. */
export async function opened({ env }: Asked, opening: Result<string>): Promise<Result<Session>> {
  if (!opening.ok) return opening;
  const caller = await findCallerBySession(authDatabase(env), opening.value, undefined);
  if (!caller?.team) return { ok: false, failure: { code: "unauthenticated", message: "the session ended already" } };
  const { user, team, expiresAtMs } = caller;
  const token = await sessionBearer(opening.value, env.BETTER_AUTH_SECRET);
  return { ok: true, value: { token, expiresAtMs: expiresAtMs ?? 0, user, team } };
}
