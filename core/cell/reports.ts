// What a node reports once each: notices by rising seq, conditions when they begin and when they end.
import type { NodeCondition } from "../../contracts/agent-protocol.ts";
import type { NodeNotice } from "../../contracts/node-notices.ts";
import type { NodeId } from "../../contracts/ids.ts";
import { allow, allowReports } from "./allowance.ts";
import { emit, type CellContext } from "./context.ts";

/** What the agent did by itself. A time that has not come yet is taken for now. */
export function takeNotices(ctx: CellContext, id: NodeId, notices: readonly NodeNotice[]): number {
  const node = ctx.draft.get("nodes", id)!;
  const ackedSeq = node.noticeSeq ?? 0;
  let noticeSeq = ackedSeq;
  const fresh = notices.filter(({ seq }) => seq > ackedSeq).sort((a, b) => a.seq - b.seq);
  // What is too many is not acknowledged: the node tells it again.
  for (const notice of fresh.slice(0, allowReports(ctx, id, fresh.length))) {
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
  const flips = begun.length + ended.length;
  // One that flips too often is looked at again with the next heartbeat: what is so by then counts.
  if (flips === 0 || allow(ctx, id, "flips", flips, flips) === 0) return;
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
