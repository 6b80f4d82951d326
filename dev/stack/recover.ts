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
  // A node half made has nothing to end; what is left of it goes with its folder.
  await purgeNodes(stateDir);
  await endAllMarked(stackId);
  rmSync(postgresHome(stateDir, stackId), { recursive: true, force: true });
  for (const name of listFolder(stateDir)) {
    if (name !== "supervisor.json") rmSync(join(stateDir, name), { recursive: true, force: true });
  }
}

/** Ends the apps and gateways of all nodes that a stack ever had. Names the nodes where that failed. */
export async function purgeNodes(stateDir: string): Promise<readonly string[]> {
  const bundlePath = join(stateDir, "bundles", "agent.mjs");
  const names = listFolder(join(stateDir, "agents"));
  const purged = await Promise.allSettled(names.map((name) => purgeAgent(bundlePath, agentDir({ stateDir, name }))));
  return names.filter((_, index) => purged[index]?.status === "rejected");
}

function listFolder(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
