// members: who is in the team; invited, given another role, removed.
import { Command } from "@commander-js/extra-typings";
import { z } from "zod";
import { Team } from "../../contracts/api.ts";
import { Invitation, InvitationCreated, Member } from "../../contracts/teams.ts";
import type { Context } from "../context.ts";
import { shownMs } from "../duration.ts";
import { CommandFailure, EXIT } from "../failure.ts";
import { phase } from "../output.ts";
import { confirmed } from "./confirm.ts";
import { listAll } from "./list-all.ts";
import { contextOf } from "./run.ts";

const everywhere = (projects: readonly string[] | null): string => projects?.join(", ") ?? "all";

export function membersCommand() {
  const members = new Command("members").description("the people of the team");
  for (const command of [
    lsCommand(),
    inviteCommand(),
    invitationsCommand(),
    revokeCommand(),
    acceptCommand(),
    changeCommand(),
    removeCommand(),
  ] as unknown as Command[]) {
    members.addCommand(command, { isDefault: command.name() === "ls" });
  }
  return members;
}

function lsCommand() {
  return new Command("ls").description("the members, their roles and projects").action(async (_options, command) => {
    const context = contextOf(command);
    const items = await listAll(context, Member, "/v1/members");
    context.out.result(items, () =>
      context.out.table(
        ["MEMBER", "NAME", "ROLE", "PROJECTS"],
        items.map(({ email, name, role, projects }) => [email, name, role, everywhere(projects)]),
      ),
    );
  });
}

function inviteCommand() {
  return new Command("invite")
    .description("invite somebody by email address; another invitation to the same address ends the one before")
    .argument("<email>")
    .option("--role <role>", "owner, admin, developer, viewer, or a role of the team's own", "developer")
    .option("--project <name...>", "in these projects only")
    .action(async (email, options, command) => {
      const context = contextOf(command);
      const body = { email, role: options.role, projects: options.project ?? null };
      const made = await context.api.call(InvitationCreated, "POST", "/v1/invitations", body);
      context.out.result(made, () => {
        context.out.line(`Invited ${made.email} as ${made.role}. They sign in with that address, then:`);
        context.out.line(`  berth --api ${context.api.apiUrl} members accept ${made.token}`);
        context.out.line(`The token is shown here only, and works for ${shownMs(made.expiresAtMs - Date.now())}.`);
      });
    });
}

function invitationsCommand() {
  return new Command("invitations")
    .description("who was invited, and what became of it")
    .action(async (_options, command) => {
      const context = contextOf(command);
      const items = await listAll(context, Invitation, "/v1/invitations");
      context.out.result(items, () =>
        context.out.table(
          ["INVITATION", "TO", "ROLE", "PROJECTS", "STATE", "UNTIL"],
          items.map(({ id, email, role, projects, state, expiresAtMs }) => [
            ...[id, email, role, everywhere(projects), phase(state)],
            new Date(expiresAtMs).toISOString(),
          ]),
        ),
      );
    });
}

function revokeCommand() {
  return new Command("revoke")
    .description("take back an invitation that was not accepted yet")
    .argument("<invitation>", "its id, or the email address")
    .action(async (named, _options, command) => {
      const context = contextOf(command);
      const id = named.includes("@") ? await openInvitation(context, named) : named;
      await context.api.call(z.null(), "DELETE", `/v1/invitations/${encodeURIComponent(id)}`);
      context.out.result({ revoked: id }, () => context.out.line(`The invitation ${id} opens nothing any more.`));
    });
}

async function openInvitation(context: Context, email: string): Promise<string> {
  const items = await listAll(context, Invitation, "/v1/invitations");
  const found = items.find((item) => item.email === email.toLowerCase() && item.state === "open");
  if (found === undefined) throw new CommandFailure(`No invitation to ${email} is open`, EXIT.notFound);
  return found.id;
}

function acceptCommand() {
  return new Command("accept")
    .description("accept an invitation that was sent to your address")
    .argument("<token>")
    .action(async (token, _options, command) => {
      const context = contextOf(command);
      const team = await context.api.call(Team, "POST", "/v1/invitations/accept", { token });
      context.out.result(team, () =>
        context.out.line(`You are in the team ${team.slug} as ${team.role}: use it with --team ${team.slug}.`),
      );
    });
}

function changeCommand() {
  return new Command("change")
    .description("give a member another role, or other projects; it counts from their next request on")
    .argument("<member>", "the email address, or the user's id")
    .option("--role <role>")
    .option("--project <name...>", "in these projects only")
    .option("--all-projects", "in all projects of the team")
    .action(async (named, { role, project, allProjects }, command) => {
      const context = contextOf(command);
      if (project !== undefined && allProjects === true)
        throw new CommandFailure("Give either --project or --all-projects", EXIT.usage);
      const user = await userOf(context, named);
      const projects = allProjects === true ? null : project;
      if (role === undefined && projects === undefined)
        throw new CommandFailure("Give --role, --project or --all-projects", EXIT.usage);
      const body = { ...(role === undefined ? {} : { role }), ...(projects === undefined ? {} : { projects }) };
      await context.api.call(z.null(), "PATCH", `/v1/members/${user}`, body);
      context.out.result({ user, ...body }, () => context.out.line(`Changed ${named}.`));
    });
}

function removeCommand() {
  return new Command("remove")
    .description("remove a member, and with them their API tokens of this team")
    .argument("<member>", "the email address, or the user's id")
    .option("--yes", "do not ask")
    .action(async (named, options, command) => {
      const context = contextOf(command);
      const user = await userOf(context, named);
      await confirmed(context, options.yes, `removes ${named} from the team`);
      await context.api.call(z.null(), "DELETE", `/v1/members/${user}`);
      context.out.result({ removed: user }, () => context.out.line(`${named} is no longer in the team.`));
    });
}

async function userOf(context: Context, named: string): Promise<string> {
  if (!named.includes("@")) return encodeURIComponent(named);
  const items = await listAll(context, Member, "/v1/members");
  const found = items.find(({ email }) => email === named.toLowerCase());
  if (found === undefined) throw new CommandFailure(`The team has no member ${named}`, EXIT.notFound);
  return found.user;
}
