// How a command's action gets its context: global flags read once, from wherever on the line they were given.
import type { Command } from "@commander-js/extra-typings";
import { createContext } from "../context.ts";
import type { Context, GlobalOptions } from "../context.ts";
import { readBerthToml } from "../berth-toml.ts";
import { CommandFailure, EXIT } from "../failure.ts";

/** The context for the command that is running. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export function contextOf(command: Command<any, any, any>): Context {
  return createContext(command.optsWithGlobals() as GlobalOptions);
}

/** The app a command is about: named on the line, or by the berth.toml of this folder. */
export function appNameOf(context: Context, named: string | undefined): string {
  const name = named ?? readBerthToml(context.cwd)?.app;
  if (name !== undefined) return name;
  throw new CommandFailure(
    "Which app?",
    EXIT.usage,
    "Name it (`berth apps` lists them), or run this where its berth.toml is.",
  );
}

/** A path under an app, whatever the name holds. */
export const appPath = (app: string, rest = ""): string => `/v1/apps/${encodeURIComponent(app)}${rest}`;

/** A path under a node, by its name or id. */
export const nodePath = (node: string, rest = ""): string => `/v1/nodes/${encodeURIComponent(node)}${rest}`;
