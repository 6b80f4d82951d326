// login, logout, whoami: who the CLI acts as.
import { text, password as askPassword, isCancel } from "@clack/prompts";
import { Command } from "@commander-js/extra-typings";
import { z } from "zod";
import { Session, WhoAmI } from "../../contracts/api.ts";
import { createApi } from "../client.ts";
import { writeConfig } from "../config-file.ts";
import type { Context } from "../context.ts";
import { CommandFailure, EXIT } from "../failure.ts";
import { contextOf } from "./run.ts";

export function authCommands() {
  const login = new Command("login")
    .description("sign in and remember it")
    .option("--email <email>")
    .option("--password-stdin", "read the password from standard input")
    .option("--token <token>", "use an API token instead of a password")
    .option("--sign-up", "make the account first")
    .action(async (options, command) => {
      const context = contextOf(command);
      const token = options.token ?? (await signIn(context, options));
      const me = await createApi({ apiUrl: context.api.apiUrl, token }).call(WhoAmI, "GET", "/v1/whoami");
      const kept = context.config?.apiUrl === context.api.apiUrl ? context.config : {};
      writeConfig(context.configPath, { ...kept, apiUrl: context.api.apiUrl, token });
      context.out.result(me, () =>
        context.out.line(`Signed in to ${context.api.apiUrl} as ${me.user.email}, team ${me.team.slug}.`),
      );
    });

  const logout = new Command("logout")
    .description("end the session and forget it")
    .action(async (_options, command) => {
      const context = contextOf(command);
      if (context.config?.token === undefined) return context.out.line("Not signed in.");
      await context.api.call(z.unknown(), "POST", "/v1/sign-out", {});
      const { token: _forgotten, ...rest } = context.config;
      writeConfig(context.configPath, rest);
      context.out.result({ signedOut: true }, () => context.out.line("Signed out."));
    });

  const whoami = new Command("whoami")
    .description("who you are here, and in which teams")
    .action(async (_options, command) => {
      const context = contextOf(command);
      const me = await context.api.call(WhoAmI, "GET", "/v1/whoami");
      context.out.result(me, () => {
        context.out.line(`${me.user.email}${me.user.operator ? " (operator)" : ""} at ${context.api.apiUrl}`);
        context.out.table(
          ["TEAM", "ROLE", ""],
          me.teams.map((team) => [team.slug, team.role, team.id === me.team.id ? "current" : ""]),
        );
      });
    });
  return [login, logout, whoami];
}

async function signIn(
  context: Context,
  options: { email?: string; passwordStdin?: true; signUp?: true },
): Promise<string> {
  const email = options.email ?? (await ask(context, "--email", () => text({ message: "Email" })));
  const password = options.passwordStdin
    ? await readStdin()
    : await ask(context, "--password-stdin", () => askPassword({ message: "Password" }));
  const body = options.signUp ? { email, password, name: email.split("@")[0] ?? email } : { email, password };
  const path = options.signUp ? "/v1/sign-up" : "/v1/sign-in";
  const session = await createApi({ apiUrl: context.api.apiUrl }).call(Session, "POST", path, body);
  return session.token;
}

/** Asks a person; without a terminal it says which flag to use instead of waiting for an answer that cannot come. */
async function ask(
  context: Context,
  flag: string,
  prompt: () => Promise<string | symbol | undefined>,
): Promise<string> {
  if (!context.interactive) throw new CommandFailure(`No terminal to ask at: give ${flag}`, EXIT.usage);
  const answer = await prompt();
  if (answer === undefined || isCancel(answer)) throw new CommandFailure("Cancelled", EXIT.detached);
  return String(answer);
}

async function readStdin(): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks)
    .toString("utf8")
    .replace(/\r?\n$/, "");
}
