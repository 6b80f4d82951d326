// better-auth as Berth uses it: e-mail and password, sessions in Postgres. One instance per request, on that request's transaction.
import { isAPIError } from "better-auth/api";
import { betterAuth } from "better-auth/minimal";
import { drizzleAdapter } from "better-auth/adapters/drizzle";
import type { Transaction } from "../../../db/connect.ts";
import { mintId } from "../../../db/ids.ts";
import { accounts, sessions, users, verifications } from "../../../db/schema/auth.ts";

/** Then one signs in again. */
const SESSION_TTL_S = 30 * 24 * 60 * 60;
const ID_PREFIXES: Readonly<Record<string, string>> = {
  user: "user",
  session: "sess",
  account: "acct",
  verification: "veri",
};

export function accountsOn(tx: Transaction, secret: string) {
  return betterAuth({
    secret,
    baseURL: "http://berth.invalid",
    database: drizzleAdapter(tx, {
      provider: "pg",
      schema: { user: users, session: sessions, account: accounts, verification: verifications },
    }),
    emailAndPassword: { enabled: true, minPasswordLength: 10, maxPasswordLength: 128 },
    session: { expiresIn: SESSION_TTL_S, cookieCache: { enabled: false } },
    user: { additionalFields: { operator: { type: "boolean", input: false, defaultValue: false } } },
    advanced: { database: { generateId: ({ model }) => mintId(ID_PREFIXES[model] ?? model) } },
    // The API limits sign-ins for all isolates together; a count in one isolate's memory would not.
    rateLimit: { enabled: false },
    telemetry: { enabled: false },
    logger: { disabled: true },
  });
}

/** better-auth's word for what went wrong, or null if it is none of its refusals. */
export function refusalCode(error: unknown): string | null {
  return isAPIError(error) ? ((error.body as { code?: string } | undefined)?.code ?? "") : null;
}
