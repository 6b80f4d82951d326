// An App made from a backup: it waits for its Cells' word on what really runs, takes over what it knows, and lets the rest run on.
import type { Result } from "../../contracts/failures.ts";
import type { CellName, InstanceId } from "../../contracts/ids.ts";
import type { CellToApp, Present } from "../messages.ts";
import { refuse } from "../results.ts";
import { appOf, changeApp, changeInstance, type AppContext } from "./context.ts";
import { cellLinkOf } from "./calls.ts";
import { observe } from "./deliver.ts";
import { isReady } from "./instances.ts";
import { slotKey } from "./policy.ts";
import { targetsOf } from "./split.ts";
import type { AppEvent, InstanceRow } from "./types.ts";

type Restored = Extract<CellToApp, { kind: "restored" }>;

/** Whether it still waits. A Cell that says nothing for so long was not restored: what was there is taken for lost. */
export function isRestoring(ctx: AppContext): boolean {
  const { restoring } = appOf(ctx);
  if (!restoring) return false;
  if (ctx.nowMs < restoring.untilMs) {
    ctx.wakeBy(restoring.untilMs);
    return true;
  }
  for (const row of [...ctx.draft.values("instances")]) {
    if (row.cell && restoring.cells.includes(row.cell) && isPlaced(row)) changeInstance(ctx, row, { nodeGone: true });
  }
  changeApp(ctx, { restoring: null });
  return false;
}

const isPlaced = ({ phase }: InstanceRow): boolean => phase.kind !== "ended" && phase.kind !== "placing";

export function restored(ctx: AppContext, cell: CellName, { present, last }: Restored): void {
  for (const entry of present) takeOver(ctx, cell, entry);
  const { restoring } = appOf(ctx);
  if (!restoring) return;
  const seen = [...restoring.seen, ...present.map(({ desired }) => desired.instance)];
  if (!last) {
    changeApp(ctx, { restoring: { ...restoring, seen } });
    return;
  }
  endMissing(ctx, cell, new Set(seen));
  const cells = restoring.cells.filter((other) => other !== cell);
  changeApp(ctx, { restoring: cells.length === 0 ? null : { ...restoring, cells, seen: [] } });
}

/** Not there any more: stopped since the backup, for good. */
function endMissing(ctx: AppContext, cell: CellName, seen: ReadonlySet<InstanceId>): void {
  for (const row of [...ctx.draft.values("instances")]) {
    if (row.cell !== cell || !isPlaced(row) || seen.has(row.id)) continue;
    changeInstance(ctx, row, { gone: true, phase: { kind: "ended", atMs: ctx.nowMs, as: "lost" } });
  }
}

function takeOver(ctx: AppContext, cell: CellName, entry: Present): void {
  const { desired, placement, observed } = entry;
  const row = ctx.draft.get("instances", desired.instance);
  if (!row) placeAnew(ctx, cell, entry);
  else if (row.phase.kind === "ended" || row.generation !== desired.generation) return letGo(ctx, cell, row.id);
  else if (row.phase.kind === "committing" || row.phase.kind === "placing") {
    changeInstance(ctx, row, { cell, placement, phase: { kind: "running", sinceMs: ctx.nowMs } });
  }
  if (observed) observe(ctx, placement.node, observed);
}

/** Made since the backup. Of a release and a share that this App knows it is one of its own; of any other it runs on unasked. */
function placeAnew(ctx: AppContext, cell: CellName, { desired, placement, region }: Present): void {
  const { instance: id, release, version, ordinal, generation } = desired;
  const target = targetsOf(ctx).find((candidate) => candidate.release === release);
  if (!target || desired.job) {
    const { foreign, current } = appOf(ctx);
    const items = [...(foreign?.items ?? []), { cell, instance: id }];
    changeApp(ctx, { foreign: { current: current?.release ?? null, items } });
    return;
  }
  const key = slotKey(ctx, target, ordinal);
  const slot = ctx.draft.get("slots", key) ?? { generation: 0, failures: 0, notBeforeMs: 0 };
  ctx.draft.put("slots", key, { ...slot, generation: Math.max(slot.generation, generation) });
  ctx.draft.put("instances", id, {
    ...{ id, release, version, ordinal, generation, cohort: target.cohort, region, cell, placement },
    phase: { kind: "running", sinceMs: ctx.nowMs },
    ...{ observed: null, nodeGone: false, restarts: 0, crashes: 0, failure: null, routed: true },
    ...{ createdAtMs: ctx.nowMs, startedAtMs: null, readyAtMs: null },
  });
}

/** Told with the next update that it is to go. */
function letGo(ctx: AppContext, cell: CellName, instance: InstanceId): void {
  const link = cellLinkOf(ctx, cell);
  ctx.draft.put("cells", cell, { ...link, strangers: [...(link.strangers ?? []), instance] });
}

/** What ran on goes once something newer serves in place of what the backup knew, or the app is destroyed. */
export function dismissForeign(ctx: AppContext): void {
  const { foreign, current, phase } = appOf(ctx);
  if (!foreign || (phase === "live" && (current?.release ?? null) === foreign.current)) return;
  for (const { cell, instance } of foreign.items) letGo(ctx, cell, instance);
  changeApp(ctx, { foreign: null });
}

/** While others serve that it cannot name, its own route goes out only once that serves in full. */
export function isRouteHeld(ctx: AppContext): boolean {
  const { routeHeld, restoring, foreign, current } = appOf(ctx);
  if (!routeHeld) return false;
  const ready = [...ctx.draft.values("instances")].filter((row) => row.release === current?.release && isReady(row));
  if (restoring || (foreign && ready.length < (current?.replicas ?? 0))) return true;
  changeApp(ctx, { routeHeld: false });
  return false;
}

/** What is asked of it before it knows what runs is asked again a little later; an edge keeps the route that it has. */
export function refusalWhileRestoring(ctx: AppContext, kind: AppEvent["kind"]): Result<never> | null {
  // Before `create` there is none.
  const { restoring, routeHeld } = ctx.draft.get("app", "app") ?? {};
  const asks = kind === "route" ? restoring || routeHeld : restoring && WRITES.has(kind);
  return asks ? refuse("overloaded", "The app is being restored from a backup; try again in a few seconds.") : null;
}

const WRITES: ReadonlySet<AppEvent["kind"]> = new Set([
  "acceptRelease",
  "rollback",
  "scale",
  "restart",
  "changeEnvironment",
  "controlRollout",
  "setTraffic",
  "setMaintenance",
  "destroy",
  "reportUnreachable",
] as const);
