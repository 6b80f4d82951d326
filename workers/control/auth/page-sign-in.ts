// Signing in on a web page: better-auth's own cookies, with a second step where the account asks for a code.
import type { Result } from "../../../contracts/failures.ts";
import { findOwnSession, type OwnSession } from "../../../db/queries/sessions.ts";
import { markSecondFactor } from "../../../db/queries/second-factors.ts";
import { plainHeaders, type Asked } from "./asked.ts";
import { atDesk, type Desk } from "./at-desk.ts";
import { noteSignIn, showPassword } from "./sign-in.ts";
import { showCode } from "./second-factor.ts";

export interface PageSignIn {
  readonly wantsCode: boolean;
  /** `set-cookie` of the answer. */
  readonly cookies: readonly string[];
}

/** As plainHeaders, with the cookies of the browser; better-auth checks their signatures. */
export function pageHeaders(asked: Asked): Headers {
  const headers = plainHeaders(asked);
  const cookie = asked.headers.get("cookie");
  if (cookie !== null) headers.set("cookie", cookie);
  return headers;
}

export function signInOnPage(email: string, password: string, asked: Asked): Promise<Result<PageSignIn>> {
  return atDesk(asked, async (desk) => {
    const { token, headers } = await showPassword(desk, email, password, plainHeaders(asked));
    return { wantsCode: token === null, cookies: headers.getSetCookie() };
  });
}

/** Of a sign-in that waits for it, or of a session that another provider opened. */
export function showCodeOnPage(code: string, asked: Asked): Promise<Result<PageSignIn>> {
  return atDesk(asked, async (desk) => {
    const { token, user, headers } = await showCode(desk, code, pageHeaders(asked));
    await markSecondFactor(desk.tx, token);
    await noteSignIn(desk, user);
    return { wantsCode: false, cookies: headers.getSetCookie() };
  });
}

export interface PageSession extends OwnSession {
  readonly token: string;
}

/** wants_code: a provider said who it is, and the account asks for a code all the same. */
export type WhoIsThere =
  | { readonly kind: "nobody" }
  | { readonly kind: "wants_code" }
  | { readonly kind: "somebody"; readonly session: PageSession };

export function sessionOfPage(asked: Asked): Promise<Result<WhoIsThere>> {
  return atDesk(asked, whoIsThere);
}

async function whoIsThere({ auth, tx, asked }: Desk): Promise<WhoIsThere> {
  const found = await auth.api.getSession({ headers: pageHeaders(asked) });
  const session = found === null ? null : await findOwnSession(tx, found.session.token);
  if (found === null || session === null) return { kind: "nobody" };
  const lacksCode = session.secondFactorOn && !session.secondFactor && session.signOnTeam === null;
  return lacksCode ? { kind: "wants_code" } : { kind: "somebody", session: { ...session, token: found.session.token } };
}

export function signOutOnPage(asked: Asked): Promise<Result<readonly string[]>> {
  return atDesk(asked, async (desk) => {
    const { headers } = await desk.auth.api.signOut({ headers: pageHeaders(asked), returnHeaders: true });
    return headers.getSetCookie();
  });
}
