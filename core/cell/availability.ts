// Whether a node may be given something new, and what keeps it from that.
import { FENCING_PROTOCOL, type NodeCondition } from "../../contracts/agent-protocol.ts";
import type { Refusal } from "../../contracts/failures.ts";
import { DEFAULT_HOST_PORTS, type HostPorts, withoutPort } from "../../contracts/host-ports.ts";
import type { NodeId } from "../../contracts/ids.ts";
import type { ClosedReason } from "../placement/types.ts";
import { beatOf, type CellContext } from "./context.ts";
import { isEmptying } from "./rebalance.ts";
import type { NodeRow } from "./types.ts";

/** By the operator's word, a drain, or a rebalance that empties it. */
export const isCordoned = (ctx: CellContext, node: NodeRow): boolean =>
  node.cordoned === true || isEmptying(ctx, node.id);

/** What is on it is to leave. */
export const isEmptied = (ctx: CellContext, node: NodeId): boolean =>
  isEmptying(ctx, node) || ctx.draft.get("nodes", node)?.drain?.state === "draining";

/** What an operator is told of while the node serves as well as ever. */
const WARNINGS: ReadonlySet<NodeCondition["kind"]> = new Set(["certificate_expiring", "clock_wrong", "isolation_weak"]);

/** Null: believed in, not silent, its gateway serving, nothing wrong with it as a whole. */
function troubleOf(ctx: CellContext, node: NodeRow): string | null {
  if (node.phase !== "ready") return node.phase;
  const beat = beatOf(ctx, node.id);
  if (beat.suspectSinceMs !== null) return "suspect";
  const condition = node.conditions?.find(({ kind }) => !WARNINGS.has(kind));
  return condition?.kind ?? (beat.gatewayReady ? null : "gateway_down");
}

export function closedReason(ctx: CellContext, node: NodeRow): ClosedReason | null {
  if (node.drain) return "draining";
  if (isCordoned(ctx, node)) return "cordoned";
  return troubleOf(ctx, node) === null ? null : "not_ready";
}

/** A refusal says what is the matter with the nodes that are not ready (house rule 8). */
export function withDetail(ctx: CellContext, refusal: Refusal): Refusal {
  if (!refusal.constraints.some(({ constraint }) => constraint === "not_ready")) return refusal;
  const counts = new Map<string, number>();
  for (const node of ctx.draft.values("nodes")) {
    if (node.phase === "removed" || closedReason(ctx, node) !== "not_ready") continue;
    const trouble = troubleOf(ctx, node) ?? "";
    counts.set(trouble, (counts.get(trouble) ?? 0) + 1);
  }
  const detail = [...counts].map(([trouble, nodes]) => `${nodes} ${trouble}`).join(", ");
  const constraints = refusal.constraints.map((entry) =>
    entry.constraint === "not_ready" ? { ...entry, detail } : entry,
  );
  return { ...refusal, constraints };
}

export const takesPlacements = (ctx: CellContext, node: NodeRow): boolean => closedReason(ctx, node) === null;

/** It would run a strict singleton on without a lease, and an instance without its host ports, and call both well. */
export const isAgentTooOld = ({ protocol }: NodeRow): boolean => (protocol ?? 0) < FENCING_PROTOCOL;

/** One that never said has runc alone. */
export function classesOf({ isolation }: NodeRow): { readonly classes?: string } {
  const beside = isolation?.runtimeClasses.filter((name) => name !== "runc") ?? [];
  return beside.length === 0 ? {} : { classes: beside.toSorted().join(" ") };
}

/** What a node that never said offers: the default. Its gateway's port is nobody else's, as far as its address tells it. */
export function offeredPorts({ hostPorts, gatewayUrl }: NodeRow): HostPorts {
  return hostPorts ?? withoutPort(DEFAULT_HOST_PORTS, Number(new URL(gatewayUrl).port));
}
