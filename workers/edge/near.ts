// How far the regions of an app are from this visitor: Cloudflare names a visitor's coordinates with each request.
import type { Endpoint, Route } from "../../contracts/route.ts";
import { distances, type Place } from "../../core/routing/regions.ts";

const parsed = new Map<string, Readonly<Record<string, Place>>>();

/** null where the app is in one region, or nobody knows where the visitor is. */
export function distanceFrom(
  request: { readonly cf?: unknown },
  { state }: Route,
  places: string | undefined,
): ((endpoint: Endpoint) => number) | null {
  if (places === undefined || state.kind !== "serving") return null;
  if (state.releases[0]?.endpoints[0]?.region === undefined) return null;
  const { latitude, longitude } = (request.cf ?? {}) as { latitude?: unknown; longitude?: unknown };
  const visitor = { latitude: Number(latitude ?? NaN), longitude: Number(longitude ?? NaN) };
  if (!Number.isFinite(visitor.latitude) || !Number.isFinite(visitor.longitude)) return null;
  const of = distances(visitor, regionsOf(places));
  return ({ region }) => of(region ?? "");
}

function regionsOf(places: string): Readonly<Record<string, Place>> {
  let known = parsed.get(places);
  if (known === undefined) parsed.set(places, (known = JSON.parse(places) as Readonly<Record<string, Place>>));
  return known;
}
