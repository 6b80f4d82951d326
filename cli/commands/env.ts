// env (or secrets) set|unset|import|list|versions|rollback: an app's environment. Values go in and never come out.
import { readFileSync } from "node:fs";
import { parseEnv } from "node:util";
import { Command } from "@commander-js/extra-typings";
import type { z } from "zod";
import { Environment, EnvironmentVersion, EnvPatch, EnvRollback } from "../../contracts/environment.ts";
import type { Context } from "../context.ts";
import { CommandFailure, EXIT } from "../failure.ts";
import { ago } from "../output.ts";
import { change } from "./lifecycle.ts";
import { listAll } from "./list-all.ts";
import { appNameOf, appPath, contextOf } from "./run.ts";

/** A value that is another app's variable: ${{api.DATABASE_URL}}. */
const REFERENCE = /^\$\{\{\s*([^{}\s]+)\s*\}\}$/;

export function envCommand() {
  const env = new Command("env")
    .alias("secrets")
    .description("an app's environment variables, sealed before they are stored");
  env
    .command("set")
    .description("set variables and roll them out, all in one release")
    .argument("<name=value...>", "a value of - is read from standard input; '${{api.NAME}}' is another app's variable")
    .option("--app <name>")
    .action(async (pairs, options, command) => {
      const context = contextOf(command);
      await patch(context, appNameOf(context, options.app), Object.fromEntries(pairs.map(parsePair)));
    });
  env
    .command("unset")
    .description("remove variables and roll that out")
    .argument("<name...>")
    .option("--app <name>")
    .action(async (names, options, command) => {
      const context = contextOf(command);
      await patch(context, appNameOf(context, options.app), {}, names);
    });
  env
    .command("import")
    .description("set every variable of a dotenv file (- is standard input), all in one release")
    .argument("<file>")
    .option("--app <name>")
    .action(async (file, options, command) => {
      const context = contextOf(command);
      const set = parseEnv(readInput(file)) as Record<string, string>;
      if (Object.keys(set).length === 0)
        throw new CommandFailure(`${file} sets no variable`, EXIT.usage, "One NAME=value per line.");
      await patch(context, appNameOf(context, options.app), set);
    });
  addList(env);
  addVersions(env);
  return env;
}

function addList(env: Command): void {
  env
    .command("list")
    .description("the names that are set; values are never shown")
    .option("--app <name>")
    .action(async (options, command) => {
      const context = contextOf(command);
      const found = await context.api.call(Environment, "GET", appPath(appNameOf(context, options.app), "/env"));
      const valueOf = (name: string): string => {
        const from = found.references[name];
        return from === undefined ? "(sealed)" : `from ${from.appName}.${from.name}`;
      };
      context.out.result(found.names, () =>
        context.out.table(
          ["NAME", "VALUE"],
          found.names.map((name) => [name, valueOf(name)]),
        ),
      );
    });
}

function addVersions(env: Command): void {
  env
    .command("versions")
    .description("every version that variables had, when and by whom; values are never shown")
    .argument("[name]")
    .option("--app <name>")
    .action(async (name, options, command) => {
      const context = contextOf(command);
      const path = appPath(appNameOf(context, options.app), "/env/versions");
      const query = name === undefined ? "" : `?name=${encodeURIComponent(name)}`;
      const found = await listAll(context, EnvironmentVersion, `${path}${query}`);
      context.out.result(found, () =>
        context.out.table(
          ["NAME", "VERSION", "KIND", "SINCE", "BY"],
          found.map((one) => [one.name, String(one.version), one.kind, ago(one.createdAtMs, Date.now()), one.actor]),
        ),
      );
    });
  env
    .command("rollback")
    .description("give variables a version that they had, all in one release")
    .argument("<name=version...>", "as `berth env versions` numbers them")
    .option("--app <name>")
    .action(async (pairs, options, command) => {
      const context = contextOf(command);
      const versions = Object.fromEntries(pairs.map(parsePair).map(([name, version]) => [name, Number(version)]));
      const body = checked(EnvRollback.safeParse({ versions }));
      await change(context, appNameOf(context, options.app), "POST", "/env/rollback", body);
    });
}

async function patch(
  context: Context,
  app: string,
  given: Readonly<Record<string, string>>,
  unset: string[] = [],
): Promise<void> {
  const set: Record<string, string> = {};
  const references: Record<string, string> = {};
  for (const [name, value] of Object.entries(given)) {
    const [, reference] = REFERENCE.exec(value) ?? [];
    if (reference !== undefined) references[name] = reference;
    else if (/\$\{\{[^{}]*\}\}/.test(value))
      throw new CommandFailure(
        `${name}: a reference to another app's variable is the whole value`,
        EXIT.usage,
        "Set the whole text as a variable of that app, and refer to that.",
      );
    else set[name] = value;
  }
  await change(context, app, "PATCH", "/env", checked(EnvPatch.safeParse({ set, references, unset })));
}

/** Messages name the variable and the rule, never the value. */
function checked<Value>(result: z.ZodSafeParseResult<Value>): Value {
  if (result.success) return result.data;
  const faults = result.error.issues.map((issue) => `${issue.path.slice(1).join(".")}: ${issue.message}`);
  throw new CommandFailure(faults.join("\n"), EXIT.usage);
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
