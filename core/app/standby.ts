// Suspect nodes: room is held for what runs there, by instances that start only once the node is called lost, or leave no trace.
import type { CellName, InstanceId, NodeId } from "../../contracts/ids.ts";
import { changeInstance, emit, type AppContext } from "./context.ts";
import { heldFor, singletonOf } from "./policy.ts";
import type { InstanceRow } from "./types.ts";
import { instanceView } from "./views.ts";

/** Silence never replaces an available singleton, so that nothing is held for it. */
export function nodeSuspect(ctx: AppContext, cell: CellName, instances: readonly InstanceId[]): void {
  for (const id of instances) {
    const row = ctx.draft.get("instances", id);
    if (!row || row.cell !== cell || row.nodeGone || singletonOf(ctx, row) === "available") continue;
    if (row.phase.kind === "running" || row.phase.kind === "committing") changeInstance(ctx, row, { suspect: true });
  }
}

/** Who stands in for these finds them in their slots again, and goes. */
export function nodeCleared(ctx: AppContext, cell: CellName, node: NodeId): void {
  for (const row of [...ctx.draft.values("instances")]) {
    if (row.suspect && row.cell === cell && row.placement?.node === node) changeInstance(ctx, row, { suspect: false });
  }
}

/** They are lost: what found no room to hold for them is asked for anew, as any replacement of the lost is. */
export function callUp(ctx: AppContext, lost: ReadonlySet<InstanceId>): void {
  for (const row of [...ctx.draft.values("instances")]) {
    if (!row.standsInFor || !lost.has(row.standsInFor) || row.phase.kind !== "placing") continue;
    const phase = { ...row.phase, refusedSinceMs: null, retryAtMs: ctx.nowMs, tries: 0 };
    changeInstance(ctx, row, { standsInFor: null, phase });
  }
}

/** It has room. Whoever only stands in is not said to be placed until it is to start. */
export function tellPlaced(ctx: AppContext, row: InstanceRow): void {
  const held = heldFor(ctx, row);
  const instance = instanceView(ctx, row);
  if (!held) {
    const placed = row.standsInFor ? changeInstance(ctx, row, { standsInFor: null }) : row;
    return emit(ctx, { type: "instance.placed", subject: placed.id, data: { instance } });
  }
  emit(ctx, { type: "instance.reserved", subject: row.id, data: { instance, ...inCaseOf(held) } });
}

export const inCaseOf = ({ id, placement }: InstanceRow) => ({
  standsInFor: id,
  reason: `${placement?.nodeName ?? "the node of the one before it"} is silent`,
});
