// How a Cell shows itself: its nodes to operators, its summary to the Region.
import type { NodeCapacity, RuntimeKind } from "../../contracts/agent-protocol.ts";
import type { Node, NodeInstance } from "../../contracts/api.ts";
import type { NodeId } from "../../contracts/ids.ts";
import type { CellSummary } from "../messages.ts";
import { RESOURCE_NAMES } from "../placement/constraints.ts";
import { subtract } from "../placement/resources.ts";
import { kindsOf } from "../placement/rooms.ts";
import { beatOf, type CellContext } from "./context.ts";
import { drainView } from "./evacuation.ts";
import { isCordoned, offeredPorts, takesPlacements } from "./availability.ts";
import { inReadingOrder, residentsOf } from "./residents.ts";
import { NOTHING, add } from "./holdings.ts";
import { heldOn, placementNodes } from "./ledger.ts";
import type { CellRow, NodeRow } from "./types.ts";

export function nodeViews(ctx: CellContext, cell: CellRow, only?: NodeId): Node[] {
  const rows = only ? [ctx.draft.get("nodes", only)] : [...ctx.draft.values("nodes")];
  return rows.filter((row) => row !== undefined).map((row) => nodeView(ctx, cell, row));
}

function nodeView(ctx: CellContext, cell: CellRow, row: NodeRow): Node {
  const beat = beatOf(ctx, row.id);
  return {
    id: row.id,
    name: row.name,
    cell: cell.cell,
    region: row.region,
    failureDomain: row.failureDomain,
    labels: { ...row.labels },
    phase: row.phase === "ready" && beat.suspectSinceMs !== null ? "suspect" : row.phase,
    cordoned: isCordoned(ctx, row),
    conditions: [...(row.conditions ?? [])],
    drain: drainView(ctx, row),
    runtime: row.runtime,
    platform: row.platform,
    agentVersion: beat.agentVersion || row.agentVersion,
    gatewayUrl: row.gatewayUrl,
    ...reachView(ctx, row),
    capacity: row.capacity,
    hostPorts: offeredPorts(row),
    ...(row.isolation ? { isolation: row.isolation } : {}),
    reserved: heldOn(ctx, row.id),
    instances: residentsOf(ctx, row.id).filter(({ state }) => state.kind === "desired").length,
    revision: row.revision,
    ackRevision: beat.ackRevision,
    lastHeartbeatAtMs: beat.lastHeartbeatAtMs,
    enrolledAtMs: row.enrolledAtMs,
  };
}

function reachView(ctx: CellContext, { reach, relay }: NodeRow): Pick<Node, "reach"> {
  if (reach === "cloudflared") return { reach: { kind: reach } };
  if (reach !== "relay") return {};
  const through = relay?.through ? ctx.draft.get("nodes", relay.through) : undefined;
  const named = through ? { id: through.id, name: through.name } : null;
  return { reach: { kind: reach, through: named, held: relay?.held ?? 0 } };
}

export function instanceViews(ctx: CellContext, node: NodeId): NodeInstance[] {
  return inReadingOrder(residentsOf(ctx, node)).map(({ desired, state }) => {
    const observed = ctx.draft.get("observed", desired.instance);
    return {
      id: desired.instance,
      generation: desired.generation,
      app: desired.app,
      appName: desired.appName,
      team: desired.team,
      version: desired.version,
      ordinal: desired.ordinal,
      state: state.kind === "gone" ? "gone" : desired.intent,
      singleton: desired.singleton ?? null,
      resources: desired.resources,
      observed: observed?.status ?? null,
      restarts: observed?.restarts ?? 0,
    };
  });
}

export function summaryOf(ctx: CellContext, cell: CellRow): CellSummary {
  let nodes = 0;
  let readyNodes = 0;
  let capacity = NOTHING;
  let free = NOTHING;
  let largestFree = NOTHING;
  const runtimes = new Set<RuntimeKind>();
  for (const row of ctx.draft.values("nodes")) {
    if (row.phase === "removed") continue;
    nodes += 1;
    if (!takesPlacements(ctx, row)) continue;
    readyNodes += 1;
    const left = subtract(row.capacity, heldOn(ctx, row.id));
    capacity = add(capacity, row.capacity);
    free = add(free, left);
    largestFree = largestOf(largestFree, left);
    runtimes.add(row.runtime);
  }
  return {
    cell: cell.cell,
    nodes,
    readyNodes,
    capacity,
    free,
    largestFree,
    runtimes: [...runtimes].sort(),
    kinds: kindsOf(placementNodes(ctx), ctx.limits.summaryRoomsMax),
    atMs: ctx.nowMs,
  };
}

function largestOf(a: NodeCapacity, b: NodeCapacity): NodeCapacity {
  const largest = { ...a };
  for (const name of RESOURCE_NAMES) largest[name] = Math.max(a[name], b[name]);
  return largest;
}
