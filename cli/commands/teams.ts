// teams: one's teams; made, renamed and left.
import { Command } from "@commander-js/extra-typings";
import { z } from "zod";
import { page, Team, WhoAmI } from "../../contracts/api.ts";
import { OperatorEntry } from "../../contracts/teams.ts";
import { confirmed } from "./confirm.ts";
import { listAll } from "./list-all.ts";
import { contextOf } from "./run.ts";
import { addSignInPolicy } from "./sign-in-policy.ts";

export function teamsCommand() {
  const teams = new Command("teams").description("your teams; --team picks the one that a command is about");
  teams
    .command("ls", { isDefault: true })
    .description("your teams, and your role in each")
    .action(async (_options, command) => {
      const context = contextOf(command);
      const { items } = await context.api.call(page(Team), "GET", "/v1/teams");
      context.out.result(items, () =>
        context.out.table(
          ["TEAM", "NAME", "ROLE"],
          items.map(({ slug, name, role }) => [slug, name, role]),
        ),
      );
    });
  teams
    .command("create")
    .description("make a team that you own")
    .argument("<slug>", "part of its apps' hostnames")
    .option("--name <name>", "as people call it; the slug if not given")
    .action(async (slug, options, command) => {
      const context = contextOf(command);
      const made = await context.api.call(Team, "POST", "/v1/teams", { slug, name: options.name ?? slug });
      context.out.result(made, () => context.out.line(`Made the team ${made.slug}: use it with --team ${made.slug}.`));
    });
  teams
    .command("rename")
    .description("give the team another name or slug; its apps keep their hostnames")
    .option("--name <name>")
    .option("--slug <slug>")
    .action(async (options, command) => {
      const context = contextOf(command);
      const { team } = await context.api.call(WhoAmI, "GET", "/v1/whoami");
      const renamed = await context.api.call(Team, "PATCH", `/v1/teams/${team.id}`, options);
      context.out.result(renamed, () => context.out.line(`The team is ${renamed.name} (${renamed.slug}) now.`));
    });
  teams
    .command("leave")
    .description("leave the team; its last owner cannot")
    .option("--yes", "do not ask")
    .action(async (options, command) => {
      const context = contextOf(command);
      const { team, user } = await context.api.call(WhoAmI, "GET", "/v1/whoami");
      await confirmed(context, options.yes, `ends your part in the team ${team.slug}, and your API tokens there`);
      await context.api.call(z.null(), "DELETE", `/v1/members/${user.id}`);
      context.out.result({ left: team.slug }, () => context.out.line(`You have left ${team.slug}.`));
    });
  addOperatorEntries(teams);
  addSignInPolicy(teams);
  return teams;
}

function addOperatorEntries(teams: Command): void {
  const entries = teams
    .command("operator-entries")
    .description("when operators of the installation entered the team, and why");
  entries
    .command("ls", { isDefault: true })
    .description("newest first")
    .action(async (_options, command) => {
      const context = contextOf(command);
      const items = await listAll(context, OperatorEntry, "/v1/operator-entries");
      context.out.result(items, () =>
        context.out.table(
          ["ID", "OPERATOR", "ROLE", "FROM", "UNTIL", "REASON"],
          items.map(({ id, email, role, reason, createdAtMs, endsAtMs, endedAtMs }) => [
            ...[id, email, role, new Date(createdAtMs).toISOString()],
            ...[new Date(endedAtMs ?? endsAtMs).toISOString(), reason],
          ]),
        ),
      );
    });
  entries
    .command("end")
    .description("end one that is open")
    .argument("<id>")
    .action(async (id, _options, command) => {
      const context = contextOf(command);
      await context.api.call(z.null(), "DELETE", `/v1/operator-entries/${encodeURIComponent(id)}`);
      context.out.result({ ended: id }, () => context.out.line("It opens nothing any more."));
    });
}
