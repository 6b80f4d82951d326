// Metering rows of nodes: an event each, of what this Cell placed there and of nothing else, so that no node bills for others.
import type { InstanceCounters, MeteringRow } from "../../contracts/agent-protocol.ts";
import type { InstanceId, NodeId } from "../../contracts/ids.ts";
import { allowReports } from "./allowance.ts";
import { emit, type CellContext } from "./context.ts";
import type { CellInstanceRow } from "./types.ts";

/** So many are named in the event that says what was dropped. */
const NAMED_MAX = 20;

/** One event per (node, seq), however often the row is repeated. Returns what the node need not repeat: what is too many it must. */
export function takeMetering(ctx: CellContext, id: NodeId, rows: readonly MeteringRow[]): number {
  const node = ctx.draft.get("nodes", id)!;
  let { meteringSeq, meteredFromMs = 0 } = node;
  for (const row of [...rows].sort((a, b) => a.seq - b.seq)) {
    if (row.seq <= meteringSeq) continue;
    if (allowReports(ctx, id, 1) === 0) break;
    meteringSeq = row.seq;
    meteredFromMs = Math.max(meteredFromMs, Math.min(row.fromMs, ctx.nowMs));
    takeRow(ctx, id, node.name, row);
  }
  if (meteringSeq !== node.meteringSeq) ctx.draft.put("nodes", id, { ...node, meteringSeq, meteredFromMs });
  return meteringSeq;
}

function takeRow(ctx: CellContext, id: NodeId, name: string, row: MeteringRow): void {
  const counted = new Map<InstanceId, InstanceCounters>();
  const dropped: InstanceId[] = [];
  for (const counters of row.instances) {
    const { instance } = counters;
    if (wasPlacedOn(ctx, id, counters) && !counted.has(instance)) counted.set(instance, counters);
    else dropped.push(instance);
  }
  const actor = `node:${id}`;
  emit(ctx, { type: "node.metered", subject: id, actor, data: { ...row, instances: [...counted.values()] } });
  if (dropped.length === 0) return;
  const message = `metering row ${row.seq} counts ${dropped.length} that were not placed there as it says`;
  const data = { name, seq: row.seq, dropped: dropped.length, instances: dropped.slice(0, NAMED_MAX), message };
  emit(ctx, { type: "node.metering_dropped", subject: id, actor, data });
}

function wasPlacedOn(ctx: CellContext, node: NodeId, counters: InstanceCounters): boolean {
  const row = ctx.draft.get("instances", counters.instance);
  const placed = row ? { ...row.desired, node: row.node } : ctx.draft.get("left", counters.instance);
  return (
    placed?.node === node &&
    placed.app === counters.app &&
    placed.team === counters.team &&
    placed.release === counters.release &&
    placed.generation === counters.generation
  );
}

/** It has left its node, whose next metering rows still count it. */
export function rememberLeft(ctx: CellContext, { desired, node }: CellInstanceRow): void {
  const { instance, app, team, release, generation } = desired;
  ctx.draft.put("left", instance, { node, app, team, release, generation, atMs: ctx.nowMs });
}

/** Those whose node has told of a time in which they were long gone, or will never tell; and of too many the oldest. */
export function forgetLeft(ctx: CellContext): void {
  const { leftMeteredMs, leftKeptMs, leftKeptMax } = ctx.limits;
  const kept: string[] = [];
  for (const [instance, { node: id, atMs }] of [...ctx.draft.entries("left")]) {
    const node = ctx.draft.get("nodes", id);
    const told = (node?.meteredFromMs ?? 0) > atMs + leftMeteredMs;
    const never = !node || node.phase === "removed" || ctx.nowMs > atMs + leftKeptMs;
    if (told || never) ctx.draft.drop("left", instance);
    else kept.push(instance);
  }
  for (const instance of kept.slice(0, Math.max(0, kept.length - leftKeptMax))) ctx.draft.drop("left", instance);
}
