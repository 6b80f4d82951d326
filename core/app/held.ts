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
  const leavers = [...ctx.draft.values("instances")].filter((row) => isOrdered(row) && isThere(row));
  if (leavers.length === 0) return held;
  const heirs = heirsOf(ctx);
  for (const row of leavers) {
    const list = held.get(row.cell!) ?? [];
    list.push({ instance: row.id, reason: reasonOf(ctx, row, heirs.get(slotOf(row))) });
    held.set(row.cell!, list);
  }
  return held;
}

const isThere = ({ cell, phase }: InstanceRow): boolean =>
  cell !== null && phase.kind !== "stopping" && phase.kind !== "ended";

function reasonOf(ctx: AppContext, row: InstanceRow, heir: InstanceRow | undefined): string {
  if (row.phase.kind === "draining") return `serves out its drain until ${clock(row.phase.untilMs)}`;
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

/** Of each slot that somebody is to leave: the newest that is to have it. */
function heirsOf(ctx: AppContext): Map<string, InstanceRow> {
  const heirs = new Map<string, InstanceRow>();
  for (const row of ctx.draft.values("instances")) {
    if (row.leaving || !isMeant(row)) continue;
    const known = heirs.get(slotOf(row));
    if (!known || row.generation > known.generation) heirs.set(slotOf(row), row);
  }
  return heirs;
}

const slotOf = ({ cohort, ordinal }: InstanceRow): string => `${cohort}/${ordinal}`;

const clock = (atMs: number): string => new Date(atMs).toISOString().slice(0, 19).concat("Z");
