// Who may make an account: the operator's word, for the whole installation.
import type { AuthEnv } from "./caller.ts";

/** open: everybody. invited: addresses that an operator invited. closed: nobody. */
export type SignUpPolicy = "open" | "invited" | "closed";

/** A word that is none of these closes the door: better than to open it by a slip of the pen. */
export function signUpPolicy({ SIGN_UP }: AuthEnv): SignUpPolicy {
  if (SIGN_UP === undefined) return "invited";
  return SIGN_UP === "open" || SIGN_UP === "invited" ? SIGN_UP : "closed";
}
