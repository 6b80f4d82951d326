// Finds room: asks the cells of each region, one call per cell for all slots, the next cell for what was refused.
import type { CellName, RegionName } from "../../contracts/ids.ts";
import { rankOf } from "../random.ts";
import { mergeRefusals } from "../placement/refusal.ts";
import type { CellSummary, Occupied, ReserveAnswer, ReserveRequest } from "../messages.ts";
import { changeInstance, emit, appOf, type AppContext } from "./context.ts";
import { openCall } from "./calls.ts";
import { isMeant } from "./instances.ts";
import { policyOf } from "./policy.ts";
import { imageOf } from "./releases.ts";
import { hurryDrains, instancesBeingReserved } from "./reconcile.ts";
import type { InstanceRow } from "./types.ts";
import { instanceView } from "./views.ts";

type PlacingRow = InstanceRow & { phase: Extract<InstanceRow["phase"], { kind: "placing" }> };
const isPlacing = (row: InstanceRow): row is PlacingRow => row.phase.kind === "placing";

export function findRoom(ctx: AppContext): void {
  const reserving = instancesBeingReserved(ctx);
  const asks = new Map<CellName, PlacingRow[]>();
  const looking = [...ctx.draft.values("instances")].filter(isPlacing).filter((row) => !reserving.has(row.id));
  for (let row = looking.shift(); row; row = looking.shift()) {
    if (row.phase.retryAtMs > ctx.nowMs) {
      ctx.wakeBy(row.phase.retryAtMs);
      continue;
    }
    const region = ctx.draft.get("regions", row.region);
    if (!region) {
      askRegion(ctx, row.region);
      if (isSilent(ctx, row.region)) looking.push(...refusedEverywhere(ctx, row));
      continue;
    }
    const stale = ctx.nowMs - region.atMs >= ctx.limits.cellsFreshMs;
    if (stale) askRegion(ctx, row.region);
    const { refused } = row.phase;
    const cell = cellsInOrder(ctx, region.cells).find((name) => !refused.includes(name));
    if (cell) asks.set(cell, [...(asks.get(cell) ?? []), row]);
    // An old list without a cell proves nothing: the new one is on its way.
    else if (stale && refused.length === 0) continue;
    else looking.push(...refusedEverywhere(ctx, row));
  }
  for (const [cell, rows] of asks) reserve(ctx, cell, rows);
}

/** Emptiest first, those without a ready node last; equal ones by chance. */
function cellsInOrder(ctx: AppContext, cells: readonly CellSummary[]): CellName[] {
  const share = (cell: CellSummary): number =>
    cell.readyNodes === 0 ? -1 : Math.round((20 * cell.free.memoryBytes) / Math.max(1, cell.capacity.memoryBytes));
  return [...cells]
    .sort((a, b) => share(b) - share(a) || rankOf(ctx.at.seed, a.cell) - rankOf(ctx.at.seed, b.cell))
    .map(({ cell }) => cell);
}

/** A Region that does not answer is passed over for the app's next one, if it has one. */
const isSilent = (ctx: AppContext, region: RegionName): boolean =>
  appOf(ctx).regions.length > 1 && ctx.attempts.tries(regionAttempt(region)) > ctx.limits.reserveTriesMax;

const regionAttempt = (region: RegionName): string => `region:${region}`;

export function askRegion(ctx: AppContext, region: RegionName): void {
  const key = regionAttempt(region);
  ctx.wanted.add(key);
  if (!ctx.attempts.claim(key, ctx.limits.callRetryMs, ctx.limits.callRetryMaxMs)) return;
  ctx.effects.push({ kind: "ask_region", region });
}

function reserve(ctx: AppContext, cell: CellName, rows: readonly PlacingRow[]): void {
  const cohorts = new Set(rows.map((row) => row.cohort));
  const occupied: Occupied[] = [];
  for (const row of ctx.draft.values("instances")) {
    // Who is to leave takes nobody's place: its own replacement may go next door.
    if (!row.placement || !cohorts.has(row.cohort) || !isMeant(row) || row.nodeGone || row.leaving) continue;
    occupied.push({ failureDomain: row.placement.failureDomain, node: row.placement.node });
  }
  const slots: ReserveRequest["slots"][number][] = [];
  let leaseMs: number = ctx.limits.reservationLeaseMs;
  for (const row of rows) {
    const { id, generation, ordinal } = row;
    const kept = ctx.draft.get("releases", row.release);
    if (!kept) continue;
    const { spec } = kept.release;
    const runtimes = spec.source.kind === "image" ? (["docker"] as const) : (["docker", "process"] as const);
    const placement = policyOf(spec);
    const image = imageOf(kept);
    const avoid = [...new Set([...(row.avoid ?? []), ...(row.avoidAtFirst ?? [])])];
    slots.push({ instance: id, generation, ordinal, resources: spec.resources, runtimes, placement, image, avoid });
    // A singleton's room is held until the one before it is known to be stopped.
    if (placement.singleton) leaseMs = Math.max(leaseMs, ctx.limits.reservationLeaseMs + spec.stopGraceMs);
  }
  const { app, team, name: appName } = appOf(ctx);
  openCall(ctx, cell, (key) => ({ kind: "reserve", request: { key, app, team, appName, leaseMs, occupied, slots } }));
}

/** answer null: the cell takes no part, as if it had no nodes. */
export function reserved(ctx: AppContext, cell: CellName, request: ReserveRequest, answer: ReserveAnswer | null): void {
  const granted = new Map(answer?.placements.map((placement) => [placement.instance, placement]));
  const refusals = new Map(answer?.refused.map(({ instance, refusal }) => [instance, refusal]));
  for (const { instance, generation } of request.slots) {
    const row = ctx.draft.get("instances", instance);
    if (!row || row.generation !== generation) continue;
    const placement = granted.get(instance);
    if (placement && isPlacing(row)) {
      const phase = { kind: "committing", sinceMs: ctx.nowMs } as const;
      const placed = changeInstance(ctx, row, { cell, placement, phase });
      emit(ctx, { type: "instance.placed", subject: row.id, data: { instance: instanceView(ctx, placed) } });
    } else if (placement && row.phase.kind === "stopping") {
      changeInstance(ctx, row, { cell, placement }); // Its room is given back with the next update.
    } else if (!placement && isPlacing(row)) {
      const fresh = refusals.get(instance) ?? { nodesTotal: 0, constraints: [] };
      const isFirst = row.phase.refused.length + (row.phase.regionsTried?.length ?? 0) === 0;
      const before = isFirst ? null : row.phase.refusal;
      const refused = [...row.phase.refused, cell];
      changeInstance(ctx, row, { phase: { ...row.phase, refused, refusal: mergeRefusals(before, fresh) } });
    }
  }
}

/**
 * Every cell of its region refused it: then the app's other regions are asked, then the nodes on which it failed before (better
 * than none). Answers what is to look further at once; with nobody left to ask it waits.
 */
function refusedEverywhere(ctx: AppContext, row: PlacingRow): PlacingRow[] {
  const { tries, refusedSinceMs } = row.phase;
  const { regions } = appOf(ctx);
  const home = regions[row.ordinal % regions.length] ?? row.region;
  const tried = [...(row.phase.regionsTried ?? []), row.region];
  const region = regions.find((name) => !tried.includes(name));
  if (region) {
    const phase = { ...row.phase, refused: [], regionsTried: tried };
    return [changeInstance(ctx, row, { region, phase }) as PlacingRow];
  }
  if (row.avoidAtFirst?.length) {
    const phase = { ...row.phase, refused: [], refusal: null, regionsTried: [] };
    return [changeInstance(ctx, row, { region: home, avoidAtFirst: [], phase }) as PlacingRow];
  }
  const refusal = row.phase.refusal ?? { nodesTotal: 0, constraints: [] };
  const { placementRetryMs, placementRetryMaxMs } = ctx.limits;
  const retryAtMs = ctx.nowMs + Math.min(placementRetryMaxMs, placementRetryMs * 2 ** Math.min(tries, 10));
  const since = refusedSinceMs ?? ctx.nowMs;
  changeInstance(ctx, row, {
    region: home,
    phase: { kind: "placing", refused: [], refusal, refusedSinceMs: since, retryAtMs, tries: tries + 1 },
  });
  ctx.wakeBy(retryAtMs);
  askRegionIfStale(ctx, row.region);
  hurryDrains(ctx);
  if (refusedSinceMs === null) {
    // A rollout need not wait for what cannot come.
    if (refusal.impossible) ctx.wakeBy(ctx.nowMs);
    const data = { ordinal: row.ordinal, refusal, version: row.version };
    emit(ctx, { type: "placement.refused", subject: row.id, data });
  }
  return [];
}

function askRegionIfStale(ctx: AppContext, region: RegionName): void {
  const known = ctx.draft.get("regions", region);
  if (!known || known.cells.length === 0 || ctx.nowMs - known.atMs >= ctx.limits.placementRetryMs)
    askRegion(ctx, region);
}
