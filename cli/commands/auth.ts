// login, logout, whoami: who the CLI acts as.
import { Command } from "@commander-js/extra-typings";
import { z } from "zod";
import { WhoAmI } from "../../contracts/api.ts";
import { signInByDevice } from "../account/device.ts";
import { keepToken, signInByPassword, signUp, type SignInOptions } from "../account/sign-in.ts";
import { createApi } from "../client.ts";
import { writeConfig } from "../config-file.ts";
import type { Context } from "../context.ts";
import { contextOf } from "./run.ts";

export function authCommands() {
  const login = new Command("login")
    .description("sign in on a web page, and remember it")
    .option("--no-browser", "only show the page's address, to be opened on any device")
    .option("--email <email>", "with a password instead, which is asked for")
    .option("--password-stdin", "read the password from standard input")
    .option("--code <code>", "of an authenticator app, or a recovery code")
    .option("--token <token>", "use an API token instead of a password")
    .option("--sign-up", "make an account: a letter with a link comes first")
    .action(async (options, command) => {
      const context = contextOf(command);
      if (options.signUp) return signUp(context, options);
      const token = options.token ?? (await signInAs(context, options));
      const me = await createApi({ apiUrl: context.api.apiUrl, token }).call(WhoAmI, "GET", "/v1/whoami");
      keepToken(context, token);
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
        const by = me.via === "api_token" ? ", by an API token" : "";
        context.out.line(`${me.user.email}${me.user.operator ? " (operator)" : ""} at ${context.api.apiUrl}${by}`);
        const teams = me.teams.map((team) => [team.slug, team.role, team.id === me.team.id ? "current" : ""]);
        const isMember = me.teams.some(({ id }) => id === me.team.id);
        if (!isMember) teams.push([me.team.slug, me.team.role, "current, entered as an operator"]);
        context.out.table(["TEAM", "ROLE", ""], teams);
      });
    });
  return [login, logout, whoami];
}

/** Whatever speaks of a password asks for one; else a web page does, which knows other ways in too. */
function signInAs(context: Context, options: SignInOptions & { readonly browser: boolean }): Promise<string> {
  const byPassword = options.email !== undefined || options.passwordStdin === true || options.code !== undefined;
  return byPassword ? signInByPassword(context, options) : signInByDevice(context, options);
}
