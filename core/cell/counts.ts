// What gateways counted of watched apps, handed on to their Apps: the newest of each instance, now and then. Nothing is stored.
import type { InstanceCounters } from "../../contracts/agent-protocol.ts";
import type { AppId, InstanceId, NodeId } from "../../contracts/ids.ts";
import { cellOf, type CellContext } from "./context.ts";
import { linkOf } from "./links.ts";
import type { AppCounts } from "./types.ts";

const NOTHING: AppCounts = { sentAtMs: 0, items: new Map() };

/** Of watched apps, and of what this Cell placed on that node: no node judges the releases of others. */
export function takeCounts(ctx: CellContext, node: NodeId, watched: readonly InstanceCounters[]): void {
  const taken = new Map<AppId, Map<InstanceId, InstanceCounters>>();
  for (const counters of watched) {
    const { app, instance } = counters;
    if (!isPlacedOn(ctx, node, counters) || !linkOf(ctx, app).watch) continue;
    const items = taken.get(app) ?? new Map(ctx.counts.get(app)?.items);
    taken.set(app, items.set(instance, counters));
  }
  if (taken.size === 0) return;
  const counts = new Map(ctx.counts);
  for (const [app, items] of taken) counts.set(app, { ...(counts.get(app) ?? NOTHING), items });
  ctx.counts = counts;
}

function isPlacedOn(ctx: CellContext, node: NodeId, { instance, generation, app, release }: InstanceCounters): boolean {
  const row = ctx.draft.get("instances", instance);
  if (row?.node !== node || row.state.kind !== "desired") return false;
  const { desired } = row;
  return desired.generation === generation && desired.app === app && desired.release === release;
}

/**
 * With any node's heartbeat: an alarm of its own would cost rows. What is not watched any more is dropped. Nothing waits for it and
 * nothing repeats it.
 */
export function tellCounts(ctx: CellContext): void {
  const cell = cellOf(ctx);
  if (!cell || ctx.counts.size === 0) return;
  const counts = new Map(ctx.counts);
  let hasChanged = false;
  for (const [app, { sentAtMs, items }] of ctx.counts) {
    if (!linkOf(ctx, app).watch) hasChanged = counts.delete(app);
    else if (items.size > 0 && ctx.nowMs >= sentAtMs + ctx.limits.countEveryMs) {
      ctx.effects.push({ kind: "tell_counts", app, cell: cell.cell, items: [...items.values()] });
      counts.set(app, { sentAtMs: ctx.nowMs, items: NOTHING.items });
      hasChanged = true;
    }
  }
  if (hasChanged) ctx.counts = counts;
}
