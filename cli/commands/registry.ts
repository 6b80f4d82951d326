// registry login|logout|list: pull credentials for private images, sealed before they are stored.
import { Command } from "@commander-js/extra-typings";
import { z } from "zod";
import { Registry } from "../../contracts/api.ts";
import { CommandFailure, EXIT } from "../failure.ts";
import { ago } from "../output.ts";
import { listAll } from "./list-all.ts";
import { contextOf } from "./run.ts";
import { readFileSync } from "node:fs";

export function registryCommand() {
  const registry = new Command("registry").description("credentials for pulling private images");
  registry
    .command("login")
    .description("store a registry's credentials; the password is read from standard input")
    .argument("<host>", "such as ghcr.io or registry.example.com:5000")
    .requiredOption("-u, --username <name>")
    .option("--password-stdin", "read the password from standard input (always so)")
    .action(async (host, options, command) => {
      const context = contextOf(command);
      if (process.stdin.isTTY === true)
        throw new CommandFailure(
          "Give the password on standard input",
          EXIT.usage,
          `berth registry login ${host} -u ${options.username} < password.txt`,
        );
      const password = readFileSync(0, "utf8").replace(/\r?\n$/, "");
      if (password === "") throw new CommandFailure("The password on standard input is empty", EXIT.usage);
      const stored = await context.api.call(Registry, "PUT", `/v1/registries/${encodeURIComponent(host)}`, {
        username: options.username,
        password,
      });
      context.out.result(stored, () =>
        context.out.line(`Images from ${stored.host} are pulled as ${stored.username}.`),
      );
    });
  registry
    .command("logout")
    .description("forget a registry's credentials")
    .argument("<host>")
    .action(async (host, _options, command) => {
      const context = contextOf(command);
      await context.api.call(z.unknown(), "DELETE", `/v1/registries/${encodeURIComponent(host)}`);
      context.out.result({ host }, () => context.out.line(`Forgot ${host}.`));
    });
  registry
    .command("list")
    .description("the registries with credentials")
    .action(async (_options, command) => {
      const context = contextOf(command);
      const items = await listAll(context, Registry, "/v1/registries");
      context.out.result(items, () =>
        context.out.table(
          ["REGISTRY", "USER", "SET"],
          items.map((item) => [item.host, item.username, ago(item.updatedAtMs, Date.now())]),
        ),
      );
    });
  return registry;
}
