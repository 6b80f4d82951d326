// Which cell each slot is asked for: where it fits best by what the Region said; and, as that may be old, any other in turn.
import type { CellName, InstanceId, NodeId, RegionName } from "../../contracts/ids.ts";
import { cellChoice, withRoomFor, type Planned } from "../placement/choose-cell.ts";
import { rankOf } from "../random.ts";
import type { CellSummary, Occupied, ReserveSlot } from "../messages.ts";
import { appOf, type AppContext } from "./context.ts";
import { isMeant } from "./instances.ts";
import { plannedCell, searchLists, shareOfApp } from "./origins.ts";
import { policyOf } from "./policy.ts";
import { imageOf } from "./releases.ts";
import type { InstanceRow, PlacingRow, RegionRow } from "./types.ts";

/** ask: this cell. wait: for what the Region says next. nobody: every cell it knows has refused. */
export type Choice =
  | { readonly kind: "ask"; readonly cell: CellName; readonly failureDomain: string | null }
  | { readonly kind: "wait" }
  | { readonly kind: "nobody" };

/** Of rows of one cohort, origin and region that the same cells have refused. */
export function chooseCells(ctx: AppContext, region: RegionRow, rows: readonly PlacingRow[]): Map<InstanceId, Choice> {
  const refused = rows[0]?.phase.refused ?? [];
  const cells = region.cells.filter(({ cell }) => !refused.includes(cell));
  const planned = planOver(ctx, region.cells, rows);
  const stale = ctx.nowMs - region.atMs >= ctx.limits.cellsFreshMs * (1 + shareOfApp(ctx));
  const choices = new Map<InstanceId, Choice>();
  for (const row of rows) {
    const plan = planned.get(row.id);
    if (plan) choices.set(row.id, { kind: "ask", cell: plan.cell, failureDomain: plan.failureDomain || null });
    else choices.set(row.id, mayWait(ctx, region, row, stale) ? { kind: "wait" } : anyOf(ctx, cells));
  }
  const waits = [...choices.values()].some(({ kind }) => kind === "wait");
  for (const row of rows.slice(0, 1)) {
    if (waits) askRegion(ctx, row.region);
    else if (stale) askInTurn(ctx, row);
  }
  return choices;
}

/** A list from before the slot was wanted, without room for it, proves nothing: the new one is a call away. */
function mayWait(ctx: AppContext, region: RegionRow, row: PlacingRow, stale: boolean): boolean {
  // Where many ask at once the call may take seconds, and the other cells can be asked meanwhile.
  if (row.origin?.kind === "lost" && region.cells.length > 1) return false;
  const { refused, tries } = row.phase;
  const proves = refused.length > 0 || tries > 0 || region.atMs >= row.createdAtMs;
  const unanswered = ctx.attempts.tries(regionAttempt(row.region)) > ctx.limits.reserveTriesMax;
  return (!proves || (stale && refused.length === 0)) && !unanswered;
}

/** For a newer list. Whoever replaces what was lost has company in that: it asks at a moment of its own, if it still looks then. */
export function askInTurn(ctx: AppContext, { origin, createdAtMs, region }: InstanceRow): void {
  const atMs = origin?.kind === "lost" ? createdAtMs + shareOfApp(ctx) * ctx.limits.lostAskSpreadMs : ctx.nowMs;
  if (atMs <= ctx.nowMs) askRegion(ctx, region);
  else ctx.wakeBy(atMs);
}

function planOver(
  ctx: AppContext,
  cells: readonly CellSummary[],
  rows: readonly PlacingRow[],
): ReadonlyMap<InstanceId, Planned> {
  const refused = rows[0]?.phase.refused ?? [];
  const origin = rows[0]?.origin ?? null;
  const { team } = appOf(ctx);
  const planned = new Map<InstanceId, Planned>();
  let occupied = occupiedBy(ctx, rows);
  for (const row of rows) {
    const cell = plannedCell(row, cells);
    if (cell) planned.set(row.id, { cell, failureDomain: "" });
  }
  let slots = rows.flatMap((row) => (planned.has(row.id) ? [] : (slotOf(ctx, row) ?? [])));
  for (const list of searchLists(ctx, { cells, slots, occupied, origin })) {
    if (slots.length === 0) break;
    const found = cellChoice(withRoomFor(slots, list), slots.length).plan({ slots, occupied, team }, refused);
    const left: ReserveSlot[] = [];
    for (const [at, slot] of slots.entries()) {
      const plan = found[at];
      if (plan) {
        planned.set(slot.instance, plan);
        const { failureDomain } = plan;
        occupied = [...occupied, { failureDomain, node: "" as NodeId, ordinal: slot.ordinal }];
      } else left.push(slot);
    }
    slots = left;
  }
  return planned;
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
    placement: row.job ? { ...policyOf(spec), hostPorts: [], singleton: undefined } : policyOf(spec),
    image: imageOf(kept),
    ...(spec.runtimeClass ? { runtimeClass: spec.runtimeClass } : {}),
    ...(row.job ? { job: true } : {}),
    avoid: [...new Set([...(row.avoid ?? []), ...(row.avoidAtFirst ?? [])])],
    ...(row.origin?.kind === "rebalance" && row.origin.to ? { prefer: row.origin.to } : {}),
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
