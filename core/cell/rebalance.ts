// Rebalance: executes a plan that empties under-used nodes. Its row survives restarts, has a deadline, and can be left.
import type { Rebalance } from "../../contracts/api.ts";
import type { Result } from "../../contracts/failures.ts";
import type { NodeId } from "../../contracts/ids.ts";
import { ok } from "../results.ts";
import { planConsolidation, type ConsolidationPlan } from "./consolidation.ts";
import { cellOf, emit, type CellContext } from "./context.ts";
import { callOff, evacuate, evacuateSoon } from "./evacuation.ts";
import { placementNodes } from "./ledger.ts";
import type { CellInputs, CellInstanceRow, NodeRow, RebalanceRow } from "./types.ts";

const KEY = "rebalance";

export const isEmptying = (ctx: CellContext, node: NodeId): boolean =>
  ctx.draft.get("rebalance", KEY)?.nodes.includes(node) ?? false;

/** While one is under way: what of it is still to be done, also where it is asked for once more. */
export function rebalance(ctx: CellContext, { actor, execute }: CellInputs["rebalance"]): Result<Rebalance> {
  const running = ctx.draft.get("rebalance", KEY);
  const plan = planNow(ctx);
  if (running) {
    const freed = running.nodes.map((node) => ({ node, name: ctx.draft.get("nodes", node)?.name ?? node }));
    return ok({ ...plan, steps: [...running.steps], freed, executing: true, reason: null });
  }
  const executing = execute && plan.steps.length > 0;
  if (executing) begin(ctx, plan, actor);
  return ok({ ...plan, executing });
}

function planNow(ctx: CellContext): ConsolidationPlan {
  const names = new Map<NodeId, string>();
  for (const node of ctx.draft.values("nodes")) names.set(node.id, node.name);
  const reserved = new Set<NodeId>();
  for (const { node } of ctx.draft.values("reservations")) reserved.add(node);
  const rows = [...ctx.draft.values("instances")];
  return planConsolidation({ nodes: placementNodes(ctx), names, rows, reserved }, ctx.at.seed, ctx.limits);
}

function begin(ctx: CellContext, plan: ConsolidationPlan, actor: string): void {
  ctx.draft.put("rebalance", KEY, {
    startedAtMs: ctx.nowMs,
    deadlineAtMs: ctx.nowMs + ctx.limits.rebalanceMaxMs,
    startedBy: actor,
    steps: plan.steps,
    nodes: plan.freed.map(({ node }) => node),
    moved: 0,
  });
  const { steps, freed, nodesUsedBefore, nodesUsedAfter } = plan;
  const data = { state: "started", steps: steps.length, freed, nodesUsedBefore, nodesUsedAfter };
  emit(ctx, { type: "cell.rebalancing", subject: cellOf(ctx)!.cell, actor, data });
  ctx.urgentSummary = true;
}

/**
 * Tells Apps what is to move, notices what has moved, and ends: done, or at the deadline with what is left staying. It needs no
 * wake-up of its own: its nodes are believed in, which has them looked at every few seconds.
 */
export function watchRebalance(ctx: CellContext): void {
  const running = ctx.draft.get("rebalance", KEY);
  if (!running) return;
  for (const id of running.nodes) {
    const node = ctx.draft.get("nodes", id);
    // Its instances are replaced. Should it be back before they are, nothing asks them to leave any more.
    if (node?.phase === "lost") callOff(ctx, node, rowsToMove(ctx, running, id));
    if (!node || node.phase === "lost" || node.phase === "removed") dropNode(ctx, id);
  }
  const left = ctx.draft.get("rebalance", KEY);
  if (!left) return;
  const steps = left.steps.filter(({ instance }) => ctx.draft.get("instances", instance)?.state.kind === "desired");
  const now = { ...left, steps, moved: left.moved + left.steps.length - steps.length };
  if (steps.length !== left.steps.length) ctx.draft.put("rebalance", KEY, now);
  if (steps.length === 0) return end(ctx, now, "finished");
  if (ctx.nowMs >= now.deadlineAtMs) return end(ctx, now, "stopped");
  const targets = new Map(steps.map(({ instance, to }) => [instance, to]));
  for (const id of now.nodes) {
    const rows = rowsToMove(ctx, now, id);
    if (rows.length > 0) evacuate(ctx, ctx.draft.get("nodes", id)!, rows, "rebalance", targets);
  }
}

function end(ctx: CellContext, running: RebalanceRow, state: "finished" | "stopped"): void {
  for (const id of running.nodes) {
    const node = ctx.draft.get("nodes", id);
    if (node) callOff(ctx, node, rowsToMove(ctx, running, id));
  }
  ctx.draft.drop("rebalance", KEY);
  const tookMs = ctx.nowMs - running.startedAtMs;
  const data = { state, moved: running.moved, remaining: running.steps.length, tookMs };
  emit(ctx, { type: "cell.rebalancing", subject: cellOf(ctx)!.cell, data });
  ctx.urgentSummary = true;
}

function rowsToMove(ctx: CellContext, { steps }: RebalanceRow, node: NodeId): CellInstanceRow[] {
  return steps.flatMap(({ instance, from }) => {
    const row = from === node ? ctx.draft.get("instances", instance) : undefined;
    return row ? [row] : [];
  });
}

/** The node takes no more part: what has not moved stays, or its drain moves it. */
export function leaveRebalance(ctx: CellContext, node: NodeRow, why: "stays" | "drains"): void {
  const running = ctx.draft.get("rebalance", KEY);
  if (!running?.nodes.includes(node.id)) return;
  if (why === "stays") callOff(ctx, node, rowsToMove(ctx, running, node.id));
  dropNode(ctx, node.id);
  ctx.urgentSummary = true;
}

function dropNode(ctx: CellContext, node: NodeId): void {
  const running = ctx.draft.get("rebalance", KEY);
  if (!running) return;
  const steps = running.steps.filter(({ from }) => from !== node);
  ctx.draft.put("rebalance", KEY, { ...running, steps, nodes: running.nodes.filter((id) => id !== node) });
  evacuateSoon(ctx, node);
}
