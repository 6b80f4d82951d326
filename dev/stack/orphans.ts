// Ends what an earlier supervisor of this stack left running. The data plane, gateways and apps, is left to serve.
import { end } from "../process/end.ts";
import { findMarked, type ProcessIdentity } from "../process/identity.ts";
import type { Ledger } from "../process/ledger.ts";

/** Roles whose whole process tree was supervised. An agent's tree holds gateways and apps, which outlive it by design. */
const TREE_ROLES = new Set(["postgres", "adapter", "control", "edge"]);

function isAgentItself(role: string, commandLine: readonly string[]): boolean {
  return role.startsWith("agent:") && commandLine.includes("run");
}

export async function endOrphans(stackId: string, ledger: Ledger): Promise<number> {
  const orphans = new Map<number, ProcessIdentity & { role: string }>();
  for (const entry of ledger.living()) orphans.set(entry.pid, entry);
  for (const marked of findMarked(stackId)) {
    if (TREE_ROLES.has(marked.role) || isAgentItself(marked.role, marked.commandLine)) orphans.set(marked.pid, marked);
  }
  await Promise.all([...orphans.values()].map((orphan) => end(orphan, politeness(orphan.role))));
  for (const { role } of orphans.values()) ledger.forget(role);
  return orphans.size;
}

/** Postgres is asked for a fast shutdown; the rest is made to be killed. */
function politeness(role: string) {
  return role === "postgres" ? ({ politely: "SIGINT", graceMs: 5_000 } as const) : ({ politely: "SIGKILL" } as const);
}

/** The last net when a stack stops: nothing that carries its mark stays. */
export async function endAllMarked(stackId: string): Promise<void> {
  await Promise.all(findMarked(stackId).map((marked) => end(marked, { graceMs: 2_000 })));
}
