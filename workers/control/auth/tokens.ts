// API tokens: made, listed and revoked by the members of the team they belong to.
import type { z } from "zod";
import { ACTIONS, RESOURCES, type Action, type Resource } from "../../../contracts/access.ts";
import type { PageQuery } from "../../../contracts/api.ts";
import type { Failure, Result } from "../../../contracts/failures.ts";
import type { ApiTokenId, ProjectId } from "../../../contracts/ids.ts";
import type { ApiToken, ApiTokenCreate, ApiTokenCreated } from "../../../contracts/teams.ts";
import { authorise } from "../../../core/authorise/authorise.ts";
import { beyond } from "../../../core/authorise/giving.ts";
import type { Subject } from "../../../core/authorise/types.ts";
import { mintId } from "../../../db/ids.ts";
import * as queries from "../../../db/queries/api-tokens.ts";
import type { By } from "../../../db/queries/audit.ts";
import { mintApiToken } from "./bearer.ts";
import type { AuthEnv, Caller, Page } from "./caller.ts";
import { appDatabase } from "./databases.ts";

const DAY_MS = 24 * 60 * 60 * 1_000;

type Wanted = Omit<z.infer<typeof ApiTokenCreate>, "projects"> & {
  /** null or absent: as the caller is limited. */
  readonly projects?: readonly ProjectId[] | null;
};

/**
 * The token is shown here and nowhere else. It belongs to the caller's team and acts for the caller, with no more than the caller
 * has here and now. id: of a first try whose answer was lost; its token is replaced.
 */
export async function createApiToken(
  caller: Caller,
  wanted: Wanted,
  env: AuthEnv,
  { id = mintId("tok"), by = { actor: caller.actor } }: { id?: ApiTokenId; by?: By } = {},
): Promise<Result<z.infer<typeof ApiTokenCreated>>> {
  const { name, expiresInDays } = wanted;
  const { subject } = caller;
  const scopes = wanted.scopes ?? subject.token?.scopes ?? null;
  const projects = wanted.projects ?? subject.token?.projects ?? null;
  const failure = refusalOf(subject, { ...subject, token: { scopes: scopes ?? ["*"], projects } }, wanted.scopes ?? []);
  if (failure !== null) return { ok: false, failure };
  const { token, hash, prefix } = await mintApiToken();
  const stored = await queries.insertApiToken(appDatabase(env), {
    ...{ ...by, id, team: caller.team.id, user: caller.user.id, name, prefix, hash },
    scopes: scopes === null ? null : [...scopes],
    projectIds: projects === null ? null : [...projects],
    expiresAtMs: expiresInDays === undefined ? null : Date.now() + expiresInDays * DAY_MS,
  });
  return { ok: true, value: { ...stored, token } };
}

/** A scope that could never open anything is a mistake, and is said to be one. */
function refusalOf(giver: Subject, given: Subject, scopes: readonly string[]): Failure | null {
  const more = beyond(giver, given);
  if (more !== null) return { code: "forbidden", message: `You may not ${more} yourself, so no token of yours can.` };
  const empty = scopes.findIndex((scope) => !opensAnything(giver, scope));
  if (empty < 0) return null;
  const message = `opens nothing: you may not ${scopes[empty]} yourself`;
  const errors = [{ pointer: `/scopes/${empty}`, rule: "within_own_rights", message }];
  return { code: "forbidden", message: `/scopes/${empty}: ${message}`, errors };
}

function opensAnything(subject: Subject, scope: string): boolean {
  if (scope === "*") return true;
  const [resource, action] = scope.split(":");
  const resources = resource === "*" ? RESOURCES : [resource as Resource];
  const actions = action === "*" ? ACTIONS : [action as Action];
  return resources.some((each) => actions.some((one) => authorise(subject, { resource: each, action: one }).kind !== "denied")); // prettier-ignore
}

/** Of the caller's team, newest first; own: the caller's alone. */
export function listApiTokens(
  caller: Caller,
  query: z.infer<typeof PageQuery>,
  env: AuthEnv,
  { own = false }: { own?: boolean } = {},
): Promise<Result<Page<ApiToken>>> {
  const page = { ...query, ...(own ? { madeBy: caller.user.id } : {}) };
  return queries.listApiTokens(appDatabase(env), caller.team.id, page);
}

/** own: only if the caller made it. From then on it opens nothing. */
export async function revokeApiToken(
  caller: Caller,
  id: ApiTokenId,
  env: AuthEnv,
  { own = false, by = { actor: caller.actor } }: { own?: boolean; by?: By } = {},
): Promise<Result<null>> {
  const revoked = await queries.deleteApiToken(appDatabase(env), {
    ...{ ...by, id, team: caller.team.id },
    ...(own ? { madeBy: caller.user.id } : {}),
  });
  if (revoked) return { ok: true, value: null };
  return { ok: false, failure: { code: "not_found", message: `the team has no token ${id} that you may revoke` } };
}
