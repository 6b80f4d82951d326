// roles: the built-in ones, and the team's own, each a list of policies.
import { Command, InvalidArgumentError } from "@commander-js/extra-typings";
import { z } from "zod";
import { Policy } from "../../contracts/access.ts";
import { TeamOwnRole } from "../../contracts/teams.ts";
import { contextOf } from "./run.ts";

type PolicyInput = z.input<typeof Policy>;

export function rolesCommand() {
  const roles = new Command("roles").description("what roles allow, and roles of the team's own");
  roles
    .command("ls", { isDefault: true })
    .description("every role, and each thing it allows")
    .action(async (_options, command) => {
      const context = contextOf(command);
      const { items } = await context.api.call(z.object({ items: z.array(TeamOwnRole) }), "GET", "/v1/roles");
      context.out.result(items, () =>
        context.out.table(
          ["ROLE", "", "ALLOWS"],
          items.flatMap(({ name, builtIn, policies }) =>
            policies.map((policy, at) => [...(at === 0 ? [name, builtIn ? "built in" : ""] : ["", ""]), shown(policy)]),
          ),
        ),
      );
    });
  roles
    .command("set")
    .description("make or change a role of the team's own")
    .argument("<name>")
    .requiredOption(
      "--allow <policy...>",
      'resource:action, with more actions after commas and * for any; then conditions: "release:create@shop,blog", "app:delete+own", "environment:update+session"',
      collected,
      [],
    )
    .action(async (name, options, command) => {
      const context = contextOf(command);
      const body = { policies: options.allow };
      const role = await context.api.call(TeamOwnRole, "PUT", `/v1/roles/${encodeURIComponent(name)}`, body);
      context.out.result(role, () => context.out.line(`${role.name} allows ${role.policies.map(shown).join("; ")}.`));
    });
  roles
    .command("delete")
    .description("delete a role of the team's own that nobody has")
    .argument("<name>")
    .action(async (name, _options, command) => {
      const context = contextOf(command);
      await context.api.call(z.null(), "DELETE", `/v1/roles/${encodeURIComponent(name)}`);
      context.out.result({ deleted: name }, () => context.out.line(`Deleted the role ${name}.`));
    });
  return roles;
}

const collected = (text: string, before: PolicyInput[]): PolicyInput[] => [...before, policyOf(text)];

/** `release:create,read@shop+own`. What its words may be, the same schema says as on the other side. */
export function policyOf(text: string): PolicyInput {
  const match = /^([^:@+]+):([^:@+]+)(?:@([^@+]+))?((?:\+(?:own|session))*)$/.exec(text);
  if (match === null) throw new InvalidArgumentError('It must be like "release:create,read@shop" or "app:delete+own".');
  const [, resource = "", actions = "", projects, flags = ""] = match;
  const condition = {
    ...(projects === undefined ? {} : { projects: projects.split(",") }),
    ...(flags.includes("+own") ? { own: true } : {}),
    ...(flags.includes("+session") ? { sessionOnly: true } : {}),
  };
  const policy = Policy.safeParse({ resource, actions: actions.split(","), condition });
  if (policy.success) return policy.data;
  throw new InvalidArgumentError(`${text}: ${policy.error.issues[0]?.message ?? "not a policy"}.`);
}

function shown({ resource, actions, condition }: Policy): string {
  const { projects, own, sessionOnly } = condition;
  const where = projects === undefined ? "" : `@${projects.join(",")}`;
  return `${resource}:${actions.join(",")}${where}${own ? "+own" : ""}${sessionOnly ? "+session" : ""}`;
}
