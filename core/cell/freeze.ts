// Mass silence: when many nodes fall silent at once while gateways still answer, it is us, and nothing is rescheduled.
import { beatOf, cellOf, emit, type CellContext } from "./context.ts";
import type { NodeRow } from "./types.ts";

interface Tally {
  nodes: number;
  /** Suspect, unreachable or lost; `fresh` of them since less than silenceWindowMs. */
  silent: number;
  fresh: number;
  /** Silent, but their gateways answer. */
  answering: number;
  /** About to be given up although nobody could be asked about them: whoever asks is broken too. */
  unasked: number;
}

/** A node that is silent, and for how long. */
export interface Silent {
  readonly node: NodeRow;
  readonly silentMs: number;
}

/**
 * Whether rescheduling is frozen after this look. It begins when at least silentNodesMin nodes, and more than
 * silentSharePercent of the cell, fell silent within silenceWindowMs while a gateway among them answers, or none
 * of them could be asked. It ends when fewer
 * are silent or no gateway answers any more, and at the latest after freezeMaxMs: what does not answer then is given up.
 * It needs no wake-up of its own: while it lasts, silent nodes are asked about every few seconds.
 */
export function watchFreeze(ctx: CellContext, silent: readonly Silent[]): boolean {
  const cell = cellOf(ctx);
  const sinceMs = cell?.frozenSinceMs ?? null;
  if (!cell || (sinceMs === null && silent.length === 0)) return false;
  const tally = { ...tallyOf(ctx), unasked: silent.filter((entry) => isUnasked(ctx, entry)).length };
  if (sinceMs === null) {
    if (!isMass(ctx, tally, tally.fresh)) return false;
    ctx.draft.put("cell", "cell", { ...cell, frozenSinceMs: ctx.nowMs });
    emit(ctx, { type: "cell.frozen", subject: cell.cell, data: { ...tally } });
    return true;
  }
  const overdue = ctx.nowMs >= sinceMs + ctx.limits.freezeMaxMs;
  // After a restart or a lag nobody is suspect yet: too early to say that it is over.
  const listening = ctx.nowMs >= ctx.windowsFromMs + ctx.limits.leaseTtlMs;
  if (!overdue && (!listening || isMass(ctx, tally, tally.silent))) return true;
  ctx.draft.put("cell", "cell", { ...cell, frozenSinceMs: null });
  const reason = overdue ? "it lasted too long" : isDead(tally) ? "no silent gateway answers" : "nodes are back";
  emit(ctx, { type: "cell.thawed", subject: cell.cell, data: { ...tally, frozenMs: ctx.nowMs - sinceMs, reason } });
  return false;
}

const isDead = ({ answering, unasked }: Tally): boolean => answering + unasked === 0;

const isUnasked = (ctx: CellContext, { node, silentMs }: Silent): boolean =>
  node.phase === "ready" && silentMs >= ctx.limits.leaseTtlMs && beatOf(ctx, node.id).probesFailed === 0;

function isMass(ctx: CellContext, tally: Tally, silent: number): boolean {
  const share = (100 * silent) / Math.max(1, tally.nodes);
  return !isDead(tally) && silent >= ctx.limits.silentNodesMin && share > ctx.limits.silentSharePercent;
}

function tallyOf(ctx: CellContext): Omit<Tally, "unasked"> {
  const tally = { nodes: 0, silent: 0, fresh: 0, answering: 0 };
  for (const node of ctx.draft.values("nodes")) {
    if (node.phase === "removed" || node.phase === "enrolled") continue;
    tally.nodes += 1;
    const sinceMs = silentPhaseSinceMs(ctx, node);
    if (sinceMs === null) continue;
    tally.silent += 1;
    if (ctx.nowMs - sinceMs <= ctx.limits.silenceWindowMs) tally.fresh += 1;
    if (node.phase === "unreachable" && beatOf(ctx, node.id).probesFailed < 2) tally.answering += 1;
  }
  return tally;
}

const silentPhaseSinceMs = (ctx: CellContext, node: NodeRow): number | null =>
  node.phase === "ready" ? beatOf(ctx, node.id).suspectSinceMs : node.phaseSinceMs;
