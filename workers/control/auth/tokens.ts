// API tokens: made, listed and revoked by the members of the team they belong to.
import type { z } from "zod";
import type { ApiToken, ApiTokenCreate, ApiTokenCreated, PageQuery } from "../../../contracts/api.ts";
import type { Result } from "../../../contracts/failures.ts";
import type { ApiTokenId } from "../../../contracts/ids.ts";
import { mintId } from "../../../db/ids.ts";
import * as queries from "../../../db/queries/api-tokens.ts";
import { mintApiToken } from "./bearer.ts";
import type { AuthEnv, Caller, Page } from "./caller.ts";
import { appDatabase } from "./databases.ts";

const DAY_MS = 24 * 60 * 60 * 1_000;

/**
 * The token is shown here and nowhere else. It belongs to the caller's team and acts for the caller. id: of a first try whose
 * answer was lost; its token is replaced.
 */
export async function createApiToken(
  caller: Caller,
  { name, expiresInDays }: z.infer<typeof ApiTokenCreate>,
  env: AuthEnv,
  id: ApiTokenId = mintId("tok"),
): Promise<Result<z.infer<typeof ApiTokenCreated>>> {
  const { token, hash, prefix } = await mintApiToken();
  const stored = await queries.insertApiToken(appDatabase(env), {
    id,
    team: caller.team.id,
    user: caller.user.id,
    actor: caller.actor,
    name,
    prefix,
    hash,
    expiresAtMs: expiresInDays === undefined ? null : Date.now() + expiresInDays * DAY_MS,
  });
  return { ok: true, value: { ...stored, token } };
}

/** Of the caller's team, newest first. */
export function listApiTokens(
  caller: Caller,
  query: z.infer<typeof PageQuery>,
  env: AuthEnv,
): Promise<Result<Page<ApiToken>>> {
  return queries.listApiTokens(appDatabase(env), caller.team.id, query);
}

/** Owners and admins revoke any token of the team, members their own. From then on it opens nothing. */
export async function revokeApiToken(caller: Caller, id: ApiTokenId, env: AuthEnv): Promise<Result<null>> {
  const revoked = await queries.deleteApiToken(appDatabase(env), {
    id,
    team: caller.team.id,
    actor: caller.actor,
    ...(caller.role === "member" ? { madeBy: caller.user.id } : {}),
  });
  if (revoked) return { ok: true, value: null };
  return { ok: false, failure: { code: "not_found", message: `the team has no token ${id} that you may revoke` } };
}
