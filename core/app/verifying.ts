// Asks the verifier: every replica must answer through the edge's own code (invariant 21), each release by its own path and smoke check.
import type { ReleaseId } from "../../contracts/ids.ts";
import type { SmokeCheck } from "../../contracts/rollout-plan.ts";
import type { Route } from "../../contracts/route.ts";
import { planOf, type RolloutRow } from "../rollout/types.ts";
import { activeRollout, appOf, type AppContext } from "./context.ts";
import { isReady } from "./instances.ts";
import { meantInSlots } from "./reconcile.ts";
import { routeOf } from "./route.ts";
import { comingShares } from "./split.ts";
import type { InstanceRow } from "./types.ts";
import { endpointOf } from "./weights.ts";

/** With a smoke check each as soon as it is ready, since it gets no traffic before. */
export function askVerifier(ctx: AppContext): void {
  const rollout = activeRollout(ctx);
  if (!rollout || (rollout.phase.kind !== "verifying" && !planOf(rollout).smoke)) return;
  const verified = new Set(rollout.verified);
  const unasked = new Map<ReleaseId, InstanceRow[]>();
  for (const row of comingShares(rollout).flatMap(({ target }) => meantInSlots(ctx, target))) {
    if (!row || !isReady(row) || verified.has(`${row.id}/${row.generation}`)) continue;
    unasked.set(row.release, [...(unasked.get(row.release) ?? []), row]);
  }
  if (unasked.size === 0) return;
  const key = `verify:${rollout.id}`;
  ctx.wanted.add(key);
  if (!ctx.attempts.claim(key, ctx.limits.verifyTimeoutMs, ctx.limits.verifyTimeoutMs)) return;
  for (const [release, rows] of unasked) {
    const route = routeNaming(ctx, rows);
    const instances = rows.map((row) => row.id);
    ctx.effects.push({ kind: "verify", rollout: rollout.id, route, instances, ...checkOf(ctx, rollout, release) });
  }
}

/** A split by hand asks each release by what it came with; what serves beside the one that is rolled is asked so, too. */
function checkOf(ctx: AppContext, rollout: RolloutRow, release: ReleaseId): { path: string; smoke?: SmokeCheck } {
  const kept = ctx.draft.get("releases", release);
  const planned = planOf(rollout).smoke;
  const own = rollout.reason === "traffic" || planned ? kept?.smoke : undefined;
  const smoke = (release === rollout.to.release ? planned : undefined) ?? own;
  if (smoke && !rollout.forced) return { path: smoke.path, smoke };
  const probe = kept?.release.spec.probes.readiness;
  return { path: probe?.kind === "http" ? probe.path : "/" };
}

/** The route; and where it does not name all of these (not checked yet, maintenance), one that does, for the verifier alone. */
function routeNaming(ctx: AppContext, rows: readonly InstanceRow[]): Route {
  const { route } = routeOf(ctx);
  const rollout = activeRollout(ctx);
  const hidesSome = appOf(ctx).maintenance || (rollout && planOf(rollout).smoke);
  const [first] = rows;
  if (!hidesSome || !first) return route;
  const { release, version } = first;
  const endpoints = rows.flatMap((row) => endpointOf(ctx, row));
  return { ...route, state: { kind: "serving", releases: [{ release, version, weight: 100, endpoints }] } };
}
