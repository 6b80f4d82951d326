// What an unfinished set-up keeps on this machine, readable by its owner only: the tickets' key until both Workers have it, and the
// token for the first operator until there is one, and which build was tried. All else is read from Cloudflare.
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import envPaths from "env-paths";
import { z } from "zod";
import { CommandFailure, EXIT } from "../failure.ts";
import type { Wanted } from "./wanted.ts";

const Kept = z.strictObject({
  ticketKey: z.string().optional(),
  setupToken: z.string().optional(),
  /** The build that wrangler could bundle, so that a resumed run need not try again. */
  bundled: z.string().optional(),
});
export type Kept = z.infer<typeof Kept>;

export function keptPath({ zone, name }: Wanted): string {
  return join(envPaths("berth", { suffix: "" }).config, "setup", `${zone.accountId}-${name}.json`);
}

export function readKept(path: string): Kept {
  if (!existsSync(path)) return {};
  try {
    return Kept.parse(JSON.parse(readFileSync(path, "utf8")));
  } catch {
    throw new CommandFailure(`${path} cannot be read`, EXIT.usage, "Remove it: what it kept is made anew.");
  }
}

/** Written whole and renamed; gone once there is nothing to keep. */
export function writeKept(path: string, kept: Kept): void {
  if (Object.values(kept).every((one) => one === undefined)) return rmSync(path, { force: true });
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const temporary = `${path}.${process.pid}`;
  writeFileSync(temporary, JSON.stringify(kept), { mode: 0o600 });
  renameSync(temporary, path);
}
