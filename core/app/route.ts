// The route: who gets which share of the traffic. Recomputed at every step; its version rises only when it differs.
import type { Endpoint, Route, RouteRelease } from "../../contracts/route.ts";
import { splitWeight } from "../rollout/weights.ts";
import type { Target } from "../rollout/types.ts";
import { activeRollout, appOf, changeInstance, countersOf, emit, type AppContext } from "./context.ts";
import { isOutOfRoute } from "./health.ts";
import { isReady } from "./instances.ts";
import type { InstanceRow, RouteRow } from "./types.ts";

export function routeOf(ctx: AppContext): RouteRow {
  const known = ctx.draft.get("route", "route");
  if (known) return known;
  const { app, team, name, createdAtMs } = appOf(ctx);
  const state = { kind: "unavailable", reason: "never_deployed" } as const;
  return { route: { app, team, name, version: 0, state, atMs: createdAtMs }, publishedVersion: 0, publishedAtMs: 0 };
}

export function updateRoute(ctx: AppContext): void {
  const row = routeOf(ctx);
  const state = stateOf(ctx);
  if (JSON.stringify(state) === JSON.stringify(row.route.state)) return;
  const route: Route = { ...row.route, version: row.route.version + 1, state, atMs: ctx.nowMs };
  ctx.draft.put("route", "route", { ...row, route });
  if (state.kind === "serving") {
    for (const { endpoints } of state.releases) {
      for (const { instance } of endpoints) {
        const named = ctx.draft.get("instances", instance);
        if (named && !named.routed) changeInstance(ctx, named, { routed: true });
      }
    }
  }
  emit(ctx, { type: "route.published", subject: route.app, data: { version: route.version, state: summary(state) } });
}

function summary(state: Route["state"]): Record<string, unknown> {
  if (state.kind !== "serving") return { ...state };
  const releases = state.releases.map(({ version, weight, endpoints }) => ({
    version,
    weight,
    endpoints: endpoints.length,
  }));
  return { kind: state.kind, releases };
}

function stateOf(ctx: AppContext): Route["state"] {
  const { phase, current } = appOf(ctx);
  if (phase !== "live") return { kind: "unavailable", reason: "destroyed" };
  const to = activeRollout(ctx)?.to ?? null;
  const serving = servingReleases(ctx, current, to);
  if (serving.length > 0) return { kind: "serving", releases: serving };
  if (to && to.replicas > 0) {
    return { kind: "unavailable", reason: current && current.replicas > 0 ? "no_ready_instance" : "starting" };
  }
  if (current?.replicas === 0 || to?.replicas === 0) return { kind: "unavailable", reason: "scaled_to_zero" };
  const deployed = current !== null || countersOf(ctx).releaseVersion > 0;
  return { kind: "unavailable", reason: deployed ? "no_ready_instance" : "never_deployed" };
}

function servingReleases(ctx: AppContext, current: Target | null, to: Target | null): RouteRelease[] {
  const cohorts = [current, to].filter((target) => target !== null);
  // A restart hands over slot by slot within one release: a route names at most one instance per slot (invariant 1).
  const slots = new Map<string, InstanceRow>();
  for (const row of ctx.draft.values("instances")) {
    if (!isReady(row) || isOutOfRoute(ctx, row) || !cohorts.some(({ cohort }) => cohort === row.cohort)) continue;
    const key = `${row.release}/${row.ordinal}`;
    const known = slots.get(key);
    if (!known || known.generation < row.generation) slots.set(key, row);
  }
  const ready = [...slots.values()].sort((a, b) => a.ordinal - b.ordinal);
  const endpointsOf = (target: Target): Endpoint[] =>
    ready.filter((row) => row.release === target.release).flatMap((row) => endpointOf(row));
  const release = (target: Target, weight: number, endpoints: Endpoint[]): RouteRelease[] =>
    weight > 0 ? [{ release: target.release, version: target.version, weight, endpoints }] : [];

  const only = current && to && current.release !== to.release ? null : (to ?? current);
  if (only) {
    const endpoints = endpointsOf(only);
    return release(only, endpoints.length > 0 ? 100 : 0, endpoints);
  }
  if (!current || !to) return [];
  const old = endpointsOf(current);
  const coming = endpointsOf(to);
  const split = splitWeight({ fromReady: old.length, toReady: coming.length, toReplicas: to.replicas });
  return [...release(current, split.from, old), ...release(to, split.to, coming)];
}

function endpointOf({ id, generation, placement }: InstanceRow): Endpoint[] {
  return placement ? [{ instance: id, generation, node: placement.node, gatewayUrl: placement.gatewayUrl }] : [];
}
