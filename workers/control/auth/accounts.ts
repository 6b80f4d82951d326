// better-auth as Berth uses it: passwords, sessions, second factors and devices, in Postgres. One instance per request, on that request's transaction.
import { isAPIError } from "better-auth/api";
import { betterAuth } from "better-auth/minimal";
import { drizzleAdapter } from "better-auth/adapters/drizzle";
import { bearer } from "better-auth/plugins/bearer";
import { deviceAuthorization } from "better-auth/plugins/device-authorization";
import { twoFactor } from "better-auth/plugins/two-factor";
import type { OAuthProvider } from "better-auth/oauth2";
import type { BetterAuthOptions, BetterAuthPlugin } from "better-auth/types";
import type { Transaction } from "../../../db/connect.ts";
import { mintId } from "../../../db/ids.ts";
import * as tables from "../../../db/schema/auth.ts";
import * as letters from "../mail/letters.ts";
import type { Letter } from "../mail/mailer.ts";
import { ADDRESS_HEADER } from "./asked.ts";
import type { AuthEnv } from "./caller.ts";
import { accountHooks } from "./hooks.ts";
import { sessionVersions } from "../keys/session-secrets.ts";

/** Then one signs in again. */
const SESSION_TTL_S = 30 * 24 * 60 * 60;
/** Of the links in letters: as long as the letters say. */
const LINK_TTL_S = 60 * 60;
/** Long enough to find the second device; short for a code that somebody else may be talked into. */
const DEVICE_CODE_TTL = "10m";
const DEVICE_POLL = "3s";
export const CLI_CLIENT = "berth-cli";
/** Where better-auth's own paths are: of them only the providers' way back is served (workers/control/pages). */
export const AUTH_PATH = "/auth";

const ID_PREFIXES: Readonly<Record<string, string>> = {
  user: "user",
  session: "sess",
  account: "acct",
  verification: "veri",
  twoFactor: "totp",
  deviceCode: "dev",
};

export interface AccountsInput {
  readonly tx: Transaction;
  readonly env: AuthEnv;
  /** What is to be sent once the transaction is committed. */
  readonly letters: Letter[];
  /** The one provider that this request is about. */
  // oxlint-disable-next-line no-explicit-any -- Its profile is its own affair.
  readonly provider?: OAuthProvider<any>;
  /** The installation's first user: asks no policy and needs no letter. */
  readonly first?: true;
}

export function accountsOn({ tx, env, letters: outgoing, provider, first }: AccountsInput) {
  const origin = originOf(env);
  return betterAuth({
    appName: "Berth",
    ...secretsOf(env.BETTER_AUTH_SECRET),
    baseURL: origin,
    basePath: AUTH_PATH,
    database: drizzleAdapter(tx, {
      provider: "pg",
      schema: {
        user: tables.users,
        session: tables.sessions,
        account: tables.accounts,
        verification: tables.verifications,
        twoFactor: tables.twoFactors,
        deviceCode: tables.deviceCodes,
      },
    }),
    ...passwords(outgoing, origin, first ?? false),
    account: {
      // Nothing is asked of a provider after the sign-in.
      updateAccountOnSignIn: false,
      accountLinking: { enabled: true, requireLocalEmailVerified: true, allowDifferentEmails: false },
    },
    session: {
      expiresIn: SESSION_TTL_S,
      disableSessionRefresh: true,
      cookieCache: { enabled: false },
      additionalFields: {
        secondFactor: { type: "boolean", input: false, required: false },
        signOnTeam: { type: "string", input: false, required: false },
      },
    },
    user: {
      additionalFields: { operator: { type: "boolean", input: false, defaultValue: false } },
      changeEmail: { enabled: true },
    },
    verification: { storeIdentifier: "hashed" },
    databaseHooks: accountHooks({ tx, env, letters: outgoing, origin, first: first ?? false }),
    plugins: [
      twoFactor({ issuer: "Berth", allowPasswordless: true }),
      deviceAuthorization({
        expiresIn: DEVICE_CODE_TTL,
        interval: DEVICE_POLL,
        validateClient: (client) => client === CLI_CLIENT,
        verificationUri: `${origin}/account/device`,
      }),
      ...(provider === undefined ? [] : [theOne(provider)]),
      // The last: it shows the session that is left when the others are done.
      bearer(),
    ],
    onAPIError: { errorURL: `${origin}/account/sign-in` },
    advanced: {
      database: { generateId: ({ model }) => mintId(ID_PREFIXES[model] ?? model) },
      ipAddress: { ipAddressHeaders: [ADDRESS_HEADER] },
      ...cookieNames(origin),
    },
    // The API limits sign-ins for all isolates together; a count in one isolate's memory would not.
    rateLimit: { enabled: false },
    telemetry: { enabled: false },
    logger: { disabled: true },
  });
}

/** As better-auth's own plug-ins for providers do; what it asks goes through our guard, which they know nothing of. */
// oxlint-disable-next-line no-explicit-any -- As above.
function theOne(provider: OAuthProvider<any>) {
  return {
    id: "berth-provider",
    init: () => ({ context: { socialProviders: [provider] } }),
  } satisfies BetterAuthPlugin;
}

export type Accounts = ReturnType<typeof accountsOn>;

/** Nobody signs in by an address that they did not prove; what is sent is what proves it. */
function passwords(outgoing: Letter[], origin: string, first: boolean) {
  return {
    emailAndPassword: {
      enabled: true,
      minPasswordLength: 10,
      maxPasswordLength: 128,
      requireEmailVerification: true,
      revokeSessionsOnPasswordReset: true,
      resetPasswordTokenExpiresIn: LINK_TTL_S,
      sendResetPassword: async ({ user, token }) =>
        void outgoing.push(letters.resetPassword(user.email, origin, token)),
      onExistingUserSignUp: async ({ user }) => void outgoing.push(letters.alreadySignedUp(user.email, origin)),
    },
    emailVerification: {
      sendOnSignUp: !first,
      sendOnSignIn: true,
      expiresIn: LINK_TTL_S,
      sendVerificationEmail: async ({ user, token }) => void outgoing.push(verification(user.email, origin, token)),
    },
  } satisfies Partial<BetterAuthOptions>;
}

/** An installation without an origin of its own sends no links and shows no pages; its API works all the same. */
export const originOf = ({ CONTROL_ORIGIN }: AuthEnv): string => CONTROL_ORIGIN ?? "http://berth.invalid";

/** `__Host-`: the browser keeps the cookie to this one host, whatever another host of the domain says. It needs https. */
function cookieNames(origin: string) {
  const isSecure = origin.startsWith("https:");
  return {
    useSecureCookies: false,
    cookiePrefix: isSecure ? "__Host-berth" : "berth",
    defaultCookieAttributes: { secure: isSecure, httpOnly: true, sameSite: "lax", path: "/" },
  } as const;
}

/** A token that changes the address says so in its claims; which they are only matters for the words of the letter. */
function verification(to: string, origin: string, token: string): Letter {
  const [, claims = ""] = token.split(".");
  const isChange = atob(claims.replaceAll("-", "+").replaceAll("_", "/")).includes('"updateTo"');
  return isChange ? letters.verifyNewAddress(to, origin, token) : letters.verifyAddress(to, origin, token);
}

/** Of a ring all versions open what was stored by them, retired ones too; the first is what bare ciphertexts of before are by. */
function secretsOf(text: string) {
  const [current, ...older] = sessionVersions(text);
  const first = older.reduce((oldest, one) => (one.version < oldest.version ? one : oldest), current);
  return older.length === 0 ? { secret: current.value } : { secret: first.value, secrets: [current, ...older] };
}

/** better-auth's word for what went wrong, or null if it is none of its refusals. */
export function refusalCode(error: unknown): string | null {
  if (!isAPIError(error)) return null;
  const body = error.body as { code?: string; error?: string } | undefined;
  return body?.code ?? body?.error ?? "";
}
