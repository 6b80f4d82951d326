// traffic, preview, maintenance: who gets which release, by hand.
import { Argument, Command } from "@commander-js/extra-typings";
import { Accepted, App } from "../../contracts/api.ts";
import { Override } from "../../contracts/override.ts";
import { TrafficPut } from "../../contracts/rollout-plan.ts";
import pc from "picocolors";
import type { Context } from "../context.ts";
import { duration } from "../duration.ts";
import { CommandFailure, EXIT } from "../failure.ts";
import { bar } from "../rollout-picture.ts";
import { concludeRollout, watchRollout } from "../watch-rollout.ts";
import { wholeNumber } from "../whole-number.ts";
import { forceOf } from "./lifecycle.ts";
import { appNameOf, appPath, contextOf } from "./run.ts";

const NONE = "Leave out what shall get none; `berth preview` reaches a release that runs without any.";
const versionOf = (text: string): number => wholeNumber(text.replace(/^v/, ""));

export function trafficCommands() {
  const traffic = new Command("traffic")
    .description("show the split between releases, or set it: berth traffic v7=10 v6=90")
    .argument("[weights...]", "all that shall serve, as version=percent")
    .option("--app <name>", "the app (default: the one in berth.toml)")
    .option("--force", "also what its smoke check or its judge refused")
    .action(async (weights, options, command) => {
      const context = contextOf(command);
      const name = appNameOf(context, options.app);
      if (weights.length > 0) return split(context, name, { ...splitOf(weights), ...forceOf(options) });
      const app = await context.api.call(App, "GET", appPath(name));
      context.out.result(app.weights, () =>
        context.out.table(
          ["VERSION", "WEIGHT", "READY", ""],
          app.weights.map(({ version, weight, ready }) => [
            `v${version}`,
            `${weight} %`,
            String(ready),
            bar(weight, 100) || (app.warm?.version === version ? "warm" : "preview"),
          ]),
        ),
      );
    });

  const preview = new Command("preview")
    .description("how to reach one release, whatever its weight")
    .addArgument(new Argument("<version>", "such as v7").argParser(versionOf))
    .argument("[app]")
    .option("--for <time>", "how long the link and the header are good for", duration, 3_600_000)
    .action(async (version, named, options, command) => {
      const context = contextOf(command);
      const name = appNameOf(context, named);
      const wish = { version, ttlMs: options.for };
      const override = await context.api.call(Override, "POST", appPath(name, "/traffic/override"), wish);
      context.out.result({ url: new URL(override.link).origin, ...override }, () => {
        context.out.line(override.link);
        context.out.line(`or, under any of the app's hostnames, with the header`);
        context.out.line(`${override.header}: ${override.value}`);
      });
    });

  const maintenance = new Command("maintenance")
    .description("show visitors a maintenance page; nothing is stopped")
    .addArgument(new Argument("<state>", "on or off").choices(["on", "off"] as const))
    .argument("[app]")
    .action(async (state, named, _options, command) => {
      const context = contextOf(command);
      const name = appNameOf(context, named);
      const accepted = await context.api.call(Accepted, "PATCH", appPath(name), { maintenance: state === "on" });
      context.out.result(accepted, () =>
        context.out.line(`Maintenance of ${name} is ${state}; the edge follows within seconds.`),
      );
    });
  return [traffic, preview, maintenance];
}

/** Asks for a split and waits until it is there. One of a canary's own two is set at once, and the canary stays where it is. */
async function split(context: Context, name: string, wanted: TrafficPut): Promise<void> {
  const [app, { rollout }] = await Promise.all([
    context.api.call(App, "GET", appPath(name)),
    context.api.call(Accepted, "PUT", appPath(name, "/traffic"), wanted),
  ]);
  const shares = wanted.weights.map(({ version, weight }) => `v${version} ${weight} %`).join(", ");
  if (rollout === null)
    return context.out.result({ app, rollout }, () => context.out.line(`It is so already: ${shares}.`));
  if (rollout.reason !== "traffic") {
    return context.out.result(rollout, () =>
      context.out.line(
        `${shares}, as soon as enough instances are ready. The ${rollout.strategy} of v${rollout.toVersion} is paused there: \`berth rollout resume ${name}\` goes back to its plan, \`promote\` on.`,
      ),
    );
  }
  const ended = await watchRollout(context, app, rollout);
  if (ended.phase !== "completed") return concludeRollout(context, app, ended, rollout.startedAtMs);
  context.out.result(ended, () => context.out.line(`${pc.green("✓")} The traffic is split: ${shares}`));
}

/** `v7=10 v6=90`, in any order. */
function splitOf(words: readonly string[]): TrafficPut {
  const weights = words.map((word) => {
    const match = /^v?(\d{1,9})=(\d{1,3})%?$/.exec(word);
    if (match === null)
      throw new CommandFailure(`${word} is no share: write v7=10`, EXIT.usage, "All shares together make 100.");
    return { version: Number(match[1]), weight: Number(match[2]) };
  });
  const parsed = TrafficPut.safeParse({ weights });
  if (parsed.success) return parsed.data;
  const sum = weights.reduce((total, { weight }) => total + weight, 0);
  const outside = weights.find(({ weight }) => weight < 1 || weight > 100);
  if (outside !== undefined)
    throw new CommandFailure(`v${outside.version}=${outside.weight}: a share is 1 to 100`, EXIT.usage, NONE);
  const said = parsed.error.issues.map(({ message }) => message).join("; ");
  throw new CommandFailure(`These shares cannot be: ${said} (they make ${sum})`, EXIT.usage);
}
