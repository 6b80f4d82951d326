// Filter: why a node cannot take a slot, constraint by constraint.
import type { NodeCapacity } from "../../contracts/agent-protocol.ts";
import type { Ask } from "./ask.ts";
import type { ConstraintName, PlacementNode } from "./types.ts";

export const RESOURCE_NAMES = ["cpuMilli", "memoryBytes", "diskBytes", "pids"] as const;

const RESOURCE_CONSTRAINTS = { cpuMilli: "cpu", memoryBytes: "memory", diskBytes: "disk", pids: "pids" } as const;

export interface Exclusion {
  readonly constraint: ConstraintName;
  readonly requested: number | null;
  readonly missing: number | null;
  /** What was asked for, in words, where it is no amount. */
  readonly wanted: string | null;
}

const without = (constraint: ConstraintName, wanted: string | null = null): Exclusion => ({
  constraint,
  requested: null,
  missing: null,
  wanted,
});

/**
 * Empty when the node can take the slot. A node that takes nothing, or of another kind, is not blamed for its room too; of a
 * node that might do, every reason is named. `free` and `ports` are what is so at this moment of the decision.
 */
export function exclusionsOf(
  node: PlacementNode,
  free: NodeCapacity,
  ports: readonly number[],
  ask: Ask,
): readonly Exclusion[] {
  const { slot } = ask;
  if (!slot.runtimes.includes(node.runtime)) return [without("runtime", slot.runtimes.join(" or "))];
  if (!hasLabels(node, ask))
    return [without("labels", ask.labels.map(([name, value]) => `${name}=${value}`).join(", "))];
  if (node.closed !== null) return [without(node.closed)];
  const exclusions: Exclusion[] = [];
  if (ask.avoid.has(node.id)) exclusions.push(without("avoided"));
  if (ask.awayFrom.some((key) => node.apps.has(key)))
    exclusions.push(without("away_from", ask.policy.awayFrom.join(", ")));
  if (isDomainTaken(node, ask)) exclusions.push(without("failure_domains"));
  if (isNodeTaken(node, ask)) exclusions.push(without("nodes"));
  if (arePortsTaken(ports, ask)) exclusions.push(without("ports", ask.policy.hostPorts.join(", ")));
  for (const name of RESOURCE_NAMES) {
    const requested = slot.resources[name];
    if (requested <= free[name]) continue;
    exclusions.push({
      constraint: RESOURCE_CONSTRAINTS[name],
      requested,
      missing: requested - free[name],
      wanted: null,
    });
  }
  return exclusions;
}

/** Whether it could take the slot if it were empty and open, with the slot's siblings where they are. */
export function couldEver(node: PlacementNode, ask: Ask): boolean {
  if (!ask.slot.runtimes.includes(node.runtime) || !hasLabels(node, ask)) return false;
  if (isDomainTaken(node, ask) || isNodeTaken(node, ask)) return false;
  return RESOURCE_NAMES.every((name) => ask.slot.resources[name] <= node.capacity[name]);
}

export function hasLabels({ labels }: Pick<PlacementNode, "labels">, ask: Ask): boolean {
  for (const [name, value] of ask.labels) if (labels[name] !== value) return false;
  return true;
}

const isDomainTaken = ({ failureDomain }: PlacementNode, ask: Ask): boolean =>
  ask.policy.failureDomains === "required" && ask.inDomain.has(failureDomain);
const isNodeTaken = ({ id }: PlacementNode, ask: Ask): boolean => ask.policy.nodes === "required" && ask.onNode.has(id);
export const arePortsTaken = (ports: readonly number[], ask: Ask): boolean =>
  ask.policy.hostPorts.length > 0 && ask.policy.hostPorts.some((port) => ports.includes(port));
