// How far a route that an isolate remembers may be trusted, and whom to ask for a newer one.
import type { Route } from "../../contracts/route.ts";
import type { RoutingLimits } from "./limits.ts";

export interface RememberedRoute {
  readonly route: Route;
  /** When it was last known to be so: read, or asked for in vain. */
  readonly checkedAtMs: number;
  /** The newest version that any gateway named; above route.version when the route is known to be old. */
  readonly namedVersion: number;
}

/**
 * use: as it is. use_and_refresh: as it is, and look in KV beside it. refresh_first: look in KV, then use.
 * ask_first: ask the App object, then use. Whatever is asked and fails, the remembered route is used (stale if error).
 */
export type Freshness = "use" | "use_and_refresh" | "refresh_first" | "ask_first";

export function freshness(
  { route, checkedAtMs, namedVersion }: RememberedRoute,
  nowMs: number,
  limits: RoutingLimits,
): Freshness {
  const ageMs = nowMs - checkedAtMs;
  if (namedVersion > route.version || route.state.kind !== "serving") {
    return ageMs < limits.recheckMs ? "use" : "ask_first";
  }
  if (ageMs < limits.routeFreshMs) return "use";
  return ageMs < limits.routeUsableMs ? "use_and_refresh" : "refresh_first";
}

/** The newer of two routes of one app; at the same version the known one. */
export function newer(known: Route | null, read: Route): Route {
  return known === null || read.version > known.version ? read : known;
}
