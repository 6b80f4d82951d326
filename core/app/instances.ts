// The life of one instance in control state: made for a slot, retired gently or at once, ended for good.
import type { CellName, InstanceId, NodeId, RegionName } from "../../contracts/ids.ts";
import type { Target } from "../rollout/types.ts";
import { appOf, changeInstance, emit, type AppContext } from "./context.ts";
import { isSingleton, slotKey } from "./policy.ts";
import type { InstanceEnd, InstanceRow, Origin } from "./types.ts";
import { instanceView } from "./views.ts";

/** Reported ready by a node that is believed in, in the generation that its document names (invariant 7). */
export const isReady = (row: InstanceRow): boolean =>
  row.phase.kind === "running" && !row.nodeGone && row.observed?.kind === "ready";

/** Meant to run: on its way, or there. */
export const isMeant = (row: InstanceRow): boolean =>
  row.phase.kind === "placing" || row.phase.kind === "committing" || row.phase.kind === "running";

/** Will not serve again by itself. */
export const isBroken = (row: InstanceRow): boolean =>
  row.phase.kind === "running" && (row.observed?.kind === "failed" || row.observed?.kind === "stopped");

/** avoid: nodes that it must not go to. passedOver: cells that are not asked in the first round. standsInFor: standby.ts. origin: origins.ts. */
interface Where {
  readonly avoid?: readonly NodeId[];
  readonly passedOver?: readonly CellName[];
  readonly standsInFor?: InstanceId | null;
  readonly origin?: Origin | null;
}

/** A new instance of the slot, one generation above all before it. Its regions are taken in turn by ordinal. */
export function createInstance(ctx: AppContext, target: Target, ordinal: number, where: Where = {}): InstanceRow {
  const { regions } = appOf(ctx);
  const key = slotKey(ctx, target, ordinal);
  const slot = ctx.draft.get("slots", key) ?? { generation: 0, failures: 0, notBeforeMs: 0 };
  const generation = slot.generation + 1;
  const failedOn = (slot.failedOn ?? []).filter(({ atMs }) => atMs + ctx.limits.failedNodeMs > ctx.nowMs);
  ctx.draft.put("slots", key, { ...slot, generation, failedOn });
  const refused = where.passedOver ?? [];
  const row: InstanceRow = {
    id: ctx.mint<InstanceId>("ins"),
    release: target.release,
    version: target.version,
    ordinal,
    generation,
    cohort: target.cohort,
    region: regions[ordinal % regions.length] as RegionName,
    cell: null,
    placement: null,
    phase: { kind: "placing", refused, refusal: null, refusedSinceMs: null, retryAtMs: ctx.nowMs, tries: 0 },
    observed: null,
    nodeGone: false,
    ...(where.standsInFor ? { standsInFor: where.standsInFor } : {}),
    ...(where.origin ? { origin: where.origin } : {}),
    avoid: where.avoid ?? [],
    avoidAtFirst: failedOn.map(({ node }) => node),
    restarts: 0,
    crashes: 0,
    failure: null,
    routed: false,
    createdAtMs: ctx.nowMs,
    startedAtMs: null,
    readyAtMs: null,
  };
  ctx.draft.put("instances", row.id, row);
  return row;
}

/**
 * A planned end: what a route may still name serves on for drainMs; the rest stops now. So does a singleton: its successor
 * waits for its end, and until then nobody serves anyway.
 */
export function retire(ctx: AppContext, row: InstanceRow, drainMs: number): void {
  const atOnce = row.nodeGone || isBroken(row) || row.job || isSingleton(ctx, row);
  if (row.phase.kind !== "running" || !row.routed || atOnce) {
    stop(ctx, row, row.nodeGone ? "lost" : "stopped");
    return;
  }
  const untilMs = ctx.nowMs + drainMs;
  const draining = changeInstance(ctx, row, { phase: { kind: "draining", sinceMs: ctx.nowMs, untilMs, told: false } });
  emit(ctx, { type: "instance.draining", subject: row.id, data: { instance: instanceView(ctx, draining), untilMs } });
}

/** Out of its node's document with the next update; whoever was never placed has ended already. */
export function stop(ctx: AppContext, row: InstanceRow, as: InstanceEnd): void {
  if (row.phase.kind === "stopping" || row.phase.kind === "ended") return;
  changeInstance(ctx, row, { phase: { kind: "stopping", sinceMs: ctx.nowMs, as } });
}

export function end(ctx: AppContext, row: InstanceRow): void {
  if (row.phase.kind !== "stopping") return;
  // It stood in for one that was not lost, and never was to start.
  if (row.standsInFor) return ctx.draft.drop("instances", row.id);
  const ended = changeInstance(ctx, row, { phase: { kind: "ended", atMs: ctx.nowMs, as: row.phase.as } });
  emit(ctx, { type: "instance.stopped", subject: row.id, data: { instance: instanceView(ctx, ended) } });
}

/** Outside a rollout a slot whose instances fail for good is filled again ever more slowly, and elsewhere if it can be. */
export function noteFailure(ctx: AppContext, row: InstanceRow, waitMaxMs = ctx.limits.replaceBackoffMaxMs): void {
  const key = slotKey(ctx, row, row.ordinal);
  const slot = ctx.draft.get("slots", key);
  if (!slot) return;
  const { replaceBackoffMs, failedNodesKept } = ctx.limits;
  const failures = row.ranWell ? 1 : slot.failures + 1;
  const waitMs = Math.min(waitMaxMs, replaceBackoffMs * 2 ** Math.min(failures - 1, 16));
  const node = row.placement?.node;
  const others = (slot.failedOn ?? []).filter((entry) => entry.node !== node);
  const failedOn = node ? [...others, { node, atMs: ctx.nowMs }].slice(-failedNodesKept) : others;
  ctx.draft.put("slots", key, { ...slot, failures, notBeforeMs: ctx.nowMs + waitMs, failedOn });
}
