// Which cell each slot is asked for: where it fits best by what the Region said; and, as that may be old, any other in turn.
import type { CellName, InstanceId, RegionName } from "../../contracts/ids.ts";
import { cellChoice, withRoomFor, type Planned } from "../placement/choose-cell.ts";
import { rankOf } from "../random.ts";
import type { CellSummary, Occupied, ReserveSlot } from "../messages.ts";
import { appOf, type AppContext } from "./context.ts";
import { isMeant } from "./instances.ts";
import { policyOf } from "./policy.ts";
import { imageOf } from "./releases.ts";
import type { InstanceRow, RegionRow } from "./types.ts";

export type PlacingRow = InstanceRow & { phase: Extract<InstanceRow["phase"], { kind: "placing" }> };

/** ask: this cell. wait: for what the Region says next. nobody: every cell it knows has refused. */
export type Choice =
  | { readonly kind: "ask"; readonly cell: CellName; readonly failureDomain: string | null }
  | { readonly kind: "wait" }
  | { readonly kind: "nobody" };

/** Of rows of one cohort and region that the same cells have refused. */
export function chooseCells(ctx: AppContext, region: RegionRow, rows: readonly PlacingRow[]): Map<InstanceId, Choice> {
  const refused = rows[0]?.phase.refused ?? [];
  const cells = region.cells.filter(({ cell }) => !refused.includes(cell));
  const planned = planOver(ctx, region.cells, rows);
  const stale = ctx.nowMs - region.atMs >= ctx.limits.cellsFreshMs;
  const choices = new Map<InstanceId, Choice>();
  for (const row of rows) {
    const plan = planned.get(row.id);
    const name = regionAttempt(row.region);
    // A list from before the slot was wanted, without room for it, proves nothing: the new one is a call away.
    const proves = row.phase.refused.length > 0 || row.phase.tries > 0 || region.atMs >= row.createdAtMs;
    const unanswered = ctx.attempts.tries(name) > ctx.limits.reserveTriesMax;
    if (plan) choices.set(row.id, { kind: "ask", cell: plan.cell, failureDomain: plan.failureDomain || null });
    else if ((!proves || (stale && refused.length === 0)) && !unanswered) choices.set(row.id, { kind: "wait" });
    else choices.set(row.id, anyOf(ctx, cells));
  }
  if (stale || [...choices.values()].some(({ kind }) => kind === "wait")) {
    for (const row of rows.slice(0, 1)) askRegion(ctx, row.region);
  }
  return choices;
}

function planOver(
  ctx: AppContext,
  cells: readonly CellSummary[],
  rows: readonly PlacingRow[],
): ReadonlyMap<InstanceId, Planned> {
  const slots = rows.flatMap((row) => slotOf(ctx, row) ?? []);
  const occupied = occupiedBy(ctx, rows);
  const refused = rows[0]?.phase.refused ?? [];
  return cellChoice(withRoomFor(slots, cells), slots.length).plan({ slots, occupied, team: appOf(ctx).team }, refused);
}

/** By what they say none of them has room. The emptiest first, those without a ready node last; equal ones by chance. */
function anyOf(ctx: AppContext, cells: readonly CellSummary[]): Choice {
  const share = (cell: CellSummary): number =>
    cell.readyNodes === 0 ? -1 : Math.round((20 * cell.free.memoryBytes) / Math.max(1, cell.capacity.memoryBytes));
  const [first] = cells.toSorted(
    (a, b) => share(b) - share(a) || rankOf(ctx.at.seed, a.cell) - rankOf(ctx.at.seed, b.cell),
  );
  return first ? { kind: "ask", cell: first.cell, failureDomain: null } : { kind: "nobody" };
}

/** null: its release is no longer kept. */
export function slotOf(ctx: AppContext, row: InstanceRow): ReserveSlot | null {
  const kept = ctx.draft.get("releases", row.release);
  if (!kept) return null;
  const { spec } = kept.release;
  return {
    instance: row.id,
    generation: row.generation,
    ordinal: row.ordinal,
    resources: spec.resources,
    runtimes: spec.source.kind === "image" ? ["docker"] : ["docker", "process"],
    placement: policyOf(spec),
    image: imageOf(kept),
    avoid: [...new Set([...(row.avoid ?? []), ...(row.avoidAtFirst ?? [])])],
  };
}

/**
 * Where the instances of these rows' cohorts are. Who is to leave, or was lost, takes nobody's place: its replacement may go
 * next door. But where nothing may be shared both count until they have gone, because both may yet stay.
 */
export function occupiedBy(ctx: AppContext, rows: readonly PlacingRow[]): Occupied[] {
  const cohorts = new Set(rows.map((row) => row.cohort));
  const occupied: Occupied[] = [];
  for (const row of ctx.draft.values("instances")) {
    if (!row.placement || !cohorts.has(row.cohort) || !isMeant(row)) continue;
    if ((row.nodeGone || row.leaving) && !sharesNothing(ctx, row)) continue;
    const { failureDomain, node } = row.placement;
    occupied.push({ failureDomain, node, ordinal: row.ordinal });
  }
  return occupied;
}

function sharesNothing(ctx: AppContext, { release }: InstanceRow): boolean {
  const spec = ctx.draft.get("releases", release)?.release.spec;
  if (!spec) return false;
  const { failureDomains, nodes } = policyOf(spec);
  return failureDomains === "required" || nodes === "required";
}

export const regionAttempt = (region: RegionName): string => `region:${region}`;

export function askRegion(ctx: AppContext, region: RegionName): void {
  const key = regionAttempt(region);
  ctx.wanted.add(key);
  if (!ctx.attempts.claim(key, ctx.limits.callRetryMs, ctx.limits.callRetryMaxMs)) return;
  ctx.effects.push({ kind: "ask_region", region });
}
