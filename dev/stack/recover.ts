// The first step of a start: ends what an earlier run left running, and forgets its files where that is asked for.
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Ledger } from "../process/ledger.ts";
import { agentDir, purgeAgent } from "./agents.ts";
import { endAllMarked, endOrphans } from "./orphans.ts";
import { loadState, makeFolders, postgresHome, type StackState } from "./state.ts";

export interface Recovery {
  readonly stateDir: string;
  readonly fresh: boolean;
  readonly log: (line: string) => void;
}

/** The lock in the folder is ours already. */
export async function recover({ stateDir, fresh, log }: Recovery): Promise<StackState> {
  const before = await loadState(stateDir);
  const ended = await endOrphans(before.stackId, new Ledger(stateDir));
  if (ended > 0) log(`ended ${ended} processes that an earlier run left behind`);
  if (fresh) await forget(stateDir, before);
  makeFolders(stateDir);
  return fresh ? loadState(stateDir) : before;
}

/** Ends all that runs, then removes every file but the lock. */
async function forget(stateDir: string, { stackId }: StackState): Promise<void> {
  await endDataPlane(stateDir, stackId);
  rmSync(postgresHome(stateDir, stackId), { recursive: true, force: true });
  for (const name of listFolder(stateDir)) {
    if (name !== "supervisor.json") rmSync(join(stateDir, name), { recursive: true, force: true });
  }
}

/** Ends the apps and gateways of all nodes that a stack ever had, and whatever else carries its mark. Names what it could not. */
export async function endDataPlane(stateDir: string, stackId: string): Promise<readonly string[]> {
  const bundlePath = join(stateDir, "bundles", "agent.mjs");
  const names = listFolder(join(stateDir, "agents"));
  const ended = await Promise.allSettled(names.map((name) => purgeAgent(bundlePath, agentDir({ stateDir, name }))));
  await endAllMarked(stackId);
  return names.filter((_, index) => ended[index]?.status === "rejected");
}

function listFolder(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
