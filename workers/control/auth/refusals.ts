// What better-auth refuses, in our words. Whatever could tell a stranger that an account exists has one answer with its opposite.
import type { Failure } from "../../../contracts/failures.ts";

const wrongPassword: Failure = { code: "unauthenticated", message: "the e-mail address or the password is wrong" };
const wrongCode = fault(
  "unauthenticated",
  "/code",
  "is not the present code, was used already, or is not a recovery code",
);
const badToken = fault("gone", "/token", "is not valid, was used already, or is too old: ask for another letter");
const badPassword = fault("invalid_request", "/password", "must have 10 to 128 characters");
const badDevice = fault("gone", "/userCode", "is not a code that waits: it was answered already, or is too old");

const FAILURES: Readonly<Record<string, Failure>> = {
  INVALID_EMAIL_OR_PASSWORD: wrongPassword,
  INVALID_PASSWORD: fault("unauthenticated", "/password", "is not the account's password"),
  EMAIL_NOT_VERIFIED: {
    code: "forbidden",
    message: "this address is not confirmed yet: a letter with a link was sent to it just now",
  },
  INVALID_EMAIL: fault("invalid_request", "/email", "must be an e-mail address"),
  PASSWORD_TOO_SHORT: badPassword,
  PASSWORD_TOO_LONG: badPassword,
  INVALID_CODE: wrongCode,
  INVALID_BACKUP_CODE: wrongCode,
  ACCOUNT_TEMPORARILY_LOCKED: {
    code: "rate_limited",
    message: "too many wrong codes: wait a quarter of an hour",
    retryAfterMs: 900_000,
  },
  TOO_MANY_ATTEMPTS_REQUEST_NEW_CODE: wrongCode,
  INVALID_TWO_FACTOR_COOKIE: { code: "unauthenticated", message: "the sign-in took too long: begin again" },
  TOTP_NOT_ENABLED: { code: "conflict", message: "no second factor is being set up" },
  TOTP_ALREADY_ENABLED: { code: "conflict", message: "the second factor is on already" },
  TWO_FACTOR_NOT_ENABLED: { code: "conflict", message: "the second factor is not on" },
  BACKUP_CODES_NOT_ENABLED: wrongCode,
  INVALID_TOKEN: badToken,
  TOKEN_EXPIRED: badToken,
  USER_NOT_FOUND: badToken,
  INVALID_USER: badToken,
  EMAIL_IS_THE_SAME: fault("invalid_request", "/email", "is the account's address already"),
  invalid_request: badDevice,
  expired_token: { code: "gone", message: "this sign-in took too long: begin again" },
  device_code_already_processed: badDevice,
  invalid_grant: { code: "gone", message: "this sign-in is over: begin again" },
  access_denied: { code: "forbidden", message: "the sign-in was refused on the web page" },
  unauthorized: { code: "unauthenticated", message: "sign in first" },
};

/** Null: none that is expected. */
export function failureOfRefusal(code: string): Failure | null {
  return FAILURES[code] ?? null;
}

function fault(code: Failure["code"], pointer: string, message: string): Failure {
  return { code, message: `${pointer} ${message}`, errors: [{ pointer, rule: "valid", message }] };
}
