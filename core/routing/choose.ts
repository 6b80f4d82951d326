// Which endpoint serves a request: a release by its weight, then the less busy of two of its instances.
import type { Endpoint, Route, RouteRelease } from "../../contracts/route.ts";
import { instanceKey } from "../../contracts/desired.ts";

export interface ChoiceRequest {
  /** Endpoints of this request that were tried in vain (instanceKey), or null: none yet. */
  readonly tried: ReadonlySet<string> | null;
  /** Whom to leave alone for a while, or null: nobody. */
  readonly avoids: ((endpoint: Endpoint) => boolean) | null;
  /** Requests that this isolate has under way there. */
  readonly load: (endpoint: Endpoint) => number;
}

export type Choice =
  | { readonly kind: "endpoint"; readonly release: RouteRelease; readonly endpoint: Endpoint }
  /** not_serving: the route has nobody to serve. exhausted: it has, but this request has tried them all. */
  | { readonly kind: "none"; readonly reason: "not_serving" | "exhausted" };

type Eligible = ((endpoint: Endpoint) => boolean) | null;

/**
 * seed: 32 random bits. Never answers a release of weight 0, nor an endpoint that the route does not name. Never the last one
 * ejected: where everybody that is left is to be avoided, avoiding has no meaning, and all of them are used alike.
 */
export function choose(route: Route, request: ChoiceRequest, seed: number): Choice {
  if (route.state.kind !== "serving") return { kind: "none", reason: "not_serving" };
  const { releases } = route.state;
  const { tried, avoids } = request;
  const untried: Eligible = tried === null ? null : (endpoint) => !tried.has(instanceKey(endpoint));
  if (avoids !== null) {
    const preferred = (endpoint: Endpoint): boolean => (untried === null || untried(endpoint)) && !avoids(endpoint);
    const release = pickRelease(releases, preferred, draw(seed, 1));
    if (release !== null) return pickEndpoint(release, preferred, request, seed);
  }
  const release = pickRelease(releases, untried, draw(seed, 1));
  if (release !== null) return pickEndpoint(release, untried, request, seed);
  const anybody = releases.some(({ weight, endpoints }) => weight > 0 && endpoints.length > 0);
  return { kind: "none", reason: anybody ? "exhausted" : "not_serving" };
}

const canServe = ({ endpoints }: RouteRelease, eligible: Eligible): boolean =>
  eligible === null ? endpoints.length > 0 : endpoints.some(eligible);

/** Weights count among the releases that can serve at all; what has no eligible endpoint leaves its share to the others. */
function pickRelease(releases: readonly RouteRelease[], eligible: Eligible, random: number): RouteRelease | null {
  let total = 0;
  for (const release of releases) if (canServe(release, eligible)) total += release.weight;
  let left = random % Math.max(total, 1);
  for (const release of releases) {
    if (release.weight === 0 || !canServe(release, eligible)) continue;
    if (left < release.weight) return release;
    left -= release.weight;
  }
  return null;
}

/** Power of two choices: of two different ones at random, the one with fewer requests under way. */
function pickEndpoint(release: RouteRelease, eligible: Eligible, { load }: ChoiceRequest, seed: number): Choice {
  const endpoints = eligible === null ? release.endpoints : release.endpoints.filter(eligible);
  const first = draw(seed, 2) % endpoints.length;
  const one = endpoints[first] as Endpoint;
  if (endpoints.length === 1) return { kind: "endpoint", release, endpoint: one };
  const second = (first + 1 + (draw(seed, 3) % (endpoints.length - 1))) % endpoints.length;
  const other = endpoints[second] as Endpoint;
  return { kind: "endpoint", release, endpoint: load(other) < load(one) ? other : one };
}

/** The n-th 32-bit number of a seed: the finaliser of MurmurHash3 over a Weyl sequence, as splitmix32 has it. */
function draw(seed: number, n: number): number {
  let z = (seed + Math.imul(n, 0x9e3779b9)) | 0;
  z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
  z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
  return (z ^ (z >>> 16)) >>> 0;
}
