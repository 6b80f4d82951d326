// How a team's members sign in: `berth teams sign-in`, a second factor for all, and the team's own OpenID provider.
import { Argument, type Command } from "@commander-js/extra-typings";
import { z } from "zod";
import { SignInPolicy } from "../../contracts/account.ts";
import type { Context } from "../context.ts";
import { CommandFailure, EXIT } from "../failure.ts";
import { readStdin } from "../read-stdin.ts";
import { confirmed } from "./confirm.ts";
import { contextOf } from "./run.ts";

const PATH = "/v1/sign-in-policy";

export function addSignInPolicy(teams: Command): void {
  teams
    .command("sign-in")
    .description("how the team's members sign in")
    .action(async (_options, command) => {
      const context = contextOf(command);
      shown(context, await context.api.call(SignInPolicy, "GET", PATH));
    });
  teams
    .command("require-second-factor")
    .description("whether members without a second factor reach anything of the team")
    .addArgument(new Argument("<on|off>").choices(["on", "off"] as const))
    .action(async (word, _options, command) => {
      const context = contextOf(command);
      const body = { required: word === "on" };
      shown(context, await context.api.call(SignInPolicy, "PUT", `${PATH}/second-factor`, body));
    });
  addSignOn(teams.command("single-sign-on").description("the team's own OpenID provider; for owners"));
}

function addSignOn(signOn: Command): void {
  signOn
    .command("set")
    .description("set it; the client's secret is read from standard input")
    .requiredOption("--issuer <url>", "as the provider calls itself")
    .requiredOption("--client-id <id>")
    .option("--domain <name...>", "whose addresses it may sign on; any, if none is given")
    .option("--enforce", "members come in through it alone; owners beside it, with a second factor")
    .action(async ({ issuer, clientId, domain = [], enforce = false }, command) => {
      const context = contextOf(command);
      // On a terminal it would wait without a word, and show what is typed.
      const clientSecret = process.stdin.isTTY ? "" : (await readStdin()).trim();
      if (clientSecret === "")
        throw new CommandFailure("No client secret on standard input", EXIT.usage, "Put it in a file, and add `< secret.txt` to the line."); // prettier-ignore
      const body = { issuer, clientId, clientSecret, domains: domain, enforced: enforce };
      shown(context, await context.api.call(SignInPolicy, "PUT", `${PATH}/single-sign-on`, body));
    });
  signOn
    .command("remove")
    .description("forget it; its sessions end")
    .option("--yes", "do not ask")
    .action(async ({ yes }, command) => {
      const context = contextOf(command);
      await confirmed(context, yes, "ends every session that came through the team's provider");
      await context.api.call(z.null(), "DELETE", `${PATH}/single-sign-on`);
      context.out.result({ removed: true }, () => context.out.line("Forgotten. Members sign in by themselves."));
    });
}

function shown({ out }: Context, policy: SignInPolicy): void {
  out.result(policy, () => {
    out.line(`Second factor: ${policy.secondFactorRequired ? "every member needs one" : "as each member likes"}`);
    const { singleSignOn } = policy;
    if (singleSignOn === null) return out.line("Single sign-on: none");
    const { issuer, clientId, domains, enforced, callbackUrl, signInUrl } = singleSignOn;
    out.line(`Single sign-on: ${issuer}, as ${clientId}${enforced ? ", the only way in but for owners" : ""}`);
    out.line(`  for addresses of: ${domains.length === 0 ? "any domain" : domains.join(", ")}`);
    out.line(`  the provider's answers go to: ${callbackUrl}`);
    out.line(`  members sign in at: ${signInUrl}`);
  });
}
