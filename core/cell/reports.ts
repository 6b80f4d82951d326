// What a node reports once each: metering rows and notices by rising seq, conditions when they begin and when they end.
import type { MeteringRow, NodeCondition, NodeNotice } from "../../contracts/agent-protocol.ts";
import type { NodeId } from "../../contracts/ids.ts";
import { emit, type CellContext } from "./context.ts";

/** One event per (node, seq), however often the row is repeated. Returns what the node need not repeat. */
export function takeMetering(ctx: CellContext, id: NodeId, rows: readonly MeteringRow[]): number {
  const node = ctx.draft.get("nodes", id)!;
  let { meteringSeq } = node;
  for (const row of [...rows].sort((a, b) => a.seq - b.seq)) {
    if (row.seq <= meteringSeq) continue;
    meteringSeq = row.seq;
    emit(ctx, { type: "node.metered", subject: id, actor: `node:${id}`, data: { ...row } });
  }
  if (meteringSeq !== node.meteringSeq) ctx.draft.put("nodes", id, { ...node, meteringSeq });
  return meteringSeq;
}

/** What the agent did by itself. A time that has not come yet is taken for now. */
export function takeNotices(ctx: CellContext, id: NodeId, notices: readonly NodeNotice[]): number {
  const node = ctx.draft.get("nodes", id)!;
  const ackedSeq = node.noticeSeq ?? 0;
  let noticeSeq = ackedSeq;
  for (const notice of [...notices].sort((a, b) => a.seq - b.seq)) {
    if (notice.seq <= noticeSeq) continue;
    noticeSeq = notice.seq;
    const data = { name: node.name, ...notice, atMs: Math.min(notice.atMs, ctx.nowMs) };
    emit(ctx, { type: "node.notice", subject: id, actor: `node:${id}`, data });
  }
  if (noticeSeq !== ackedSeq) ctx.draft.put("nodes", id, { ...node, noticeSeq });
  return noticeSeq;
}

/** Written when one begins or ends; while it lasts its words may change without a row for each heartbeat. */
export function takeConditions(ctx: CellContext, id: NodeId, conditions: readonly NodeCondition[]): void {
  const node = ctx.draft.get("nodes", id)!;
  const before = node.conditions ?? [];
  const named = [...new Map(conditions.map((condition) => [condition.kind, condition])).values()];
  const begun = named.filter(({ kind }) => !before.some((known) => known.kind === kind));
  const ended = before.filter(({ kind }) => !conditions.some((now) => now.kind === kind));
  if (begun.length === 0 && ended.length === 0) return;
  const kept = before.filter((known) => !ended.includes(known));
  const fresh = begun.map((condition) => ({ ...condition, sinceMs: Math.min(condition.sinceMs, ctx.nowMs) }));
  ctx.draft.put("nodes", id, { ...node, conditions: [...kept, ...fresh] });
  const actor = `node:${id}`;
  for (const condition of fresh) {
    emit(ctx, { type: "node.condition", subject: id, actor, data: { name: node.name, ...condition } });
  }
  for (const { kind, sinceMs } of ended) {
    const lastedMs = ctx.nowMs - sinceMs;
    emit(ctx, { type: "node.recovered", subject: id, actor, data: { name: node.name, kind, lastedMs } });
  }
  ctx.urgentSummary = true;
}
