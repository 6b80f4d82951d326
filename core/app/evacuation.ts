// Instances that are to leave their node: an operator's drain or rebalance, or because they do not do well where they are.
import type { CellName, NodeId } from "../../contracts/ids.ts";
import type { CellToApp } from "../messages.ts";
import { cellLinkOf } from "./calls.ts";
import { changeInstance, emit, type AppContext } from "./context.ts";
import { isReady, noteFailure } from "./instances.ts";
import type { InstanceRow, Leaving } from "./types.ts";
import { instanceView } from "./views.ts";

/** An operator's word; what the instance's own troubles say can be taken back by the instance. */
export const isOrdered = ({ leaving }: InstanceRow): boolean =>
  leaving?.cause === "drain" || leaving?.cause === "rebalance";

export function evacuate(ctx: AppContext, cell: CellName, order: Extract<CellToApp, { kind: "evacuate" }>): void {
  const strangers: InstanceRow["id"][] = [];
  for (const id of order.instances) {
    const row = ctx.draft.get("instances", id);
    if (!row || row.phase.kind === "ended") {
      strangers.push(id);
      continue;
    }
    if (row.cell !== cell || row.placement?.node !== order.node || isOrdered(row)) continue;
    const { kind } = row.phase;
    if (kind === "running" || kind === "committing") leave(ctx, row, order.reason, order.to?.[id]);
    // It is on its way out already: its Cell hears until when.
    else if (kind === "draining") mark(ctx, row, order.reason);
  }
  if (strangers.length === 0) return;
  const link = cellLinkOf(ctx, cell);
  ctx.draft.put("cells", cell, { ...link, strangers: [...new Set([...(link.strangers ?? []), ...strangers])] });
}

/** The drain was called off: who has not been replaced yet stays. */
export function stay(ctx: AppContext, cell: CellName, node: NodeId): void {
  for (const row of [...ctx.draft.values("instances")]) {
    if (row.cell !== cell || row.placement?.node !== node || !isOrdered(row)) continue;
    changeInstance(ctx, row, { leaving: null });
  }
}

const mark = (ctx: AppContext, row: InstanceRow, cause: Leaving["cause"], to?: NodeId): InstanceRow =>
  changeInstance(ctx, row, { leaving: { cause, sinceMs: ctx.nowMs, ...(to ? { to } : {}) } });

function leave(ctx: AppContext, row: InstanceRow, cause: Leaving["cause"], to?: NodeId): InstanceRow {
  const marked = mark(ctx, row, cause, to);
  const node = row.placement?.node ?? null;
  const data = { instance: instanceView(ctx, marked), cause, node };
  emit(ctx, { type: "instance.evacuating", subject: row.id, data });
  return marked;
}

/** Marks it when it is beyond what its node gets to mend it; takes the mark back once it has run well. */
export function judge(ctx: AppContext, row: InstanceRow, onTrial: boolean): InstanceRow {
  if (row.phase.kind !== "running" || row.nodeGone || isOrdered(row)) return row;
  if (row.leaving) return isReady(row) ? recovered(ctx, row) : row;
  const cause = troubleOf(ctx, row, onTrial);
  if (!cause) return row;
  if (!onTrial) noteFailure(ctx, row, ctx.limits.moveBackoffMaxMs);
  return leave(ctx, row, cause);
}

function recovered(ctx: AppContext, row: InstanceRow): InstanceRow {
  const wellAtMs = (row.readySinceMs ?? ctx.nowMs) + ctx.limits.replaceResetMs;
  if (wellAtMs <= ctx.nowMs) return changeInstance(ctx, row, { leaving: null, loopCrashes: 0 });
  ctx.wakeBy(wellAtMs);
  return row;
}

/** A rollout judges its own instances; but a node without room on its disk says nothing about a release. */
function troubleOf(ctx: AppContext, row: InstanceRow, onTrial: boolean): Leaving["cause"] | null {
  if (row.observed?.kind !== "backoff") return null;
  const { code } = row.observed.failure;
  const crashes = row.loopCrashes ?? 0;
  if (code === "disk_pressure") return "disk_pressure";
  if (onTrial) return null;
  if (code === "image_pull_failed" || code === "bundle_unavailable") {
    return crashes >= ctx.limits.pullFailuresMax ? "pull_failed" : null;
  }
  return crashes >= ctx.limits.restartBudget ? "crash_loop" : null;
}
