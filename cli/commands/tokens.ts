// tokens: API tokens for pipelines and scripts, with no more rights than they need.
import { Command } from "@commander-js/extra-typings";
import { z } from "zod";
import { ApiToken, ApiTokenCreated } from "../../contracts/teams.ts";
import { ago } from "../output.ts";
import { wholeNumber } from "../whole-number.ts";
import { listAll } from "./list-all.ts";
import { contextOf } from "./run.ts";

const all = (list: readonly string[] | null): string => list?.join(", ") ?? "all";

export function tokensCommand() {
  const tokens = new Command("tokens").description("API tokens of the team: for BERTH_TOKEN, or `berth login --token`");
  tokens
    .command("ls", { isDefault: true })
    .description("the tokens that you may see: yours, or as an owner or admin everyone's")
    .action(async (_options, command) => {
      const context = contextOf(command);
      const items = await listAll(context, ApiToken, "/v1/tokens");
      const nowMs = Date.now();
      context.out.result(items, () =>
        context.out.table(
          ["TOKEN", "NAME", "BEGINS", "SCOPES", "PROJECTS", "USED", "UNTIL"],
          items.map(({ id, name, prefix, scopes, projects, lastUsedAtMs, expiresAtMs }) => [
            ...[id, name, `${prefix}…`, all(scopes), all(projects)],
            lastUsedAtMs === null ? "never" : ago(lastUsedAtMs, nowMs),
            expiresAtMs === null ? "for good" : new Date(expiresAtMs).toISOString(),
          ]),
        ),
      );
    });
  tokens
    .command("create")
    .description("make a token; it acts for you in this team and never has more than you have")
    .argument("<name>", "to tell it from others")
    .option("--scope <resource:action...>", "such as app:read release:create; * for any. Without: all that you may")
    .option("--project <name...>", "in these projects only")
    .option("--expires-in-days <days>", "without: until it is revoked", wholeNumber)
    .action(async (name, { scope, project, expiresInDays }, command) => {
      const context = contextOf(command);
      const made = await context.api.call(ApiTokenCreated, "POST", "/v1/tokens", {
        name,
        ...(scope === undefined ? {} : { scopes: scope }),
        ...(project === undefined ? {} : { projects: project }),
        ...(expiresInDays === undefined ? {} : { expiresInDays }),
      });
      context.out.result(made, () => {
        context.out.line(made.token);
        context.out.note("It is shown here only.");
      });
    });
  tokens
    .command("revoke")
    .description("end a token: it is refused from now on")
    .argument("<token>", "its id")
    .action(async (token, _options, command) => {
      const context = contextOf(command);
      await context.api.call(z.null(), "DELETE", `/v1/tokens/${encodeURIComponent(token)}`);
      context.out.result({ revoked: token }, () => context.out.line(`Revoked ${token}.`));
    });
  return tokens;
}
