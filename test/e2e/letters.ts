// The letters of a local stack, which lie in its folder as files; and people who sign up by them.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { eventually, type World } from "./support.ts";

export interface KeptLetter {
  readonly to: string;
  readonly subject: string;
  readonly text: string;
}

/** Oldest first. */
export function lettersTo(world: World, email: string): KeptLetter[] {
  const folder = join(world.home, "state/mail");
  return readdirSync(folder)
    .filter((name) => name.endsWith(".json"))
    .sort()
    .map((name) => JSON.parse(readFileSync(join(folder, name), "utf8")) as KeptLetter)
    .filter(({ to }) => to === email);
}

/** The newest letter with this subject, once it is there. */
export async function letterTo(world: World, email: string, subject: string): Promise<KeptLetter> {
  const found = await eventually(
    async () => lettersTo(world, email).findLast((letter) => letter.subject === subject),
    (letter) => letter !== undefined,
  );
  return found as KeptLetter;
}

export function tokenIn({ text }: KeptLetter): string {
  const token = /\?token=(\S+)/.exec(text)?.[1];
  if (token === undefined) throw new Error(`no link in: ${text}`);
  return decodeURIComponent(token);
}

/** A new account, signed in: the session's token. */
export async function signUpBy(world: World, email: string, password: string): Promise<string> {
  const nobody = { authorization: "" };
  await world.api("POST", "/v1/sign-up", { email, password, name: "Somebody" }, nobody);
  const token = tokenIn(await letterTo(world, email, "Confirm your address"));
  await world.api("POST", "/v1/verify-email", { token, password }, nobody);
  const { body } = await world.api("POST", "/v1/sign-in", { email, password }, nobody);
  return body.token;
}
