// One slot's question, made ready to be held against many nodes: the policy with its defaults, and where its siblings are.
import type { NodeId } from "../../contracts/ids.ts";
import { PlacementPolicy } from "../../contracts/release.ts";
import type { Occupied, ReserveSlot } from "../messages.ts";
import { awayFromKey, type PlacementRequest } from "./types.ts";

export interface Ask {
  readonly slot: ReserveSlot;
  readonly policy: PlacementPolicy;
  readonly labels: readonly (readonly [string, string])[];
  /** Keys of apps whose nodes are not taken. */
  readonly awayFrom: readonly string[];
  /** How apps that stay away from this one name it. */
  readonly self: string | null;
  readonly avoid: ReadonlySet<NodeId>;
  /** It wants what an older agent passes over: strict fencing, or host ports. */
  readonly newAgent: boolean;
  /** The class of runtime that not every node has; null: any will do. */
  readonly runtimeClass: string | null;
  /** Siblings by failure domain and by node. Without the slot's own instance, which it is to replace. */
  readonly inDomain: ReadonlyMap<string, number>;
  readonly onNode: ReadonlyMap<NodeId, number>;
}

const DEFAULT_POLICY: PlacementPolicy = PlacementPolicy.parse({});
const NO_LABELS: readonly (readonly [string, string])[] = [];
const NO_NAMES: readonly string[] = [];
const NO_NODES: ReadonlySet<NodeId> = new Set();
const NOWHERE: ReadonlyMap<never, number> = new Map<never, number>();

export function askOf(slot: ReserveSlot, { team, appName }: PlacementRequest, occupied: readonly Occupied[]): Ask {
  const policy = slot.placement ?? DEFAULT_POLICY;
  let inDomain: Map<string, number> | null = null;
  let onNode: Map<NodeId, number> | null = null;
  for (const { failureDomain, node, ordinal } of occupied) {
    if (ordinal === slot.ordinal) continue;
    inDomain ??= new Map();
    onNode ??= new Map();
    inDomain.set(failureDomain, (inDomain.get(failureDomain) ?? 0) + 1);
    onNode.set(node, (onNode.get(node) ?? 0) + 1);
  }
  return {
    slot,
    policy,
    labels: policy === DEFAULT_POLICY ? NO_LABELS : Object.entries(policy.labels),
    awayFrom: policy.awayFrom.length === 0 ? NO_NAMES : policy.awayFrom.map((name) => awayFromKey(team ?? "", name)),
    self: team && appName ? awayFromKey(team, appName) : null,
    newAgent: policy.singleton === "strict" || policy.hostPorts.length > 0 || slot.job === true,
    runtimeClass: slot.runtimeClass === undefined || slot.runtimeClass === "runc" ? null : slot.runtimeClass,
    avoid: slot.avoid && slot.avoid.length > 0 ? new Set(slot.avoid) : NO_NODES,
    inDomain: inDomain ?? NOWHERE,
    onNode: onNode ?? NOWHERE,
  };
}
