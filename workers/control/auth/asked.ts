// What the functions of this folder are given of a request: the environment, who asks from where, and the way out for letters.
import type { By } from "../../../db/queries/audit.ts";
import type { Letter } from "../mail/mailer.ts";
import type { AuthEnv } from "./caller.ts";

export interface Asked {
  readonly env: AuthEnv;
  readonly headers: Headers;
  /** For the audit: in which request, from where. */
  readonly by?: Omit<By, "actor">;
  /** Called once, after what the letters speak of is committed. */
  post(letters: readonly Letter[]): void;
}

/** What better-auth hears of the request: the address and the client for its sessions, and no credential that we did not check. */
export function plainHeaders({ headers }: Asked): Headers {
  const kept = new Headers();
  for (const name of [ADDRESS_HEADER, "user-agent"]) {
    const value = headers.get(name);
    if (value !== null) kept.set(name, value.slice(0, USER_AGENT_CHARS_MAX));
  }
  return kept;
}

export const ADDRESS_HEADER = "cf-connecting-ip";
const USER_AGENT_CHARS_MAX = 256;

/** As plainHeaders, with a session that was found genuine. */
export function sessionHeaders(asked: Asked, token: string): Headers {
  const headers = plainHeaders(asked);
  headers.set("authorization", `Bearer ${token}`);
  return headers;
}

/** What an answer's cookies would say to the next request. */
export function cookiesOf(answer: Headers): string {
  return answer
    .getSetCookie()
    .map((cookie) => cookie.split(";", 1)[0] ?? "")
    .join("; ");
}
