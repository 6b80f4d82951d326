// The first operator: made with the token that only the control Worker and this machine know, then signed in here.
import { isCancel, password as askPassword } from "@clack/prompts";
import pRetry from "p-retry";
import { Session } from "../../contracts/api.ts";
import { createApi } from "../client.ts";
import { writeConfig } from "../config-file.ts";
import type { Context } from "../context.ts";
import { CommandFailure, EXIT } from "../failure.ts";
import { readStdin } from "../read-stdin.ts";
import { readKept, writeKept } from "./kept.ts";

/** A new hostname and its certificate take a while to be everywhere. */
const RETRIES = 12;

export interface FirstOperator {
  readonly email: string;
  readonly password: string;
}

/** Asked for before anything is made. Null: none is wanted, or this machine is signed in there already. */
export async function readOperator(
  context: Context,
  email: string | undefined,
  passwordStdin: boolean,
): Promise<FirstOperator | null> {
  if (email === undefined) return null;
  if (passwordStdin) return { email, password: await readStdin() };
  if (!context.interactive) throw new CommandFailure("No terminal to ask at: give --password-stdin", EXIT.usage);
  const password = await askPassword({ message: `Password of the first operator, ${email}` });
  if (password === undefined || isCancel(password)) throw new CommandFailure("Cancelled", EXIT.detached);
  return { email, password };
}

/** `path`: where this machine keeps the token until then. */
export async function makeFirstOperator(
  context: Context,
  apiUrl: string,
  path: string,
  operator: FirstOperator,
): Promise<void> {
  const { setupToken, ...rest } = readKept(path);
  if (setupToken === undefined) throw new Error("a plan with a first operator makes its token");
  await makeOperator(context, apiUrl, setupToken, operator);
  writeKept(path, rest);
}

export async function makeOperator(
  { configPath }: Context,
  apiUrl: string,
  setupToken: string,
  { email, password }: FirstOperator,
): Promise<void> {
  const api = createApi({ apiUrl });
  const session = await pRetry(() => api.call(Session, "POST", "/v1/setup", { setupToken, email, password }), {
    retries: RETRIES,
    minTimeout: 1_000,
    maxTimeout: 15_000,
    shouldRetry: ({ error }) => error instanceof CommandFailure && error.exitCode === EXIT.unreachable,
  });
  writeConfig(configPath, { apiUrl, token: session.token });
}
