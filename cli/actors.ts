// Who did something, as a person reads it: one's own id is one's e-mail address.
import { WhoAmI } from "../contracts/api.ts";
import type { Context } from "./context.ts";

const known = new WeakMap<Context, Promise<(text: string) => string>>();

/** What puts names in place of ids in a text. Asks the API once, and only if the text holds one; without an answer ids stay. */
export async function withNames(context: Context, text: string): Promise<string> {
  if (!text.includes("user:")) return text;
  let naming = known.get(context);
  if (naming === undefined) {
    naming = context.api.call(WhoAmI, "GET", "/v1/whoami").then(
      ({ user }) =>
        (said) =>
          said.replaceAll(`user:${user.id}`, user.email),
      () => (said) => said,
    );
    known.set(context, naming);
  }
  return (await naming)(text);
}
