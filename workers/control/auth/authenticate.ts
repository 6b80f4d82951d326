// Who is asking: one look at the bearer, one round trip to Postgres. Nothing is cached, so a revocation counts at once.
import type { Failure, Result } from "../../../contracts/failures.ts";
import { findCallerByApiToken, findCallerBySession, type CallerRecord } from "../../../db/queries/callers.ts";
import { readBearer, type Bearer } from "./bearer.ts";
import { roleNamed, type AuthEnv, type Caller } from "./caller.ts";
import { authDatabase } from "./databases.ts";

export const TEAM_HEADER = "berth-team";

const UNAUTHENTICATED: Failure = {
  code: "unauthenticated",
  message: "sign in, or send an API token as `authorization: Bearer …`",
};

/** Of a session from before they left their last team, or were in none but by single sign-on. */
const NO_TEAM =
  "you are in no team that you made or were invited to: name one that you sign on to, or sign in again, which makes you one";

/** One round trip. Bearer session or API token; header `berth-team` (slug or id) picks another of a session's teams. */
export async function authenticate(request: Pick<Request, "headers">, env: AuthEnv): Promise<Result<Caller>> {
  return authenticateBearer(await readBearer(request, env.BETTER_AUTH_SECRET), request, env);
}

/** With the bearer of the request, as readBearer gave it. */
export async function authenticateBearer(
  bearer: Bearer | null,
  request: Pick<Request, "headers">,
  env: AuthEnv,
): Promise<Result<Caller>> {
  if (bearer === null) return { ok: false, failure: UNAUTHENTICATED };
  const team = request.headers.get(TEAM_HEADER) ?? undefined;
  const record = await recordOf(bearer, team, env);
  if (record === null) return { ok: false, failure: UNAUTHENTICATED };
  if (record.team === null || (team !== undefined && team !== record.team.id && team !== record.team.slug)) {
    return {
      ok: false,
      failure: { code: "not_found", message: team === undefined ? NO_TEAM : `you are in no team ${team}` },
    };
  }
  return { ok: true, value: callerOf(record, record.team, bearer.kind) };
}

function recordOf(bearer: Bearer, team: string | undefined, env: AuthEnv): Promise<CallerRecord | null> {
  const db = authDatabase(env);
  if (bearer.kind === "api_token") return findCallerByApiToken(db, bearer.hash);
  return findCallerBySession(db, bearer.token, team);
}

function callerOf(record: CallerRecord, team: NonNullable<CallerRecord["team"]>, via: Caller["via"]): Caller {
  const { user, token, entered, lacksSecondFactor, lacksSignOn, signedOn } = record;
  return {
    actor: token === null ? `${entered ? "operator" : "user"}:${user.id}` : `token:${token}`,
    user,
    team,
    subject: {
      role: roleNamed(team.role, record.policies),
      projects: record.projects,
      token: token === null ? null : { scopes: record.tokenScopes ?? ["*"], projects: record.tokenProjects },
      operator: user.operator,
    },
    operator: user.operator,
    via,
    token,
    entered,
    lacksSecondFactor,
    lacksSignOn,
    signedOn,
  };
}
