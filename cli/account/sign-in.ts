// Signing in with a password, for scripts and for machines without a browser; and making an account.
import { LetterSent } from "../../contracts/account.ts";
import { Session } from "../../contracts/api.ts";
import { createApi } from "../client.ts";
import { writeConfig } from "../config-file.ts";
import type { Context } from "../context.ts";
import { CommandFailure } from "../failure.ts";
import { ask, askPassword, type PasswordOptions } from "./ask.ts";

export interface SignInOptions extends PasswordOptions {
  readonly email?: string | undefined;
  readonly code?: string | undefined;
}

/** The session's token. A code is asked for once it turns out that the account wants one. */
export async function signInByPassword(context: Context, options: SignInOptions): Promise<string> {
  const email = options.email ?? (await ask(context, "--email", "Email"));
  const password = await askPassword(context, options);
  const api = createApi({ apiUrl: context.api.apiUrl });
  const signIn = async (code: string | undefined): Promise<string> => {
    const body = { email, password, ...(code === undefined ? {} : { code }) };
    return (await api.call(Session, "POST", "/v1/sign-in", body)).token;
  };
  try {
    return await signIn(options.code);
  } catch (error) {
    const wantsCode = error instanceof CommandFailure && error.problem?.code === "second_factor_required";
    if (!wantsCode || options.code !== undefined) throw error;
    return signIn((await ask(context, "--code", "Code of your authenticator app, or a recovery code")).trim());
  }
}

export async function signUp(context: Context, options: SignInOptions): Promise<void> {
  const email = options.email ?? (await ask(context, "--email", "Email"));
  const password = await askPassword(context, options, "Password (at least 10 characters)");
  const body = { email, password, name: email.split("@")[0] ?? email };
  const api = createApi({ apiUrl: context.api.apiUrl });
  const sent = await api.call(LetterSent, "POST", "/v1/sign-up", body);
  context.out.result(sent, () =>
    context.out.line(`A letter goes to ${email}, if it may sign up here. Open its link, then: berth login`),
  );
}

/** Of the session that the file holds: an API token in the environment is nobody's to replace. */
export function keepToken(context: Context, token: string): void {
  const { apiUrl } = context.api;
  const kept = context.config?.apiUrl === apiUrl ? context.config : {};
  writeConfig(context.configPath, { ...kept, apiUrl, token });
}
