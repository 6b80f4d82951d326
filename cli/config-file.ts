// Where the CLI remembers who is signed in: the checkout's .berth/config.json (written by `npm start`), else the user's own.
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import envPaths from "env-paths";
import { z } from "zod";
import { CommandFailure, EXIT } from "./failure.ts";

/** edgeUrl: where apps answer when *.localhost must be dialled by address; token absent: signed out. */
export const CliConfig = z.object({
  apiUrl: z.url(),
  token: z.string().optional(),
  edgeUrl: z.url().optional(),
  team: z.string().optional(),
});
export type CliConfig = z.infer<typeof CliConfig>;

/** The nearest .berth/config.json at or above a folder, else the user's file (which need not exist yet). */
export function configPath(fromFolder: string): string {
  for (let folder = resolve(fromFolder); ; folder = dirname(folder)) {
    const candidate = join(folder, ".berth", "config.json");
    if (existsSync(candidate)) return candidate;
    if (dirname(folder) === folder) break;
  }
  return join(envPaths("berth", { suffix: "" }).config, "config.json");
}

/** What is stored there, or null. A file that cannot be read is said to be so, not overwritten. */
export function readConfig(path: string): CliConfig | null {
  if (!existsSync(path)) return null;
  try {
    return CliConfig.parse(JSON.parse(readFileSync(path, "utf8")));
  } catch {
    throw new CommandFailure(`${path} is not a configuration of berth`, EXIT.usage, "Remove it, then `berth login`.");
  }
}

/** Written whole and renamed, readable by its owner only: it holds a token. */
export function writeConfig(path: string, config: CliConfig): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const temporary = `${path}.${process.pid}`;
  writeFileSync(temporary, `${JSON.stringify(config, null, 2)}\n`, { mode: 0o600 });
  renameSync(temporary, path);
}
