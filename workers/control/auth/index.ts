// Accounts, sessions, teams and API tokens: the plain functions that routes call. Every one answers a Result and never throws
// for an expected failure; only DatabaseUnavailable (db/errors.ts) passes through, which the API's error handler answers with 503.
import type { z } from "zod";
import type {
  ApiToken,
  ApiTokenCreate,
  ApiTokenCreated,
  PageQuery,
  Session,
  Setup,
  SignIn,
  SignUp,
  Team,
  TeamCreate,
} from "../../../contracts/api.ts";
import type { Result } from "../../../contracts/failures.ts";
import type { ApiTokenId } from "../../../contracts/ids.ts";
import type { AuthEnv, Caller, Page } from "./caller.ts";

export type { AuthEnv, Caller, Page, TeamRole } from "./caller.ts";

/** One round trip. Bearer session or API token; header `berth-team` (slug or id) picks another of a session's teams. */
export declare function authenticate(request: Request, env: AuthEnv): Promise<Result<Caller>>;
/** POST /v1/setup: once per installation, makes the operator. forbidden: wrong token; conflict: already done. */
export declare function setup(input: z.infer<typeof Setup>, env: AuthEnv): Promise<Result<Session>>;
/** Makes user, personal team and session in one transaction. conflict: that address has an account. */
export declare function signUp(input: z.infer<typeof SignUp>, env: AuthEnv): Promise<Result<Session>>;
export declare function signIn(input: z.infer<typeof SignIn>, env: AuthEnv): Promise<Result<Session>>;
/** Ends the session that the request's bearer names; harmless when repeated. */
export declare function signOut(request: Request, env: AuthEnv): Promise<Result<null>>;
/** The token is shown here and nowhere else. It belongs to the caller's team. */
export declare function createApiToken(
  caller: Caller,
  input: z.infer<typeof ApiTokenCreate>,
  env: AuthEnv,
): Promise<Result<z.infer<typeof ApiTokenCreated>>>;
export declare function listApiTokens(
  caller: Caller,
  query: z.infer<typeof PageQuery>,
  env: AuthEnv,
): Promise<Result<Page<ApiToken>>>;
export declare function revokeApiToken(caller: Caller, id: ApiTokenId, env: AuthEnv): Promise<Result<null>>;
export declare function createTeam(
  caller: Caller,
  input: z.infer<typeof TeamCreate>,
  env: AuthEnv,
): Promise<Result<Team>>;
/** All teams of the user, oldest first (a token's caller sees its own team alone). */
export declare function listTeams(caller: Caller, env: AuthEnv): Promise<Result<Team[]>>;
