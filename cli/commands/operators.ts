// operators: who runs the installation.
import { Command, Option } from "@commander-js/extra-typings";
import { z } from "zod";
import { Operators } from "../../contracts/account.ts";
import { ENTRY_ROLES, OperatorEntry } from "../../contracts/teams.ts";
import { duration } from "../duration.ts";
import { CommandFailure, EXIT } from "../failure.ts";
import { confirmed } from "./confirm.ts";
import { contextOf } from "./run.ts";

export function operatorsCommand() {
  const operators = new Command("operators").description("who runs the installation; for operators");
  operators
    .command("ls", { isDefault: true })
    .description("its operators")
    .action(async (_options, command) => {
      const context = contextOf(command);
      const { items } = await context.api.call(Operators, "GET", "/v1/operators");
      context.out.result(items, () => context.out.table(["OPERATOR", "ID"], items.map(({ email, user }) => [email, user]))); // prettier-ignore
    });
  operators
    .command("add")
    .description("make somebody one, who has a second factor; their sessions and API tokens end")
    .argument("<email>")
    .option("--yes", "do not ask")
    .action(async (email, { yes }, command) => {
      const context = contextOf(command);
      await confirmed(context, yes, `gives ${email} the whole installation, and ends their sessions and API tokens`);
      await context.api.call(z.null(), "POST", "/v1/operators", { email });
      context.out.result({ added: email }, () => context.out.line(`${email} is an operator from the next sign-in on.`));
    });
  operators
    .command("remove")
    .description("take the right away, from the next request on; the last operator stays")
    .argument("<email>")
    .option("--yes", "do not ask")
    .action(async (email, { yes }, command) => {
      const context = contextOf(command);
      const { items } = await context.api.call(Operators, "GET", "/v1/operators");
      const found = items.find((each) => each.email === email.toLowerCase());
      if (found === undefined) throw new CommandFailure(`${email} is no operator`, EXIT.notFound);
      await confirmed(context, yes, `takes the installation from ${email}`);
      await context.api.call(z.null(), "DELETE", `/v1/operators/${found.user}`);
      context.out.result({ removed: email }, () => context.out.line(`${email} is no operator any more.`));
    });
  addEntries(operators);
  return operators;
}

function addEntries(operators: Command): void {
  operators
    .command("enter")
    .description(
      "break-glass: enter a team that is not yours, for a while; its owners get a letter, its audit has all that you do",
    )
    .argument("<team>")
    .requiredOption("--reason <text>", "what for; the team reads it")
    .addOption(new Option("--role <role>", "what you may there").choices(ENTRY_ROLES).default("viewer" as const))
    .option("--for <duration>", "5m to 8h", duration, 3_600_000)
    .action(async (team, { reason, role, for: forMs }, command) => {
      const context = contextOf(command);
      const body = { reason, role, minutes: Math.round(forMs / 60_000) };
      const path = `/v1/teams/${encodeURIComponent(team)}/operator-entry`;
      const entry = await context.api.call(OperatorEntry, "POST", path, body);
      const until = new Date(entry.endsAtMs).toISOString();
      context.out.result(entry, () =>
        context.out.line(
          `You are in ${team} as ${entry.role} until ${until}: --team ${team}. End it: berth operators leave ${team}`,
        ),
      );
    });
  operators
    .command("leave")
    .description("leave a team that you entered")
    .argument("<team>")
    .action(async (team, _options, command) => {
      const context = contextOf(command);
      await context.api.call(z.null(), "DELETE", `/v1/teams/${encodeURIComponent(team)}/operator-entry`);
      context.out.result({ left: team }, () => context.out.line(`You have left ${team}.`));
    });
}
