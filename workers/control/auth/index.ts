// Accounts, sessions, teams and API tokens: the plain functions that routes call. Every one answers a Result and never throws
// for an expected failure; only DatabaseUnavailable (db/errors.ts) passes through, which the API's error handler answers with 503.
export * from "./account.ts";
export type { Asked } from "./asked.ts";
export { authenticate } from "./authenticate.ts";
export { type AuthEnv, type Caller, type Page } from "./caller.ts";
export {
  beginSecondFactor,
  confirmSecondFactor,
  endSecondFactor,
  makeRecoveryCodes,
  removeSecondFactor,
} from "./second-factor.ts";
export { endOperatorEntry, enterTeam, leaveTeam } from "./operator-entries.ts";
export { addOperator, listOperators, removeOperator } from "./operators.ts";
export { deleteSingleSignOn, putSingleSignOn, readSignInPolicy, requireSecondFactor } from "./sign-in-policy.ts";
export { askDeviceLogin, beginDeviceLogin } from "./devices.ts";
export { signIn, signOut } from "./sign-in.ts";
export { setup, signUp, verifyEmail } from "./sign-up.ts";
export { createTeam, listTeams } from "./teams.ts";
export { createApiToken, listApiTokens, revokeApiToken } from "./tokens.ts";
