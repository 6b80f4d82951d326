// rollback, scale, restart, destroy: changes to what runs that need no new source.
import { confirm, isCancel } from "@clack/prompts";
import { Argument, Command } from "@commander-js/extra-typings";
import { Accepted, App } from "../../contracts/api.ts";
import type { Context } from "../context.ts";
import { CommandFailure, EXIT } from "../failure.ts";
import { concludeRollout, watchRollout } from "../watch-rollout.ts";
import { wholeNumber } from "../whole-number.ts";
import { appNameOf, appPath, contextOf } from "./run.ts";

export function lifecycleCommands() {
  const rollback = new Command("rollback")
    .description("go back to the release before, or to a version")
    .argument("[app]")
    .option("--to <version>", "the version, such as v3", (text) => wholeNumber(text.replace(/^v/, "")))
    .option("--force", "also one that its smoke check or its judge refused")
    .action(async (named, options, command) => {
      const context = contextOf(command);
      const body = { ...(options.to === undefined ? {} : { version: options.to }), ...forceOf(options) };
      await change(context, appNameOf(context, named), "POST", "/rollback", body);
    });

  const scale = new Command("scale")
    .description("set how many instances run")
    .addArgument(new Argument("<count>", "how many").argParser(wholeNumber))
    .argument("[app]")
    .action(async (count, named, _options, command) => {
      const context = contextOf(command);
      await change(context, appNameOf(context, named), "PATCH", "", { replicas: count });
    });

  const restart = new Command("restart")
    .description("replace every instance by a fresh one, start-first")
    .argument("[app]")
    .action(async (named, _options, command) => {
      const context = contextOf(command);
      await change(context, appNameOf(context, named), "POST", "/restart", {});
    });

  const destroy = new Command("destroy")
    .description("stop an app and give up its hostname; its releases are gone")
    .argument("<app>")
    .option("--yes", "do not ask")
    .action(async (name, options, command) => {
      const context = contextOf(command);
      if (options.yes !== true) await confirmDestroy(context, name);
      const app = await context.api.call(App, "DELETE", appPath(name));
      context.out.result(app, () => context.out.line(`${app.name} is destroyed.`));
    });
  return [rollback, scale, restart, destroy];
}

export const forceOf = ({ force }: { force?: true | undefined }) => (force === undefined ? {} : { force });

/** Asks the API for a change and watches the rollout it makes, if it makes one. */
export async function change(
  context: Context,
  name: string,
  method: string,
  rest: string,
  body: unknown,
): Promise<void> {
  const startedMs = Date.now();
  const [app, accepted] = await Promise.all([
    context.api.call(App, "GET", appPath(name)),
    context.api.call(Accepted, method, appPath(name, rest), body),
  ]);
  if (accepted.rollout === null) {
    return context.out.result(accepted, () =>
      context.out.line("Nothing to roll out: it is so already, or the app has no release yet."),
    );
  }
  concludeRollout(context, app, await watchRollout(context, app, accepted.rollout), startedMs);
}

async function confirmDestroy(context: Context, name: string): Promise<void> {
  if (!context.interactive) throw new CommandFailure(`This destroys ${name}: give --yes`, EXIT.usage);
  const answer = await confirm({ message: `Destroy ${name} and all its releases?`, initialValue: false });
  if (isCancel(answer) || !answer) throw new CommandFailure("Nothing was destroyed", EXIT.detached);
}
