// init: writes a first berth.toml, asking only where a person is there to answer.
import { existsSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { Command } from "@commander-js/extra-typings";
import { DnsLabel } from "../../contracts/ids.ts";
import { BERTH_TOML, berthTomlText } from "../berth-toml.ts";
import { CommandFailure, EXIT } from "../failure.ts";
import { contextOf } from "./run.ts";

/** What runs a folder, by what lies in it. */
const STARTS = [
  ["server.mjs", ["node", "server.mjs"]],
  ["server.js", ["node", "server.js"]],
  ["index.mjs", ["node", "index.mjs"]],
  ["index.js", ["node", "index.js"]],
] as const;

export function initCommand() {
  return new Command("init")
    .description("write a berth.toml for this folder")
    .argument("[name]", "the app's name (default: this folder's)")
    .option("--image <reference>", "deploy this image instead of the folder")
    .option("--port <port>", "the port the app listens on", "8080")
    .option("--replicas <count>", "how many instances", "1")
    .action((name, options, command) => {
      const context = contextOf(command);
      const path = join(context.cwd, BERTH_TOML);
      if (existsSync(path))
        throw new CommandFailure(`${path} exists already`, EXIT.usage, "Edit it, or remove it first.");
      const app = name ?? folderLabel(context.cwd);
      const checked = DnsLabel.safeParse(app);
      if (!checked.success) throw new CommandFailure(`"${app}" ${checked.error.issues[0]?.message}`, EXIT.usage);
      const start = STARTS.find(([file]) => existsSync(join(context.cwd, file)));
      const source = options.image === undefined ? { command: start?.[1] ?? ["./start"] } : { image: options.image };
      const body = berthTomlText({ app, ...source, port: Number(options.port), replicas: Number(options.replicas) });
      writeFileSync(path, body, { flag: "wx" });
      context.out.result({ path, app }, () => {
        context.out.line(`Wrote ${path}.`);
        if (options.image === undefined && start === undefined)
          context.out.line("Set `command` in it to what starts the app.");
        context.out.line("Next: berth deploy");
      });
    });
}

function folderLabel(folder: string): string {
  return basename(folder)
    .toLowerCase()
    .replaceAll(/[^a-z0-9-]+/g, "-")
    .replaceAll(/^-+|-+$/g, "")
    .slice(0, 63);
}
