// nodes ls|show|events|token: the operator's servers as they are. What changes them is in node-changes.ts.
import { Command } from "@commander-js/extra-typings";
import pc from "picocolors";
import { JoinToken, JoinTokenCreated, Node, NodeInstance } from "../../contracts/api.ts";
import type { Context } from "../context.ts";
import { publishInstallation } from "../nodes/publish-installation.ts";
import { nodeState, showNode } from "../nodes/show-node.ts";
import { ago, bytes } from "../output.ts";
import { tellNodeEvent } from "../story/node-events.ts";
import { lastEvents, storyTeller } from "../story/show.ts";
import { wholeNumber } from "../whole-number.ts";
import { listAll } from "./list-all.ts";
import { nodeChangeCommands } from "./node-changes.ts";
import { contextOf, nodePath } from "./run.ts";
import { upgradeCommand } from "./upgrade.ts";

export function nodesCommand() {
  const nodes = new Command("nodes").description("the servers (operators only)");
  for (const command of [
    lsCommand(),
    showCommand(),
    ...nodeChangeCommands(),
    upgradeCommand(),
    nodeEventsCommand(),
    tokenCommand(),
    installerCommand(),
  ] as unknown as Command[]) {
    nodes.addCommand(command);
  }
  return nodes;
}

function lsCommand() {
  return new Command("ls").description("list the nodes").action(async (_options, command) => {
    const context = contextOf(command);
    const items = await listAll(context, Node, "/v1/nodes");
    context.out.result(items, () =>
      context.out.table(
        ["NODE", "PHASE", "CELL", "RACK", "RUNTIME", "CPU", "MEMORY", "INSTANCES", "HEARTBEAT"],
        items.map((node) => [
          node.name,
          nodeState(node),
          node.cell,
          node.failureDomain,
          node.runtime,
          `${node.reserved.cpuMilli}/${node.capacity.cpuMilli} m`,
          `${bytes(node.reserved.memoryBytes)}/${bytes(node.capacity.memoryBytes)}`,
          String(node.instances),
          node.lastHeartbeatAtMs === null ? "–" : ago(node.lastHeartbeatAtMs, Date.now()),
        ]),
      ),
    );
  });
}

function showCommand() {
  return new Command("show")
    .description("one node: room, conditions, drain, and what runs there")
    .argument("<node>", "its name or id")
    .action(async (name, _options, command) => {
      const context = contextOf(command);
      const [node, instances] = await Promise.all([
        context.api.call(Node, "GET", nodePath(name)),
        listAll(context, NodeInstance, nodePath(name, "/instances")),
      ]);
      context.out.result({ node, instances }, () => showNode(context, node, instances));
    });
}

function nodeEventsCommand() {
  return new Command("events")
    .description("what happened to a node, oldest first")
    .argument("<node>", "its name or id")
    .option("-n, --last <count>", "how many of the last events", wholeNumber, 100)
    .action(async (name, options, command) => {
      const context = contextOf(command);
      const events = await lastEvents(context, nodePath(name, "/events"), options.last);
      const tell = storyTeller(context, tellNodeEvent);
      if (context.out.json) return context.out.result(events, () => {});
      for (const event of events) await tell(event);
    });
}

function tokenCommand() {
  return new Command("token")
    .description("make a join token: one server, within 15 minutes")
    .option("--region <name>", "the token enrols into this region only")
    .option("--revoke <id>", "make none: end this one, which enrols nobody from now on")
    .action(async (options, command) => {
      const context = contextOf(command);
      if (options.revoke !== undefined) return revokeToken(context, options.revoke);
      const body = options.region === undefined ? {} : { region: options.region };
      const token = await context.api.call(JoinTokenCreated, "POST", "/v1/nodes/tokens", body);
      const { apiUrl } = context.api;
      const region = options.region ?? "local";
      context.out.result(token, () => {
        context.out.line(token.token);
        const until = new Date(token.expiresAtMs).toLocaleTimeString();
        context.out.line(pc.dim(`${token.id}: single use, until ${until}. On the server:`));
        const options = `--token ${token.token} --region ${region}`;
        context.out.line(pc.dim(`  curl -fsSL ${apiUrl}/install | sudo sh -s -- ${options}`));
      });
    });
}

async function revokeToken(context: Context, id: string): Promise<void> {
  const token = await context.api.call(JoinToken, "DELETE", `/v1/nodes/tokens/${encodeURIComponent(id)}`);
  const { usedBy } = token;
  context.out.result(token, () =>
    context.out.line(
      usedBy === null
        ? `${token.id} enrols nobody from now on.`
        : `${token.id} was used: it made ${usedBy}. If that is not yours, \`berth nodes revoke ${usedBy}\`.`,
    ),
  );
}

function installerCommand() {
  return new Command("installer")
    .description("publish what new servers install: agent, launcher, script and Node release")
    .argument("<dist>", "the folder that `npm run build:agent` made")
    .action(async (dist, _options, command) => {
      const context = contextOf(command);
      const published = await publishInstallation(context, dist);
      context.out.result(published, () => {
        const { version, node } = published;
        context.out.line(
          `New servers install agent ${version} on Node ${node.version}: \`berth nodes token\` says how.`,
        );
      });
    });
}
