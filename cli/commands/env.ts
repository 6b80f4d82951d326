// env set|unset|import|list: an app's environment. Values go in and never come out.
import { readFileSync } from "node:fs";
import { parseEnv } from "node:util";
import { Command } from "@commander-js/extra-typings";
import { App } from "../../contracts/api.ts";
import { EnvPatch } from "../../contracts/api.ts";
import type { Context } from "../context.ts";
import { CommandFailure, EXIT } from "../failure.ts";
import { change } from "./lifecycle.ts";
import { appNameOf, appPath, contextOf } from "./run.ts";

export function envCommand() {
  const env = new Command("env").description("an app's environment variables, sealed before they are stored");
  env
    .command("set")
    .description("set variables and roll them out")
    .argument("<name=value...>", "a value of - is read from standard input")
    .option("--app <name>")
    .action(async (pairs, options, command) => {
      const context = contextOf(command);
      await patch(context, appNameOf(context, options.app), {
        set: Object.fromEntries(pairs.map(parsePair)),
        unset: [],
      });
    });
  env
    .command("unset")
    .description("remove variables and roll that out")
    .argument("<name...>")
    .option("--app <name>")
    .action(async (names, options, command) => {
      const context = contextOf(command);
      await patch(context, appNameOf(context, options.app), { set: {}, unset: names });
    });
  env
    .command("import")
    .description("set every variable of a dotenv file (- is standard input)")
    .argument("<file>")
    .option("--app <name>")
    .action(async (file, options, command) => {
      const context = contextOf(command);
      const set = parseEnv(readInput(file)) as Record<string, string>;
      if (Object.keys(set).length === 0)
        throw new CommandFailure(`${file} sets no variable`, EXIT.usage, "One NAME=value per line.");
      await patch(context, appNameOf(context, options.app), { set, unset: [] });
    });
  env
    .command("list")
    .description("the names that are set; values are never shown")
    .option("--app <name>")
    .action(async (options, command) => {
      const context = contextOf(command);
      const app = await context.api.call(App, "GET", appPath(appNameOf(context, options.app)));
      context.out.result(app.envNames, () =>
        context.out.table(
          ["NAME", "VALUE"],
          app.envNames.map((name) => [name, "(sealed)"]),
        ),
      );
    });
  return env;
}

async function patch(context: Context, app: string, body: EnvPatch): Promise<void> {
  const checked = EnvPatch.safeParse(body);
  if (!checked.success) {
    // Messages name the variable and the rule, never the value.
    const faults = checked.error.issues.map((issue) => `${issue.path.slice(1).join(".")}: ${issue.message}`);
    throw new CommandFailure(faults.join("\n"), EXIT.usage);
  }
  await change(context, app, "PATCH", "/env", checked.data);
}

function parsePair(pair: string): [string, string] {
  const at = pair.indexOf("=");
  if (at <= 0) throw new CommandFailure(`"${pair.slice(0, 40)}" is not NAME=value`, EXIT.usage);
  const value = pair.slice(at + 1);
  return [pair.slice(0, at), value === "-" ? readInput("-").replace(/\r?\n$/, "") : value];
}

function readInput(file: string): string {
  try {
    return readFileSync(file === "-" ? 0 : file, "utf8");
  } catch {
    throw new CommandFailure(`${file} cannot be read`, EXIT.usage);
  }
}
