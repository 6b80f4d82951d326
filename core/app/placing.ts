// Finds room: asks the cells of each region, one call per cell for all slots, the next cell for what was refused.
import type { CellName, NodeId, RegionName } from "../../contracts/ids.ts";
import { refusalText } from "../../contracts/refusal-text.ts";
import { mergeRefusals, noSuchRegion } from "../placement/refusal.ts";
import type { Occupied, Placement, ReserveAnswer, ReserveRequest } from "../messages.ts";
import { askInTurn, askRegion, chooseCells, occupiedBy, regionAttempt, slotOf } from "./cells.ts";
import { activeRollout, changeInstance, emit, appOf, type AppContext } from "./context.ts";
import { openCall } from "./calls.ts";
import { stop } from "./instances.ts";
import { originKey } from "./origins.ts";
import { heldFor, policyOf } from "./policy.ts";
import { hurryDrains, instancesBeingReserved } from "./reconcile.ts";
import { inCaseOf, tellPlaced } from "./standby.ts";
import type { InstanceRow, PlacingRow } from "./types.ts";

const isPlacing = (row: InstanceRow): row is PlacingRow => row.phase.kind === "placing";

/** What one cell is asked for, and where other cells are asked to put siblings at the same time. */
interface Asking {
  readonly cell: CellName;
  readonly rows: PlacingRow[];
  readonly cohort: string;
}

export function findRoom(ctx: AppContext): void {
  const reserving = instancesBeingReserved(ctx);
  const asks = new Map<string, Asking>();
  const planned: { readonly cell: CellName; readonly cohort: string; readonly occupied: Occupied }[] = [];
  let looking = [...ctx.draft.values("instances")].filter(isPlacing).filter((row) => !reserving.has(row.id));
  while (looking.length > 0) {
    const next: PlacingRow[] = [];
    for (const rows of alike(due(ctx, looking))) {
      const region = ctx.draft.get("regions", rows[0]!.region);
      if (!region) {
        askRegion(ctx, rows[0]!.region);
        if (isSilent(ctx, rows[0]!.region)) for (const row of rows) next.push(...refusedEverywhere(ctx, row));
        continue;
      }
      const choices = chooseCells(ctx, region, rows);
      for (const row of rows) {
        const choice = choices.get(row.id)!;
        if (choice.kind === "nobody") next.push(...refusedEverywhere(ctx, row));
        if (choice.kind !== "ask") continue;
        const { cell, failureDomain } = choice;
        const { cohort, ordinal } = row;
        const key = `${cell} ${cohort}`;
        const asking = asks.get(key);
        if (asking) asking.rows.push(row);
        else asks.set(key, { cell, rows: [row], cohort });
        if (failureDomain) planned.push({ cell, cohort, occupied: { failureDomain, node: "" as NodeId, ordinal } });
      }
    }
    looking = next;
  }
  for (const asking of asks.values()) {
    const elsewhere = planned.filter(({ cell, cohort }) => cell !== asking.cell && cohort === asking.cohort);
    reserve(
      ctx,
      asking,
      elsewhere.map(({ occupied }) => occupied),
    );
  }
}

function due(ctx: AppContext, rows: readonly PlacingRow[]): PlacingRow[] {
  return rows.filter((row) => {
    if (row.phase.retryAtMs > ctx.nowMs) ctx.wakeBy(row.phase.retryAtMs);
    return row.phase.retryAtMs <= ctx.nowMs;
  });
}

/** Rows that may be planned together: of one cohort and origin, in one region, refused by the same cells. */
function alike(rows: readonly PlacingRow[]): Iterable<PlacingRow[]> {
  const groups = new Map<string, PlacingRow[]>();
  for (const row of rows) {
    const key = `${row.region} ${row.cohort} ${originKey(row)} ${row.phase.refused.join()}`;
    const group = groups.get(key);
    if (group) group.push(row);
    else groups.set(key, [row]);
  }
  return groups.values();
}

/** A Region that does not answer is passed over for the app's next one, if it has one. */
const isSilent = (ctx: AppContext, region: RegionName): boolean =>
  appOf(ctx).regions.length > 1 && ctx.attempts.tries(regionAttempt(region)) > ctx.limits.reserveTriesMax;

function reserve(ctx: AppContext, { cell, rows }: Asking, elsewhere: readonly Occupied[]): void {
  const occupied = [...occupiedBy(ctx, rows), ...elsewhere];
  const slots = rows.flatMap((row) => slotOf(ctx, row) ?? []);
  const leaseMs = Math.max(...rows.map((row) => leaseMsOf(ctx, row)));
  const { app, team, name: appName } = appOf(ctx);
  openCall(ctx, cell, (key) => ({ kind: "reserve", request: { key, app, team, appName, leaseMs, occupied, slots } }));
}

/**
 * A singleton's room is held until the one before it is known to be stopped; what stands in, until the silent node is heard or
 * called lost. Where that takes longer (a Cell that lags starts its windows anew), the refused commit asks for room anew.
 */
function leaseMsOf(ctx: AppContext, row: InstanceRow): number {
  const { reservationLeaseMs, leaseTtlMs, strictReplaceMs } = ctx.limits;
  const spec = ctx.draft.get("releases", row.release)?.release.spec;
  const singleton = spec?.placement?.singleton;
  if (heldFor(ctx, row)) return reservationLeaseMs + (singleton ? strictReplaceMs : leaseTtlMs);
  return reservationLeaseMs + (singleton ? (spec?.stopGraceMs ?? 0) : 0);
}

/** answer null: the cell takes no part, as if it had no nodes. */
export function reserved(ctx: AppContext, cell: CellName, request: ReserveRequest, answer: ReserveAnswer | null): void {
  const granted = new Map(answer?.placements.map((placement) => [placement.instance, placement]));
  const refusals = new Map(answer?.refused.map(({ instance, refusal }) => [instance, refusal]));
  for (const { instance, generation } of request.slots) {
    const row = ctx.draft.get("instances", instance);
    if (!row || row.generation !== generation) continue;
    const placement = granted.get(instance);
    if (placement && isPlacing(row) && isCrowded(ctx, row, placement)) {
      // Given back with the next update; its slot asks again, and says where the sibling is.
      stop(ctx, changeInstance(ctx, row, { cell, placement }), "stopped");
    } else if (placement && isPlacing(row)) {
      const phase = { kind: "committing", sinceMs: ctx.nowMs } as const;
      const placed = changeInstance(ctx, row, { cell, placement, phase });
      tellPlaced(ctx, placed);
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

/** Two calls of one cohort that were out at once, each granted what must not be shared: neither cell knew of the other's. */
function isCrowded(ctx: AppContext, row: PlacingRow, { failureDomain, node }: Placement): boolean {
  const spec = ctx.draft.get("releases", row.release)?.release.spec;
  if (!spec) return false;
  const { failureDomains, nodes } = policyOf(spec);
  if (failureDomains !== "required" && nodes !== "required") return false;
  // Whoever has its own slot goes when it comes.
  const others = occupiedBy(ctx, [row]).filter(({ ordinal }) => ordinal !== row.ordinal);
  return others.some(
    (taken) =>
      (failureDomains === "required" && taken.failureDomain === failureDomain) ||
      (nodes === "required" && taken.node === node),
  );
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
  const refusal = row.phase.refusal ?? noSuchRegion(regions);
  const { placementRetryMs, placementRetryMaxMs } = ctx.limits;
  const retryAtMs = ctx.nowMs + Math.min(placementRetryMaxMs, placementRetryMs * 2 ** Math.min(tries, 10));
  const since = refusedSinceMs ?? ctx.nowMs;
  changeInstance(ctx, row, {
    region: home,
    phase: { kind: "placing", refused: [], refusal, refusedSinceMs: since, retryAtMs, tries: tries + 1 },
  });
  ctx.wakeBy(retryAtMs);
  askRegionIfStale(ctx, row);
  const held = heldFor(ctx, row);
  if (!held) hurryDrains(ctx);
  if (refusedSinceMs === null) {
    // A rollout need not wait for what cannot come.
    if (refusal.impossible) ctx.wakeBy(ctx.nowMs);
    const data = {
      ordinal: row.ordinal,
      refusal,
      message: refusalText(refusal),
      version: row.version,
      ...roomless(ctx, row),
      ...(held ? inCaseOf(held) : {}),
    };
    emit(ctx, { type: "placement.refused", subject: row.id, data });
  }
  return [];
}

function askRegionIfStale(ctx: AppContext, row: InstanceRow): void {
  const known = ctx.draft.get("regions", row.region);
  if (!known || known.cells.length === 0) askRegion(ctx, row.region);
  else if (ctx.nowMs - known.atMs >= ctx.limits.placementRetryMs) askInTurn(ctx, row);
}

/** How many instances beside it have found no room either, of how many. */
function roomless(ctx: AppContext, { cohort }: InstanceRow): { waiting: number; replicas: number } {
  let waiting = 0;
  for (const { cohort: other, phase } of ctx.draft.values("instances")) {
    if (other === cohort && phase.kind === "placing" && phase.refusedSinceMs !== null) waiting += 1;
  }
  const target = [activeRollout(ctx)?.to, appOf(ctx).current].find((to) => to?.cohort === cohort);
  return { waiting, replicas: target?.replicas ?? waiting };
}
