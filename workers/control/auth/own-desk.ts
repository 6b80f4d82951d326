// What somebody does with their own account: with a session of their own, and the password again where it matters.
import type { Result } from "../../../contracts/failures.ts";
import type { UserId } from "../../../contracts/ids.ts";
import { findOwnSession, type OwnSession } from "../../../db/queries/sessions.ts";
import { sessionHeaders, type Asked } from "./asked.ts";
import { atDesk, refuse, type Desk, type DeskOptions } from "./at-desk.ts";
import { readBearer } from "./bearer.ts";

export interface OwnDesk extends Desk {
  readonly me: OwnSession & { readonly id: UserId; readonly token: string };
  /** For better-auth: the session that was shown. */
  readonly headers: Headers;
}

/** Of an account without a password, a session this young shows that its owner is there. */
const FRESH_MS = 10 * 60_000;

/** forbidden: an API token, or a session of a team's sign-on, which is not the account's owner but whoever that team vouches for. */
export async function atOwnDesk<Value>(
  asked: Asked,
  work: (desk: OwnDesk) => Promise<Value>,
  options: DeskOptions = {},
): Promise<Result<Value>> {
  const bearer = await readBearer(asked, asked.env.BETTER_AUTH_SECRET);
  if (bearer?.kind === "api_token")
    return { ok: false, failure: { code: "forbidden", message: "an API token cannot change an account: sign in" } };
  if (bearer === null) return { ok: false, failure: { code: "unauthenticated", message: "sign in" } };
  const { token } = bearer;
  return atDesk(
    asked,
    async (desk) => {
      const session = await findOwnSession(desk.tx, token);
      if (session === null) return refuse("unauthenticated", "the session ended");
      if (session.signOnTeam !== null)
        return refuse("forbidden", "a session of a team's single sign-on changes no account: sign in by yourself");
      return work({ ...desk, me: { ...session, token }, headers: sessionHeaders(asked, token) });
    },
    options,
  );
}

/** Asked for again before what a stolen session must not do. */
export async function requirePassword({ auth, me }: OwnDesk, password: string | undefined): Promise<void> {
  const { internalAdapter, password: passwords } = await auth.$context;
  const credential = await internalAdapter.findCredentialAccount(me.id);
  const hash = credential?.password;
  if (!hash) {
    if (Date.now() - me.createdAtMs <= FRESH_MS) return;
    refuse("unauthenticated", "this needs a session that is younger than ten minutes: sign in again");
  }
  if (password === undefined || !(await passwords.verify({ hash, password })))
    refuse("unauthenticated", "this is not the account's password", [
      { pointer: "/password", rule: "valid", message: "is not the account's password" },
    ]);
}
