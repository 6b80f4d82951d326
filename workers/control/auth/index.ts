// Accounts, sessions, teams and API tokens: the plain functions that routes call. Every one answers a Result and never throws
// for an expected failure; only DatabaseUnavailable (db/errors.ts) passes through, which the API's error handler answers with 503.
export { authenticate } from "./authenticate.ts";
export { TEAM_ROLES, type AuthEnv, type Caller, type Page, type TeamRole } from "./caller.ts";
export { setup, signIn, signOut, signUp } from "./sign-in.ts";
export { createTeam, listTeams } from "./teams.ts";
export { createApiToken, listApiTokens, revokeApiToken } from "./tokens.ts";
