// Signing in with a password, and a code where the account asks for one; and signing out.
import type { z } from "zod";
import type { Session, SignIn } from "../../../contracts/api.ts";
import type { Result } from "../../../contracts/failures.ts";
import type { UserId } from "../../../contracts/ids.ts";
import { cookiesOf, plainHeaders, type Asked } from "./asked.ts";
import { atDesk, note, refuse, type Desk } from "./at-desk.ts";
import { readBearer } from "./bearer.ts";
import { opened } from "./opened.ts";
import { showCode } from "./second-factor.ts";

/**
 * second_factor_required: the password is right, and the account asks for a code too. unauthenticated: the same for a wrong
 * password and for an address without an account.
 */
export async function signIn(input: z.infer<typeof SignIn>, asked: Asked): Promise<Result<Session>> {
  return opened(asked, await atDesk(asked, (desk) => openSession(desk, input)));
}

async function openSession(desk: Desk, { email, password, code }: z.infer<typeof SignIn>): Promise<string> {
  const headers = plainHeaders(desk.asked);
  const first = await showPassword(desk, email, password, headers);
  if (first.token !== null) return first.token;
  if (code === undefined)
    return refuse("second_factor_required", "this account asks for a code too", [
      { pointer: "/code", rule: "required", message: "give the code of your authenticator app, or a recovery code" },
    ]);
  headers.set("cookie", cookiesOf(first.headers));
  const { token, user } = await showCode(desk, code, headers);
  await noteSignIn(desk, user);
  return token;
}

/** token null: a code is to be shown too, with the cookie that these headers set. */
export async function showPassword(
  desk: Desk,
  email: string,
  password: string,
  headers: Headers,
): Promise<{ token: string | null; headers: Headers }> {
  const answer = await desk.auth.api.signInEmail({ body: { email, password }, headers, returnHeaders: true });
  if ("twoFactorRedirect" in answer.response) return { token: null, headers: answer.headers };
  const { token, user } = answer.response;
  await noteSignIn(desk, user.id as UserId);
  return { token, headers: answer.headers };
}

export async function noteSignIn({ tx, asked }: Desk, user: UserId): Promise<void> {
  await note({ tx, asked }, user, "user.sign_in");
}

/** Ends the session that the request's bearer names; harmless when repeated. */
export async function signOut(asked: Asked): Promise<Result<null>> {
  const bearer = await readBearer(asked, asked.env.BETTER_AUTH_SECRET);
  if (bearer?.kind !== "session") {
    return { ok: false, failure: { code: "unauthenticated", message: "only a session can be signed out" } };
  }
  return atDesk(asked, async ({ auth }) => {
    await (await auth.$context).internalAdapter.deleteSession(bearer.token);
    return null;
  });
}
