// `node launcher.mjs run --dir D …`: the arguments are the agent's. BERTH_AGENT: its installed bundle [agent.mjs beside this file].
import { mkdirSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { AGENT_LIMITS, agentLimitsFrom } from "../../core/converge/limits.ts";
import { launch } from "./launcher.ts";

const args = process.argv.slice(2);
const dir = folderIn(args);
const ending = new AbortController();
for (const name of ["SIGTERM", "SIGINT"] as const) process.on(name, () => ending.abort());

if (args[0] !== "run" || dir === null) {
  process.stderr.write("usage: launcher.mjs run --dir D [options of agent.mjs run]\n");
  process.exit(2);
}
try {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const installed = process.env.BERTH_AGENT ?? join(dirname(fileURLToPath(import.meta.url)), "agent.mjs");
  await launch({ dir, installed: resolve(installed), args, trialMs: trialMs() }, ending.signal);
  process.exit(0);
} catch (error) {
  process.stderr.write(`berth launcher: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}

function folderIn(all: readonly string[]): string | null {
  const at = all.findIndex((arg) => arg === "--dir" || arg.startsWith("--dir="));
  const found = at < 0 ? undefined : all[at]!.startsWith("--dir=") ? all[at]!.slice(6) : all[at + 1];
  return found === undefined || found === "" ? null : resolve(found);
}

function trialMs(): number {
  try {
    return agentLimitsFrom(JSON.parse(process.env.BERTH_TUNING ?? "{}") as Record<string, unknown>).agentTrialMs;
  } catch {
    return AGENT_LIMITS.agentTrialMs;
  }
}
