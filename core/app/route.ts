// The route: who gets which share of the traffic. Recomputed at every step; its version rises only when it differs.
import { releasesOf, type Route } from "../../contracts/route.ts";
import { activeRollout, appOf, changeInstance, countersOf, emit, type AppContext } from "./context.ts";
import type { RouteRow } from "./types.ts";
import { stickyOf, weighedReleases } from "./weights.ts";

export function routeOf(ctx: AppContext): RouteRow {
  const known = ctx.draft.get("route", "route");
  if (known) return known;
  const { app, team, name, createdAtMs } = appOf(ctx);
  const state = { kind: "unavailable", reason: "never_deployed" } as const;
  return { route: { app, team, name, version: 0, state, atMs: createdAtMs }, publishedVersion: 0, publishedAtMs: 0 };
}

export function updateRoute(ctx: AppContext): void {
  const row = routeOf(ctx);
  const state = routeStateOf(ctx);
  if (JSON.stringify(state) === JSON.stringify(row.route.state)) return;
  const route: Route = { ...row.route, version: row.route.version + 1, state, atMs: ctx.nowMs };
  ctx.draft.put("route", "route", { ...row, route });
  for (const { endpoints } of releasesOf(state)) {
    for (const { instance } of endpoints) {
      const named = ctx.draft.get("instances", instance);
      if (named && !named.routed) changeInstance(ctx, named, { routed: true });
    }
  }
  emit(ctx, { type: "route.published", subject: route.app, data: { version: route.version, state: summary(state) } });
}

function summary(state: Route["state"]): Record<string, unknown> {
  if (state.kind === "waking") return { ...state };
  const releases = releasesOf(state).map(({ version, weight, endpoints }) => ({
    version,
    weight,
    endpoints: endpoints.length,
  }));
  return { kind: state.kind, ...(state.kind === "unavailable" ? { reason: state.reason } : {}), releases };
}

/** By the rows as they are now; the route follows at the end of the step. */
export function routeStateOf(ctx: AppContext): Route["state"] {
  const { phase, current, maintenance } = appOf(ctx);
  if (phase !== "live") return { kind: "unavailable", reason: "destroyed" };
  const to = activeRollout(ctx)?.to ?? null;
  const serving = weighedReleases(ctx);
  if (maintenance) return { kind: "unavailable", reason: "maintenance", releases: serving };
  const sticky = stickyOf(ctx);
  if (serving.some(({ weight }) => weight > 0)) {
    return { kind: "serving", releases: serving, ...(sticky ? { sticky } : {}) };
  }
  if (to && to.replicas > 0) {
    return { kind: "unavailable", reason: current && current.replicas > 0 ? "no_ready_instance" : "starting" };
  }
  if (current?.replicas === 0 || to?.replicas === 0) return { kind: "unavailable", reason: "scaled_to_zero" };
  const deployed = current !== null || countersOf(ctx).releaseVersion > 0;
  return { kind: "unavailable", reason: deployed ? "no_ready_instance" : "never_deployed" };
}
