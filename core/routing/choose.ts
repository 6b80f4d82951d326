// Which endpoint serves a request: a release by its weight, then the less busy of two of its instances.
import type { NodeId } from "../../contracts/ids.ts";
import type { Endpoint, Route, RouteRelease } from "../../contracts/route.ts";
import { instanceKey } from "../../contracts/desired.ts";

export interface ChoiceRequest {
  /** Instances (instanceKey) that this request has already tried in vain. */
  readonly tried: ReadonlySet<string>;
  /** Nodes that failed lately: only used when nothing else is left. */
  readonly ejected: ReadonlySet<NodeId>;
  /** Requests that this isolate has under way, by instanceKey; absent means none. */
  readonly inFlight: ReadonlyMap<string, number>;
}

export type Choice =
  | { readonly kind: "endpoint"; readonly release: RouteRelease; readonly endpoint: Endpoint }
  /** not_serving: the route has nobody to serve. exhausted: it has, but this request has tried them all. */
  | { readonly kind: "none"; readonly reason: "not_serving" | "exhausted" };

/** seed: 32 random bits. Never answers a release of weight 0, nor an endpoint that the route does not name. */
export function choose(route: Route, request: ChoiceRequest, seed: number): Choice {
  if (route.state.kind !== "serving") return { kind: "none", reason: "not_serving" };
  const { releases } = route.state;
  const untried = (endpoint: Endpoint): boolean => !request.tried.has(instanceKey(endpoint));
  const preferred = (endpoint: Endpoint): boolean => untried(endpoint) && !request.ejected.has(endpoint.node);
  const release = pickRelease(releases, preferred, draw(seed, 1));
  if (release !== null) return pickEndpoint(release, preferred, request, seed);
  const lastResort = pickRelease(releases, untried, draw(seed, 1));
  if (lastResort !== null) return pickEndpoint(lastResort, untried, request, seed);
  const anybody = releases.some(({ weight, endpoints }) => weight > 0 && endpoints.length > 0);
  return { kind: "none", reason: anybody ? "exhausted" : "not_serving" };
}

/** Weights count among the releases that can serve at all; what has no eligible endpoint leaves its share to the others. */
function pickRelease(
  releases: readonly RouteRelease[],
  eligible: (endpoint: Endpoint) => boolean,
  random: number,
): RouteRelease | null {
  let total = 0;
  for (const release of releases) if (release.endpoints.some(eligible)) total += release.weight;
  let left = random % Math.max(total, 1);
  for (const release of releases) {
    if (release.weight === 0 || !release.endpoints.some(eligible)) continue;
    if (left < release.weight) return release;
    left -= release.weight;
  }
  return null;
}

/** Power of two choices: of two different ones at random, the one with fewer requests under way. */
function pickEndpoint(
  release: RouteRelease,
  eligible: (endpoint: Endpoint) => boolean,
  { inFlight }: ChoiceRequest,
  seed: number,
): Choice {
  const endpoints = release.endpoints.filter(eligible);
  const first = draw(seed, 2) % endpoints.length;
  const second =
    endpoints.length === 1 ? first : (first + 1 + (draw(seed, 3) % (endpoints.length - 1))) % endpoints.length;
  const [one, other] = [endpoints[first] as Endpoint, endpoints[second] as Endpoint];
  const busy = (endpoint: Endpoint): number => inFlight.get(instanceKey(endpoint)) ?? 0;
  return { kind: "endpoint", release, endpoint: busy(other) < busy(one) ? other : one };
}

/** The n-th 32-bit number of a seed: the finaliser of MurmurHash3 over a Weyl sequence, as splitmix32 has it. */
function draw(seed: number, n: number): number {
  let z = (seed + Math.imul(n, 0x9e3779b9)) | 0;
  z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
  z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
  return (z ^ (z >>> 16)) >>> 0;
}
