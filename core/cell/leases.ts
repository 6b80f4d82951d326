// How long silence is believed: suspect, then unreachable (its gateway answers) or lost (it does not).
import type { NodeId } from "../../contracts/ids.ts";
import { earliest } from "../attempts.ts";
import { beatOf, cellOf, emit, type CellContext } from "./context.ts";
import { watchFreeze, type Silent } from "./freeze.ts";
import { tellGone } from "./node-news.ts";
import { watchSuspicions } from "./suspicion.ts";
import type { NodeRow } from "./types.ts";

const probeKey = (node: NodeId): string => `probe:${node}`;

/** Silence counts from the last heartbeat, or from when this Cell could first have heard one. */
const silentSinceMs = (ctx: CellContext, node: NodeId): number =>
  Math.max(beatOf(ctx, node).lastHeartbeatAtMs ?? 0, ctx.windowsFromMs);

export function watchLeases(ctx: CellContext): void {
  if (ctx.windowsFromMs === ctx.nowMs) startAnew(ctx);
  const silent = [...silentNodes(ctx)];
  for (const { node, silentMs } of silent) suspect(ctx, node, silentMs);
  const frozen = watchFreeze(ctx, silent);
  for (const { node, silentMs } of silent) {
    if (silentMs >= ctx.limits.leaseTtlMs && isGivenUp(ctx, node) && !frozen) lose(ctx, node);
    else probe(ctx, node);
  }
  watchSuspicions(ctx, frozen);
}

/** This Cell was late, or has just started: what gateways said until now counts no more, and they are asked after a new silence. */
function startAnew(ctx: CellContext): void {
  for (const node of ctx.draft.values("nodes")) {
    ctx.attempts.settle(probeKey(node.id));
    const beat = beatOf(ctx, node.id);
    if (beat.probesFailed > 0) ctx.setBeat(node.id, { ...beat, probesFailed: 0 });
  }
}

function* silentNodes(ctx: CellContext): Iterable<Silent> {
  for (const node of ctx.draft.values("nodes")) {
    if (node.phase !== "ready" && node.phase !== "unreachable") continue;
    const silentMs = ctx.nowMs - silentSinceMs(ctx, node.id);
    if (silentMs >= ctx.limits.suspectMs) yield { node, silentMs };
  }
}

function suspect(ctx: CellContext, node: NodeRow, silentMs: number): void {
  const beat = beatOf(ctx, node.id);
  if (node.phase !== "ready" || beat.suspectSinceMs !== null) return;
  ctx.setBeat(node.id, { ...beat, suspectSinceMs: ctx.nowMs, probesFailed: 0 });
  emit(ctx, { type: "node.suspect", subject: node.id, data: { name: node.name, silentMs } });
  ctx.urgentSummary = true;
}

/** Two opinions against it, or nobody who could be asked. */
function isGivenUp(ctx: CellContext, node: NodeRow): boolean {
  return (
    beatOf(ctx, node.id).probesFailed >= 2 || (node.phase === "ready" && ctx.attempts.tries(probeKey(node.id)) >= 2)
  );
}

function probe(ctx: CellContext, node: NodeRow): void {
  const cell = cellOf(ctx);
  const waitMs = ctx.limits.probeTimeoutMs;
  if (!cell || !ctx.attempts.claim(probeKey(node.id), waitMs, waitMs)) return;
  ctx.effects.push({ kind: "probe_gateway", cell: cell.cell, node: node.id, gatewayUrl: node.gatewayUrl });
}

export function gatewayProbed(ctx: CellContext, id: NodeId, answered: boolean): void {
  const node = ctx.draft.get("nodes", id);
  const beat = beatOf(ctx, id);
  if (!node || (node.phase !== "unreachable" && beat.suspectSinceMs === null)) return;
  if (!answered) {
    ctx.setBeat(id, { ...beat, probesFailed: beat.probesFailed + 1 });
    return;
  }
  // Asked again at leisure: it serves, but nobody hears its agent.
  ctx.setBeat(id, { ...beat, probesFailed: 0 });
  ctx.attempts.settle(probeKey(id));
  const againMs = cellOf(ctx)?.frozenSinceMs ? ctx.limits.frozenProbeMs : ctx.limits.suspectMs;
  ctx.attempts.postpone(probeKey(id), ctx.nowMs + againMs);
  if (node.phase !== "ready") return;
  ctx.draft.put("nodes", id, { ...node, phase: "unreachable", phaseSinceMs: ctx.nowMs });
  emit(ctx, { type: "node.unreachable", subject: id, data: { name: node.name } });
  tellGone(ctx, ctx.draft.get("nodes", id)!);
  ctx.urgentSummary = true;
}

function lose(ctx: CellContext, node: NodeRow): void {
  ctx.draft.put("nodes", node.id, { ...node, phase: "lost", phaseSinceMs: ctx.nowMs });
  ctx.setBeat(node.id, { ...beatOf(ctx, node.id), suspectSinceMs: null, probesFailed: 0 });
  ctx.attempts.settle(probeKey(node.id));
  emit(ctx, { type: "node.lost", subject: node.id, data: { name: node.name } });
  tellGone(ctx, ctx.draft.get("nodes", node.id)!);
  ctx.urgentSummary = true;
}

/** When silence alone changes something next; who is silent already is asked for by its attempts. */
export function leaseWakeAtMs(ctx: CellContext): number | null {
  let next: number | null = null;
  for (const node of ctx.draft.values("nodes")) {
    if (node.phase !== "ready" && node.phase !== "unreachable") continue;
    const suspectAtMs = silentSinceMs(ctx, node.id) + ctx.limits.suspectMs;
    if (suspectAtMs > ctx.nowMs) next = earliest(next, suspectAtMs);
  }
  return next;
}
