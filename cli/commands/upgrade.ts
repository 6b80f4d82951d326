// nodes upgrade [status|pause|resume|abort]: publish an agent release, bring nodes over to it, and hold it or call it off.
import { Command, Option } from "@commander-js/extra-typings";
import pc from "picocolors";
import { AgentUpgrade, AgentUpgrades } from "../../contracts/agent-release.ts";
import type { Context } from "../context.ts";
import { duration } from "../duration.ts";
import { CommandFailure, EXIT } from "../failure.ts";
import { listPublished, publish } from "../upgrade/publish.ts";
import { showUpgrade } from "../upgrade/show-upgrade.ts";
import { watchUpgrade } from "../upgrade/watch-upgrade.ts";
import { contextOf } from "./run.ts";

const PATH = "/v1/agent-upgrades";
const TIMEOUT_MS = 60 * 60_000;
const regionOption = () => new Option("--region <name>", "this region only");

export function upgradeCommand() {
  const upgrade = new Command("upgrade")
    .description("publish an agent release (--bundle, --manifest), bring nodes over to one (--to), stage by stage")
    .option("--bundle <file>", "an agent's bundle: agent.mjs")
    .option("--manifest <file>", "its signed manifest: agent.manifest")
    .option("--to <version>", "the release that nodes are to run: one node, its cell, a tenth of the cells, all")
    .addOption(regionOption())
    .option("--detach", "do not watch it")
    .addOption(
      new Option("--timeout <time>", "stop watching after this long (exit 6); it goes on")
        .argParser(duration)
        .default(TIMEOUT_MS, "1h"),
    )
    .action(async (options, command) => {
      const context = contextOf(command);
      const { bundle, manifest, to, region } = options;
      if ((bundle === undefined) !== (manifest === undefined)) {
        throw new CommandFailure(
          "--bundle and --manifest go together",
          EXIT.usage,
          "`npm run build:agent` makes both.",
        );
      }
      const published = bundle && manifest ? await publish(context, bundle, manifest) : null;
      if (to === undefined && published !== null) {
        return context.out.result(published, () =>
          context.out.line(`No node changes by this: \`berth nodes upgrade --to ${published.version}\` begins it.`),
        );
      }
      if (to === undefined) return listPublished(context);
      const body = { version: to, ...(region === undefined ? {} : { region }) };
      const begun = await context.api.call(AgentUpgrade, "POST", PATH, body);
      if (options.detach === true) {
        return context.out.result(begun, () =>
          context.out.line(
            `The upgrade to ${to} has begun in ${begun.region}: \`berth nodes upgrade status\` shows it.`,
          ),
        );
      }
      const ended = await watchUpgrade(context, begun, options.timeout);
      context.out.result(ended, () => context.out.line(pc.green(`✓ the nodes run ${to}`)));
    });
  for (const child of [
    statusCommand(),
    changeCommand("pause", "no further node changes; those under way end"),
    changeCommand("resume", "go on where it was paused"),
    changeCommand("abort", "end it; who has the new agent keeps it"),
  ]) {
    upgrade.addCommand(child as unknown as Command);
  }
  return upgrade;
}

function statusCommand() {
  return new Command("status")
    .description("the upgrade under way, or the last one, of each region")
    .addOption(regionOption())
    .action(async (_options, command) => {
      const context = contextOf(command);
      const region = regionOf(command);
      const { items } = await context.api.call(AgentUpgrades, "GET", PATH);
      showAll(context, region === undefined ? items : items.filter((item) => item.region === region));
    });
}

function changeCommand(word: "pause" | "resume" | "abort", description: string) {
  return new Command(word)
    .description(description)
    .addOption(regionOption())
    .option("--reason <text>", "why, for whoever reads its story")
    .action(async (options, command) => {
      const context = contextOf(command);
      const region = regionOf(command);
      const body = {
        ...(region === undefined ? {} : { region }),
        ...(options.reason ? { reason: options.reason } : {}),
      };
      const { items } = await context.api.call(AgentUpgrades, "POST", `${PATH}/${word}`, body);
      showAll(context, items);
    });
}

/** The command above has the same option, and takes it where it stands before this word. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any
function regionOf(command: Command<any, any, any>): string | undefined {
  return (command.optsWithGlobals() as { region?: string }).region;
}

function showAll(context: Context, items: readonly AgentUpgrade[]): void {
  context.out.result({ items }, () => {
    if (items.length === 0) context.out.line("No agent upgrade was started yet.");
    for (const item of items) showUpgrade(context, item);
  });
}
