// Making an account: the installation's first operator, and everybody who proves an address.
import { decodeJwt } from "jose";
import type { z } from "zod";
import type { Session, Setup, SignUp, VerifyEmail } from "../../../contracts/api.ts";
import type { Result } from "../../../contracts/failures.ts";
import type { UserId } from "../../../contracts/ids.ts";
import { hasOperator, isRegistered, makeOperator } from "../../../db/queries/users.ts";
import * as letters from "../mail/letters.ts";
import { mailerOf } from "../mail/mailer.ts";
import { refusalCode } from "./accounts.ts";
import { plainHeaders, type Asked } from "./asked.ts";
import { atDesk, note, refuse, requireGoodPassword, type Desk } from "./at-desk.ts";
import { equalSecrets } from "./bearer.ts";
import { authDatabase } from "./databases.ts";
import { endSessionIn } from "./new-session.ts";
import { opened } from "./opened.ts";
import { signUpPolicy } from "./policy.ts";

/** The same answer whether the address has an account, was not invited, or gets a letter now. forbidden: nobody may sign up here. */
export async function signUp(input: z.infer<typeof SignUp>, asked: Asked): Promise<Result<null>> {
  if (signUpPolicy(asked.env) === "closed") {
    const message = "sign-up is closed at this installation: ask its operator for an account";
    return { ok: false, failure: { code: "forbidden", message } };
  }
  if (mailerOf(asked.env) === null || asked.env.CONTROL_ORIGIN === undefined) {
    const message = "this installation sends no mail, so nobody can sign up: its operator can set that up";
    return { ok: false, failure: { code: "conflict", message } };
  }
  try {
    return await atDesk(asked, async ({ auth }) => {
      requireGoodPassword(input.password, input.email);
      await auth.api.signUpEmail({ body: input, headers: plainHeaders(asked) });
      return null;
    });
  } catch (error) {
    // Another sign-up with this address was quicker, and its letter is on the way.
    // better-auth hides why, so this asks: Postgres may have been away.
    if (refusalCode(error) !== "FAILED_TO_CREATE_USER") throw error;
    if (await isRegistered(authDatabase(asked.env), input.email)) return { ok: true, value: null };
    throw error;
  }
}

/**
 * The letter's token shows that the mailbox is theirs, the password that the account is: a stranger who signed up with this
 * address, and hopes for its owner to follow the link, gets nothing.
 */
export function verifyEmail(input: z.infer<typeof VerifyEmail>, asked: Asked): Promise<Result<null>> {
  return atDesk(asked, async (desk) => {
    const { headers } = await desk.auth.api.verifyEmail({
      query: { token: input.token },
      headers: plainHeaders(asked),
      returnHeaders: true,
    });
    // A changed address comes with a session of its own making.
    await endSessionIn(desk, headers);
    const { email, updateTo } = decodeJwt<{ email: string; updateTo?: string }>(input.token);
    const user = await requirePassword(desk, updateTo ?? email, input.password);
    await note(desk, user, "user.verify_email");
    if (updateTo !== undefined)
      desk.letters.push(letters.notice(email, "address_changed", asked.env.CONTROL_ORIGIN ?? ""));
    return null;
  });
}

async function requirePassword({ auth }: Desk, email: string, password: string): Promise<UserId> {
  const context = await auth.$context;
  const found = await context.internalAdapter.findUserByEmail(email.toLowerCase(), { includeAccounts: true });
  const hash = found?.accounts.find(({ providerId }) => providerId === "credential")?.password;
  if (!found || !hash || !(await context.password.verify({ hash, password })))
    return refuse("unauthenticated", "this is not the account's password", [
      { pointer: "/password", rule: "valid", message: "is not the account's password" },
    ]);
  return found.user.id as UserId;
}

/** Once per installation, makes the operator; needs no letter. forbidden: wrong token; conflict: already done. */
export async function setup(input: z.infer<typeof Setup>, asked: Asked): Promise<Result<Session>> {
  if (!(await equalSecrets(input.setupToken, asked.env.SETUP_TOKEN))) {
    return { ok: false, failure: { code: "forbidden", message: "this is not the installation's setup token" } };
  }
  const { email, password } = input;
  const work = async ({ tx, auth }: Desk) => {
    requireGoodPassword(password, email);
    if (await hasOperator(tx)) refuse("conflict", "Berth is set up already; sign in as its operator");
    const made = await auth.api.signUpEmail({
      body: { email, password, name: "Operator" },
      headers: plainHeaders(asked),
    });
    const { internalAdapter } = await auth.$context;
    const user = await internalAdapter.findUserByEmail(email.toLowerCase());
    if (user?.user.id !== made.user.id) return refuse("conflict", "there is an account with this e-mail address");
    const operator = made.user.id as UserId;
    await makeOperator(tx, operator);
    await note({ tx, asked }, operator, "installation.setup");
    return (await internalAdapter.createSession(operator)).token;
  };
  return opened(asked, await atDesk(asked, work, { first: true }));
}
