// What holds those that are to leave their nodes, in words, for the Cell that wants them gone and the operator who asks it.
import { refusalText } from "../../contracts/refusal-text.ts";
import type { CellName, InstanceId } from "../../contracts/ids.ts";
import type { AppContext } from "./context.ts";
import { isOrdered } from "./evacuation.ts";
import { isMeant } from "./instances.ts";
import { blockersOf, isSingleton, slotKey } from "./policy.ts";
import type { InstanceRow } from "./types.ts";

export type Held = { readonly instance: InstanceId; readonly reason: string }[];

/** By cell; a cell with none is not in it. In the order of the rows, so that the same state gives the same text. */
export function heldByCell(ctx: AppContext): Map<CellName, Held> {
  const held = new Map<CellName, Held>();
  for (const row of ctx.draft.values("instances")) {
    if (!row.cell || !isOrdered(row) || row.phase.kind === "ended" || row.phase.kind === "stopping") continue;
    held.set(row.cell, [...(held.get(row.cell) ?? []), { instance: row.id, reason: reasonOf(ctx, row) }]);
  }
  return held;
}

function reasonOf(ctx: AppContext, row: InstanceRow): string {
  if (row.phase.kind === "draining") return `serves out its drain until ${clock(row.phase.untilMs)}`;
  const heir = heirOf(ctx, row);
  if (!heir) return withoutHeir(ctx, row);
  const { phase, observed, placement } = heir;
  if (phase.kind === "placing") {
    if (!phase.refusal || phase.refusedSinceMs === null) return "room for its replacement is being looked for";
    return `no room for its replacement since ${clock(phase.refusedSinceMs)}: ${refusalText(phase.refusal)}`;
  }
  const where = placement?.nodeName ?? "its node";
  if (phase.kind === "committing") return `its replacement is being placed on ${where}`;
  if (heir.nodeGone) return `its replacement's node, ${where}, does not answer`;
  const failure = heir.failure ? ` (${heir.failure.code}: ${heir.failure.message.slice(0, 200)})` : "";
  return `its replacement on ${where} is not ready yet: ${observed?.kind ?? "not started"}${failure}`;
}

function withoutHeir(ctx: AppContext, row: InstanceRow): string {
  const notBeforeMs = ctx.draft.get("slots", slotKey(ctx, row, row.ordinal))?.notBeforeMs ?? 0;
  if (notBeforeMs > ctx.nowMs) return `its last replacement failed; the next is made at ${clock(notBeforeMs)}`;
  const blocked = isSingleton(ctx, row) && blockersOf(ctx, row, row).length > 0;
  if (blocked) return "the singleton's former instance is not known to be stopped yet";
  return "its replacement is about to be made";
}

function heirOf(ctx: AppContext, row: InstanceRow): InstanceRow | undefined {
  let heir: InstanceRow | undefined;
  for (const other of ctx.draft.values("instances")) {
    if (other.cohort !== row.cohort || other.ordinal !== row.ordinal || other.leaving || !isMeant(other)) continue;
    if (!heir || other.generation > heir.generation) heir = other;
  }
  return heir;
}

const clock = (atMs: number): string => new Date(atMs).toISOString().slice(0, 19).concat("Z");
