// What a loss of the control plane leaves: a new Postgres and new objects, with the same keys; on Cloudflare
// the routes' KV stays, and everywhere the agents do; of the bundles' bucket the caller says it.
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Stack } from "../stack.ts";
import { prepareDatabase } from "./database.ts";
import { BUCKET } from "./self-hosted.ts";
import { postgresHome, StackState } from "./state.ts";

export const stateOf = ({ stateDir }: Stack): StackState =>
  StackState.parse(JSON.parse(readFileSync(join(stateDir, "stack.json"), "utf8")));

/** Kills, removes and starts again. Throws where there was nothing to lose. */
export async function wipe(stack: Stack, { bundles = false } = {}): Promise<void> {
  const { stackId, passwords } = stateOf(stack);
  await stack.kill("control", "SIGKILL", { hold: true });
  await stack.kill("postgres", "SIGINT", { hold: true });
  rmSync(postgresHome(stack.stateDir, stackId), { recursive: true });
  const lost = lostFolders(join(stack.stateDir, "storage"), bundles);
  if (lost.length === 0) throw new Error(`no objects below ${stack.stateDir}`);
  for (const folder of lost) rmSync(folder, { recursive: true });
  await stack.start("postgres");
  await prepareDatabase({ postgresPort: stack.postgres.port, passwords });
  await stack.start("control");
}

/** Miniflare keeps objects and buckets side by side; plain workerd has a folder of objects, and the S3 store another. */
function lostFolders(storage: string, bundles: boolean): string[] {
  const within = (folder: string, isLost: (name: string) => boolean) =>
    existsSync(folder)
      ? readdirSync(folder)
          .filter(isLost)
          .map((name) => join(folder, name))
      : [];
  return [
    ...within(join(storage, "control"), (name) => (bundles ? /^(do|durable|r2)/i : /^(do|durable)/i).test(name)),
    ...within(join(storage, "objects"), () => true),
    ...within(join(storage, "s3", BUCKET), () => bundles),
  ];
}
