// The session that an answer of better-auth opened, by the token that it hands out.
import type { Desk } from "./at-desk.ts";

/** The token in an answer's headers, as the bearer plug-in shows it: the stored token, a dot, better-auth's own signature. */
export function sessionIn(headers: Headers): string | null {
  const shown = headers.get("set-auth-token");
  if (shown === null) return null;
  const text = decodeURIComponent(shown);
  return text.slice(0, text.lastIndexOf(".")) || null;
}

export async function endSessionIn({ auth }: Desk, headers: Headers): Promise<void> {
  const token = sessionIn(headers);
  if (token !== null) await (await auth.$context).internalAdapter.deleteSession(token);
}
