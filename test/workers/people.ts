// People who sign up as anybody does: by a letter, which is kept here instead of being sent.
import type { Session } from "../../contracts/api.ts";
import type { Result } from "../../contracts/failures.ts";
import type { Asked, AuthEnv } from "../../workers/control/auth/index.ts";
import { signUp } from "../../workers/control/auth/index.ts";
import { atDesk } from "../../workers/control/auth/at-desk.ts";
import { opened } from "../../workers/control/auth/opened.ts";
import { findUser, markVerified } from "../../db/queries/users.ts";
import type { Letter } from "../../workers/control/mail/mailer.ts";

export const password = "correct horse battery";
export const ORIGIN = "https://berth.test";

export class People {
  readonly env: AuthEnv;
  readonly letters: Letter[] = [];

  constructor(env: AuthEnv) {
    this.env = { ...env, CONTROL_ORIGIN: ORIGIN, SIGN_UP: "open", MAIL_URL: "http://mail.test" };
  }

  /** A request, of whoever has this bearer. */
  asked(bearer?: string, env: Partial<AuthEnv> = {}): Asked {
    return {
      env: { ...this.env, ...env },
      headers: new Headers({
        "cf-connecting-ip": "203.0.113.7",
        "user-agent": "test",
        ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }),
      }),
      post: (letters) => void this.letters.push(...letters),
    };
  }

  /** Of the newest letter to this address with a link. */
  tokenFor(email: string): string {
    const letter = this.letters.findLast(({ to, text }) => to === email && text.includes("?token="));
    const token = /\?token=(\S+)/.exec(letter?.text ?? "")?.[1];
    if (token === undefined) throw new Error(`no letter with a link went to ${email}`);
    return decodeURIComponent(token);
  }

  /** As by the letter's link and a sign-in, but with one look at the password instead of three: each takes a tenth of a second. */
  async newUser(email: string, name = email): Promise<Session> {
    valueOf(await signUp({ email, password, name }, this.asked()));
    const opening = atDesk(this.asked(), async ({ tx, auth }) => {
      const user = await findUser(tx, email);
      if (user === null) throw new Error(`${email} was not signed up`);
      await markVerified(tx, user.id);
      return (await (await auth.$context).internalAdapter.createSession(user.id)).token;
    });
    return valueOf(await opened(this.asked(), await opening));
  }
}

export function valueOf<Value>(result: Result<Value>): Value {
  if (!result.ok) throw new Error(`${result.failure.code}: ${result.failure.message}`);
  return result.value;
}

export const codeOf = (result: Result<unknown>): string => (result.ok ? "ok" : result.failure.code);
