// Where the replacement of an instance looks for room first. A rebalance's has its place planned. After a mass failure thousands of Apps look at once, with lists
// that are equally old: each begins where it was, then at a few cells by chance, and none waits for the Region.
import type { CellName } from "../../contracts/ids.ts";
import { withRoomFor } from "../placement/choose-cell.ts";
import { rankOf } from "../random.ts";
import type { CellSummary, Occupied, ReserveSlot } from "../messages.ts";
import { appOf, type AppContext } from "./context.ts";
import type { InstanceRow, Origin, PlacingRow } from "./types.ts";

/** group: what has the slot, oldest first. Null where nothing of it is lost, or may be, or is moved by a rebalance. */
export function originOf(group: readonly InstanceRow[]): Origin | null {
  const lost = group.findLast((row) => row.placement && (row.nodeGone || row.suspect));
  if (lost?.placement && lost.cell) {
    return { kind: "lost", cell: lost.cell, failureDomain: lost.placement.failureDomain };
  }
  const moved = group.findLast((row) => row.leaving?.cause === "rebalance");
  return moved?.cell ? { kind: "rebalance", cell: moved.cell, to: moved.leaving?.to ?? null } : null;
}

/** A rebalance planned its moves within the cell, and knows the cell better than any list: it is asked whatever they show. */
export function plannedCell({ origin, phase }: PlacingRow, cells: readonly CellSummary[]): CellName | null {
  if (origin?.kind !== "rebalance" || phase.refused.includes(origin.cell)) return null;
  return cells.some(({ cell }) => cell === origin.cell) ? origin.cell : null;
}

/** Rows with equal keys look in the same places. */
export const originKey = ({ origin }: InstanceRow): string => (origin ? Object.values(origin).join() : "");

interface Looking {
  readonly cells: readonly CellSummary[];
  readonly slots: readonly ReserveSlot[];
  /** Where their siblings are. */
  readonly occupied: readonly Occupied[];
  readonly origin: Origin | null;
}

/** What to look through, one after the other, for slots of one origin; all that is known comes last. */
export function searchLists(ctx: AppContext, looking: Looking): (readonly CellSummary[])[] {
  const { cells, slots, occupied, origin } = looking;
  if (origin?.kind !== "lost") return [cells];
  // What happened to its rack may be about to happen to all of it.
  const standing = cells.map((summary) => withoutRacks(summary, [origin.failureDomain]));
  const racks = occupied.map(({ failureDomain }) => failureDomain);
  const home = standing.filter(({ cell }) => cell === origin.cell).map((summary) => withoutRacks(summary, racks));
  const roomy = withRoomFor(slots, standing).filter(hasRoom);
  const ranked = roomy.map((summary) => ({ summary, rank: rankOf(ctx.at.seed, summary.cell) }));
  ranked.sort((a, b) => a.rank - b.rank);
  const some = ranked.slice(0, ctx.limits.lostCellsAtFirst).map(({ summary }) => summary);
  return [home, some, cells];
}

function withoutRacks(summary: CellSummary, racks: readonly string[]): CellSummary {
  const { kinds } = summary;
  if (!kinds?.some(({ failureDomain }) => racks.includes(failureDomain))) return summary;
  return { ...summary, kinds: kinds.filter(({ failureDomain }) => !racks.includes(failureDomain)) };
}

const hasRoom = ({ readyNodes, kinds }: CellSummary): boolean =>
  kinds ? kinds.some(({ rooms }) => rooms.length > 0) : readyNodes > 0;

/** Of this App alone, at least 0 and below 1: what many do for one reason they do not all do at the same moment. */
export const shareOfApp = (ctx: AppContext): number => rankOf("00000000", appOf(ctx).app) / 2 ** 32;
