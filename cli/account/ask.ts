// Asking a person for what a command was not given: never without a terminal, where the answer cannot come.
import { isCancel, password, text } from "@clack/prompts";
import type { Context } from "../context.ts";
import { CommandFailure, EXIT } from "../failure.ts";
import { readStdin } from "../read-stdin.ts";

/** Without a terminal it says which flag to use instead. */
export async function ask(context: Context, flag: string, message: string): Promise<string> {
  return answered(context, flag, () => text({ message }));
}

export interface PasswordOptions {
  readonly passwordStdin?: true | undefined;
}

export async function askPassword(context: Context, options: PasswordOptions, message = "Password"): Promise<string> {
  if (options.passwordStdin) return (await stdinLines())[0] ?? "";
  return answered(context, "--password-stdin", () => password({ message }));
}

/** Two of them: on standard input one line each. */
export async function askPasswords(
  context: Context,
  options: PasswordOptions,
  messages: readonly [string, string],
): Promise<readonly [string, string]> {
  if (options.passwordStdin) {
    const [first = "", second = ""] = await stdinLines();
    return [first, second];
  }
  const first = await answered(context, "--password-stdin", () => password({ message: messages[0] }));
  return [first, await answered(context, "--password-stdin", () => password({ message: messages[1] }))];
}

const stdinLines = async (): Promise<string[]> => (await readStdin()).split(/\r?\n/);

async function answered(
  context: Context,
  flag: string,
  prompt: () => Promise<string | symbol | undefined>,
): Promise<string> {
  if (!context.interactive) throw new CommandFailure(`No terminal to ask at: give ${flag}`, EXIT.usage);
  const answer = await prompt();
  if (answer === undefined || isCancel(answer)) throw new CommandFailure("Cancelled", EXIT.detached);
  return String(answer);
}
