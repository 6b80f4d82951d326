// nodes cordon|uncordon|drain|rm|revoke|rebalance: what an operator asks of servers.
import { confirm, isCancel } from "@clack/prompts";
import { Command, Option } from "@commander-js/extra-typings";
import pc from "picocolors";
import { z } from "zod";
import { Node, Rebalance } from "../../contracts/api.ts";
import type { Context } from "../context.ts";
import { duration } from "../duration.ts";
import { CommandFailure, EXIT } from "../failure.ts";
import { watchDrain } from "../nodes/watch-drain.ts";
import { showPlan, watchRebalance } from "../nodes/watch-rebalance.ts";
import { contextOf, nodePath } from "./run.ts";

const NODE_ARGUMENT = ["<node>", "its name or id"] as const;
/** A full node's drain with slow pulls takes minutes; a script must not hang for ever on one that cannot end. */
const TIMEOUT_MS = 15 * 60_000;
const timeoutOption = () =>
  new Option("--timeout <time>", "stop watching after this long (exit 6); it goes on")
    .argParser(duration)
    .default(TIMEOUT_MS, "15min");

export function nodeChangeCommands() {
  return [cordonCommand(), uncordonCommand(), drainCommand(), rmCommand(), revokeCommand(), rebalanceCommand()];
}

function cordonCommand() {
  return new Command("cordon")
    .description("place nothing new on a node; what runs there stays")
    .argument(...NODE_ARGUMENT)
    .action(async (name, _options, command) => {
      const context = contextOf(command);
      const node = await context.api.call(Node, "POST", nodePath(name, "/cordon"));
      context.out.result(node, () => context.out.line(`${node.name} is cordoned: nothing new is placed there.`));
    });
}

function uncordonCommand() {
  return new Command("uncordon")
    .description("let a node take placements again; calls a drain off")
    .argument(...NODE_ARGUMENT)
    .action(async (name, _options, command) => {
      const context = contextOf(command);
      const node = await context.api.call(Node, "POST", nodePath(name, "/uncordon"));
      context.out.result(node, () => context.out.line(`${node.name} takes placements again.`));
    });
}

function drainCommand() {
  return new Command("drain")
    .description("move everything off a node, start-first, and watch it")
    .argument(...NODE_ARGUMENT)
    .option("--detach", "do not watch it")
    .addOption(timeoutOption())
    .action(async (name, options, command) => {
      const context = contextOf(command);
      const startedMs = Date.now();
      const begun = await context.api.call(Node, "POST", nodePath(name, "/drain"));
      if (options.detach === true) {
        return context.out.result(begun, () =>
          context.out.line(`${begun.name} is draining: \`berth nodes show ${begun.name}\` says how far it is.`),
        );
      }
      const node = await watchDrain(context, begun, options.timeout);
      const seconds = ((Date.now() - startedMs) / 1000).toFixed(1);
      context.out.result(node, () =>
        context.out.line(
          `${pc.green("✓")} ${node.name} is drained: ${node.drain?.moved ?? 0} moved (${seconds} s). ` +
            `\`berth nodes rm ${node.name}\` removes it, \`berth nodes uncordon ${node.name}\` brings it back.`,
        ),
      );
    });
}

function rmCommand() {
  return new Command("rm")
    .description("remove a node for good; refused while something runs there")
    .argument(...NODE_ARGUMENT)
    .option("--force", "although something runs there: it is given up and replaced elsewhere")
    .option("--yes", "do not ask")
    .action(async (name, options, command) => {
      const context = contextOf(command);
      const force = options.force === true;
      if (force && options.yes !== true) await confirmForce(context, name);
      const node = await context.api.call(Node, "DELETE", nodePath(name, force ? "?force=true" : ""));
      context.out.result(node, () => context.out.line(`${node.name} is removed; its credential is refused.`));
    });
}

async function confirmForce(context: Context, name: string): Promise<void> {
  if (!context.interactive) throw new CommandFailure(`This gives up what runs on ${name}: give --yes`, EXIT.usage);
  const message = `Remove ${name} although something may run there? Its singletons are called gone.`;
  const answer = await confirm({ message, initialValue: false });
  if (isCancel(answer) || !answer) throw new CommandFailure("Nothing was removed", EXIT.detached);
}

async function confirmRevoke(context: Context, name: string): Promise<void> {
  if (!context.interactive) throw new CommandFailure(`A revoked node cannot come back: give --yes`, EXIT.usage);
  const message = `Trust ${name} no more? It is refused at once, and cannot come back.`;
  const answer = await confirm({ message, initialValue: false });
  if (isCancel(answer) || !answer) throw new CommandFailure("Nothing was revoked", EXIT.detached);
}

function revokeCommand() {
  return new Command("revoke")
    .description("trust a node no more: its credential is refused at once, whatever runs there")
    .argument(...NODE_ARGUMENT)
    .option("--yes", "do not ask")
    .action(async (name, options, command) => {
      const context = contextOf(command);
      if (options.yes !== true) await confirmRevoke(context, name);
      await context.api.call(z.null(), "POST", nodePath(name, "/revoke"));
      context.out.result({ revoked: name }, () => context.out.line(`${name} is revoked: nothing it says is heard.`));
    });
}

function rebalanceCommand() {
  return new Command("rebalance")
    .description("plan how to empty under-used nodes; --execute does it")
    .option("--region <name>", "of this region only")
    .option("--execute", "make the moves, start-first, and watch them")
    .option("--detach", "do not watch them")
    .addOption(timeoutOption())
    .action(async (options, command) => {
      const context = contextOf(command);
      const execute = options.execute === true;
      const body = { execute, ...(options.region === undefined ? {} : { region: options.region }) };
      const plan = await context.api.call(Rebalance, "POST", "/v1/nodes/rebalance", body);
      if (!context.out.json) showPlan(context, plan);
      if (execute && plan.executing && options.detach !== true) await watchRebalance(context, plan, options.timeout);
      context.out.result(plan, () => {
        if (plan.steps.length === 0) return;
        if (!execute) context.out.line("`berth nodes rebalance --execute` does it.");
        else if (options.detach === true) context.out.line("It is under way: `berth nodes ls` shows it.");
        else context.out.line(`${pc.green("✓")} ${plan.steps.length} moved.`);
      });
    });
}
