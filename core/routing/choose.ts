// Which endpoint serves a request: a release by its weight or the visitor's wish, then the less busy of two of its instances.
import { releasesOf, type Endpoint, type Route, type RouteRelease } from "../../contracts/route.ts";
import { instanceKey } from "../../contracts/desired.ts";

export interface ChoiceRequest {
  /** Endpoints of this request that were tried in vain (instanceKey), or null: none yet. */
  readonly tried: ReadonlySet<string> | null;
  /** Whom to leave alone for a while, or null: nobody. */
  readonly avoids: ((endpoint: Endpoint) => boolean) | null;
  /** Requests that this isolate has under way there. */
  readonly load: (endpoint: Endpoint) => number;
  /** The version that is asked for by name, whatever its weight (a preview, an override). Absent: any, by the weights. */
  readonly only?: number | null;
  /** 32 bits of a visitor's own, who is to stay at one release for as long as the weights allow. Absent: wherever `spot` falls. */
  readonly visitor?: number | null;
  /** How far an endpoint's region is from the visitor: the nearest that can serve does. Absent: all are alike. */
  readonly distance?: ((endpoint: Endpoint) => number) | null;
}

export type Choice =
  | { readonly kind: "endpoint"; readonly release: RouteRelease; readonly endpoint: Endpoint }
  /** not_serving: the route has nobody to serve. exhausted: it has, but this request has tried them all. no_release: nor has it the wished-for one. */
  | { readonly kind: "none"; readonly reason: "not_serving" | "exhausted" | "no_release" };

type Eligible = ((endpoint: Endpoint) => boolean) | null;

/**
 * seed: 32 random bits. spot: 32 bits that say where on the scale of the weights the request falls (spots.ts). Never answers a
 * release of weight 0 that was not asked for by name, nor an endpoint that the route does not name. Never the last one ejected: where
 * everybody that is left is to be avoided, avoiding has no meaning, and all of them are used alike.
 */
export function choose(route: Route, request: ChoiceRequest, seed: number, spot: number): Choice {
  const { only = null, tried, avoids } = request;
  if (only !== null) return chooseOnly(only, route, request, seed);
  if (route.state.kind !== "serving") return { kind: "none", reason: "not_serving" };
  const { releases } = route.state;
  const untried: Eligible = tried === null ? null : (endpoint) => !tried.has(instanceKey(endpoint));
  if (avoids !== null) {
    const preferred = (endpoint: Endpoint): boolean => (untried === null || untried(endpoint)) && !avoids(endpoint);
    const release = pickRelease(releases, preferred, request, spot);
    if (release !== null) return pickEndpoint(release, preferred, request, seed);
  }
  const release = pickRelease(releases, untried, request, spot);
  if (release !== null) return pickEndpoint(release, untried, request, seed);
  const anybody = releases.some(({ weight, endpoints }) => weight > 0 && endpoints.length > 0);
  return { kind: "none", reason: anybody ? "exhausted" : "not_serving" };
}

/** Also while the app is in maintenance: who asks by name is at work on it. */
function chooseOnly(wanted: number, { state }: Route, request: ChoiceRequest, seed: number): Choice {
  const releases = releasesOf(state);
  if (releases.length === 0) return { kind: "none", reason: "not_serving" };
  const release = releases.find(({ version }) => version === wanted);
  if (release === undefined || release.endpoints.length === 0) return { kind: "none", reason: "no_release" };
  const { tried, avoids } = request;
  const untried: Eligible = tried === null ? null : (endpoint) => !tried.has(instanceKey(endpoint));
  const preferred: Eligible =
    avoids === null ? null : (endpoint) => (untried === null || untried(endpoint)) && !avoids(endpoint);
  if (preferred !== null && canServe(release, preferred)) return pickEndpoint(release, preferred, request, seed);
  if (canServe(release, untried)) return pickEndpoint(release, untried, request, seed);
  return { kind: "none", reason: "exhausted" };
}

const canServe = ({ endpoints }: RouteRelease, eligible: Eligible): boolean =>
  eligible === null ? endpoints.length > 0 : endpoints.some(eligible);

/** Weights count among the releases that can serve at all; what has no eligible endpoint leaves its share to the others. */
function pickRelease(
  releases: readonly RouteRelease[],
  eligible: Eligible,
  { visitor = null }: ChoiceRequest,
  spot: number,
): RouteRelease | null {
  if (visitor !== null) return pickFor(visitor, releases, eligible);
  let total = 0;
  for (const release of releases) if (canServe(release, eligible)) total += release.weight;
  let left = ((spot >>> 0) / 0x1_0000_0000) * total;
  let last: RouteRelease | null = null;
  for (const release of releases) {
    if (release.weight === 0 || !canServe(release, eligible)) continue;
    if (left < release.weight) return release;
    left -= release.weight;
    last = release;
  }
  return last;
}

/**
 * A visitor's own release: weighted rendezvous hashing (Thaler and Ravishankar 1998; the logarithmic method of Schindelhauer and
 * Schomaker 2005). Each release draws a number for the visitor, exponentially distributed by its weight, and the least wins: a
 * share of visitors as large as its weight. When a weight rises, visitors move to that release and none between the others; the order of
 * the releases says nothing.
 */
function pickFor(visitor: number, releases: readonly RouteRelease[], eligible: Eligible): RouteRelease | null {
  let least = Infinity;
  let picked: RouteRelease | null = null;
  for (const release of releases) {
    if (release.weight === 0 || !canServe(release, eligible)) continue;
    const drawn = -Math.log((draw(visitor, release.version) + 0.5) / 0x1_0000_0000) / release.weight;
    if (drawn >= least) continue;
    least = drawn;
    picked = release;
  }
  return picked;
}

/** Power of two choices: of two different ones at random, the one with fewer requests under way. */
function pickEndpoint(release: RouteRelease, eligible: Eligible, request: ChoiceRequest, seed: number): Choice {
  const { load, distance } = request;
  let endpoints = eligible === null ? release.endpoints : release.endpoints.filter(eligible);
  if (distance) endpoints = nearest(endpoints, distance);
  const first = draw(seed, 2) % endpoints.length;
  const one = endpoints[first] as Endpoint;
  if (endpoints.length === 1) return { kind: "endpoint", release, endpoint: one };
  const second = (first + 1 + (draw(seed, 3) % (endpoints.length - 1))) % endpoints.length;
  const other = endpoints[second] as Endpoint;
  return { kind: "endpoint", release, endpoint: load(other) < load(one) ? other : one };
}

function nearest(endpoints: readonly Endpoint[], distance: (endpoint: Endpoint) => number): Endpoint[] {
  const distances = endpoints.map(distance);
  const least = Math.min(...distances);
  return endpoints.filter((_endpoint, at) => distances[at] === least);
}

/** The n-th 32-bit number of a seed: the finaliser of MurmurHash3 over a Weyl sequence, as splitmix32 has it. */
function draw(seed: number, n: number): number {
  let z = (seed + Math.imul(n, 0x9e3779b9)) | 0;
  z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
  z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
  return (z ^ (z >>> 16)) >>> 0;
}
