// Filter: why a node cannot take a slot, constraint by constraint.
import type { NodeCapacity } from "../../contracts/agent-protocol.ts";
import { isOffered } from "../../contracts/host-ports.ts";
import type { Ask } from "./ask.ts";
import type { ConstraintName, PlacementNode } from "./types.ts";

export const RESOURCE_NAMES = ["cpuMilli", "memoryBytes", "diskBytes", "pids"] as const;

/** missing: units of the resource; null where nothing is measured. */
export type Note = (constraint: ConstraintName, missing: number | null) => void;

/**
 * Notes each reason why the node cannot take the slot; none if it can. A node that takes nothing, or of another kind, is not
 * blamed for its room too; of a node that might do, every reason is named. `free` and `ports` are what is so at this moment
 * of the decision.
 */
export function noteExclusions(
  node: PlacementNode,
  free: NodeCapacity,
  ports: readonly number[],
  ask: Ask,
  note: Note,
): void {
  const { slot } = ask;
  if (!slot.runtimes.includes(node.runtime)) return note("runtime", null);
  if (!hasLabels(node, ask)) return note("labels", null);
  if (node.closed !== null) return note(node.closed, null);
  if (lacksClass(node, ask)) return note("runtime_class", null);
  if (isAgentTooOld(node, ask)) note("agent", null);
  if (ask.avoid.has(node.id)) note("avoided", null);
  if (isAwayFromAny(node, ask)) note("away_from", null);
  if (isDomainTaken(node, ask)) note("failure_domains", null);
  if (isNodeTaken(node, ask)) note("nodes", null);
  if (arePortsTaken(ports, ask) || areNotOffered(node, ask)) note("ports", null);
  const { cpuMilli, memoryBytes, diskBytes, pids } = slot.resources;
  if (cpuMilli > free.cpuMilli) note("cpu", cpuMilli - free.cpuMilli);
  if (memoryBytes > free.memoryBytes) note("memory", memoryBytes - free.memoryBytes);
  if (diskBytes > free.diskBytes) note("disk", diskBytes - free.diskBytes);
  if (pids > free.pids) note("pids", pids - free.pids);
}

export function canTake(node: PlacementNode, free: NodeCapacity, ports: readonly number[], ask: Ask): boolean {
  let can = true;
  noteExclusions(node, free, ports, ask, () => {
    can = false;
  });
  return can;
}

/** How much of it the slot asks for, where it is an amount. */
export function requestedOf({ slot: { resources } }: Ask, constraint: ConstraintName): number | null {
  const amounts: Partial<Record<ConstraintName, number>> = {
    cpu: resources.cpuMilli,
    memory: resources.memoryBytes,
    disk: resources.diskBytes,
    pids: resources.pids,
  };
  return amounts[constraint] ?? null;
}

/** What the slot asks for in words, where it is no amount. */
export function wantedOf({ slot, labels, policy }: Ask, constraint: ConstraintName): string | null {
  if (constraint === "runtime") return slot.runtimes.join(" or ");
  if (constraint === "runtime_class") return slot.runtimeClass ?? null;
  if (constraint === "labels") return labels.map(([name, value]) => `${name}=${value}`).join(", ");
  if (constraint === "away_from") return policy.awayFrom.join(", ") || null;
  if (constraint === "agent" && slot.job) return "one-off instances";
  if (constraint === "agent") return policy.singleton === "strict" ? "strict singletons" : "host ports";
  return constraint === "ports" ? policy.hostPorts.join(", ") : null;
}

/** Whether it could take the slot if it were empty and open, with the slot's siblings where they are. */
export function couldEver(node: PlacementNode, ask: Ask): boolean {
  if (!ask.slot.runtimes.includes(node.runtime) || !hasLabels(node, ask) || lacksClass(node, ask)) return false;
  if (isDomainTaken(node, ask) || isNodeTaken(node, ask) || areNotOffered(node, ask)) return false;
  return RESOURCE_NAMES.every((name) => ask.slot.resources[name] <= node.capacity[name]);
}

export function hasLabels({ labels }: Pick<PlacementNode, "labels">, ask: Ask): boolean {
  for (const [name, value] of ask.labels) if (labels[name] !== value) return false;
  return true;
}

export function isAwayFromAny({ apps, shunned }: PlacementNode, { awayFrom, self }: Ask): boolean {
  for (const key of awayFrom) if (apps.has(key)) return true;
  return shunned !== undefined && self !== null && shunned.has(self);
}
export const lacksClass = ({ classes }: PlacementNode, { runtimeClass }: Ask): boolean =>
  runtimeClass !== null && !classes?.includes(runtimeClass);
export const isAgentTooOld = ({ agentTooOld }: PlacementNode, ask: Ask): boolean =>
  ask.newAgent && agentTooOld === true;
const isDomainTaken = ({ failureDomain }: PlacementNode, ask: Ask): boolean =>
  ask.policy.failureDomains === "required" && ask.inDomain.has(failureDomain);
const isNodeTaken = ({ id }: PlacementNode, ask: Ask): boolean => ask.policy.nodes === "required" && ask.onNode.has(id);
export const arePortsTaken = (ports: readonly number[], ask: Ask): boolean =>
  ask.policy.hostPorts.length > 0 && ask.policy.hostPorts.some((port) => ports.includes(port));
export const areNotOffered = ({ offeredPorts }: PlacementNode, ask: Ask): boolean =>
  offeredPorts !== undefined && ask.policy.hostPorts.some((port) => !isOffered(offeredPorts, port));
