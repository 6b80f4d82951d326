// nodes ls|token: the operator's servers.
import { Command } from "@commander-js/extra-typings";
import pc from "picocolors";
import { JoinTokenCreated, Node } from "../../contracts/api.ts";
import { ago, bytes, phase } from "../output.ts";
import { listAll } from "./list-all.ts";
import { contextOf } from "./run.ts";

export function nodesCommand() {
  const nodes = new Command("nodes").description("the servers (operators only)");
  nodes
    .command("ls")
    .description("list the nodes")
    .action(async (_options, command) => {
      const context = contextOf(command);
      const items = await listAll(context, Node, "/v1/nodes");
      context.out.result(items, () =>
        context.out.table(
          ["NODE", "PHASE", "CELL", "RACK", "RUNTIME", "CPU", "MEMORY", "INSTANCES", "HEARTBEAT"],
          items.map((node) => [
            node.name,
            phase(node.phase),
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
  nodes
    .command("token")
    .description("make a join token: one server, within 15 minutes")
    .option("--region <name>", "the token enrols into this region only")
    .action(async (options, command) => {
      const context = contextOf(command);
      const body = options.region === undefined ? {} : { region: options.region };
      const token = await context.api.call(JoinTokenCreated, "POST", "/v1/nodes/tokens", body);
      context.out.result(token, () => {
        context.out.line(token.token);
        context.out.line(
          pc.dim(`Single use, until ${new Date(token.expiresAtMs).toLocaleTimeString()}. On the server:`),
        );
        context.out.line(
          pc.dim(
            `  node agent.mjs run --control ${context.api.apiUrl} --token ${token.token} --region ${options.region ?? "local"} …`,
          ),
        );
      });
    });
  return nodes;
}
