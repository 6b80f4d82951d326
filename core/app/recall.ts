// Takes back into service what still runs of a release: kept warm, or serving out its drain.
import type { ReleaseId } from "../../contracts/ids.ts";
import type { Target } from "../rollout/types.ts";
import { changeInstance, emit, type AppContext } from "./context.ts";
import { isBroken, isMeant, isReady } from "./instances.ts";
import { isSingleton, policyOf } from "./policy.ts";
import { instancesBeingReserved } from "./reconcile.ts";
import { targetsOf } from "./split.ts";
import type { InstanceRow } from "./types.ts";
import { instanceView } from "./views.ts";

/**
 * The cohort in which most of the release runs, or would if it were called back; null where nothing of it does. What serves or is
 * coming goes first: nothing of it need be called.
 */
export function cohortOf(ctx: AppContext, release: ReleaseId): string | null {
  const known = targetsOf(ctx).find((target) => target.release === release);
  if (known) return known.cohort;
  const sizes = new Map<string, number>();
  for (const row of ctx.draft.values("instances")) {
    if (row.release === release && !row.job && isUsable(ctx, row))
      sizes.set(row.cohort, (sizes.get(row.cohort) ?? 0) + 1);
  }
  const [best] = [...sizes].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
  return best ? best[0] : null;
}

/** A drain ends with the instance, or with its return; a stop is final, and so is what was ordered away from its node. */
const isUsable = (ctx: AppContext, row: InstanceRow): boolean =>
  row.phase.kind === "draining" && !row.nodeGone && !row.leaving && !isBroken(row) && !isSingleton(ctx, row);

/**
 * Of each slot that nobody has, the newest that still drains and serves. The Cell hears of it with the next update. Where two may not
 * share a node or a failure domain, only those whose place nobody has taken meanwhile, or is about to be granted.
 */
export function recall(ctx: AppContext, target: Target): void {
  const taken = new Set<number>();
  const best = new Map<number, InstanceRow>();
  for (const row of ctx.draft.values("instances")) {
    if (row.cohort !== target.cohort || row.ordinal >= target.replicas || row.job) continue;
    if (isMeant(row) && !row.nodeGone && (isReady(row) || row.phase.kind === "running")) taken.add(row.ordinal);
    if (!isUsable(ctx, row) || row.observed?.kind !== "ready") continue;
    const known = best.get(row.ordinal);
    if (!known || known.generation < row.generation) best.set(row.ordinal, row);
  }
  const places = placesOf(ctx, target);
  for (const [ordinal, row] of best) {
    if (taken.has(ordinal) || !places.isFree(row)) continue;
    places.take(row);
    const back = changeInstance(ctx, row, { phase: { kind: "running", sinceMs: ctx.nowMs }, recalled: true });
    emit(ctx, { type: "instance.recalled", subject: row.id, data: { instance: instanceView(ctx, back) } });
  }
}

interface Places {
  isFree(row: InstanceRow): boolean;
  take(row: InstanceRow): void;
}

/** Of what the target's instances may not share. */
function placesOf(ctx: AppContext, { cohort, release }: Target): Places {
  const spec = ctx.draft.get("releases", release)?.release.spec;
  const { failureDomains = "preferred", nodes = "preferred" } = spec ? policyOf(spec) : {};
  const taken = new Set<string>();
  const keysOf = ({ placement, region }: InstanceRow): string[] => [
    ...(placement && failureDomains === "required" ? [`${region}/${placement.failureDomain}`] : []),
    ...(placement && nodes === "required" ? [placement.node] : []),
  ];
  const take = (row: InstanceRow): void => keysOf(row).forEach((key) => taken.add(key));
  const asking = instancesBeingReserved(ctx);
  let isAsking = false;
  for (const row of ctx.draft.values("instances")) {
    if (row.cohort !== cohort || !isMeant(row)) continue;
    take(row);
    isAsking ||= asking.has(row.id);
  }
  return { take, isFree: (row) => keysOf(row).every((key) => !isAsking && !taken.has(key)) };
}
