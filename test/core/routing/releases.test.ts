// Which release: exact shares over many requests, wishes, nearness, and how much may be repeated.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { appId, instanceId, nodeId, releaseId, teamId } from "../../../bench/shared/gateway-world.ts";
import type { RegionName } from "../../../contracts/ids.ts";
import type { Endpoint, Route, RouteRelease } from "../../../contracts/route.ts";
import { choose, type ChoiceRequest } from "../../../core/routing/choose.ts";
import { ROUTING_LIMITS } from "../../../core/routing/limits.ts";
import { distanceKm, distances } from "../../../core/routing/regions.ts";
import { newBudget, spend } from "../../../core/routing/retry-budget.ts";
import { nextSpot, spotOf } from "../../../core/routing/spots.ts";
import { distanceFrom } from "../../../workers/edge/near.ts";

const endpoint = (number: number, region?: string): Endpoint => ({
  instance: instanceId(number),
  generation: 1,
  node: nodeId(number),
  gatewayUrl: `http://127.0.0.1:${10_000 + number}`,
  ...(region === undefined ? {} : { region: region as RegionName }),
});
const release = (version: number, weight: number, endpoints: Endpoint[]): RouteRelease => ({
  ...{ release: releaseId(version), version, weight, endpoints },
});
const route = (releases: RouteRelease[]): Route => ({
  ...{ app: appId(1), team: teamId(1), name: "a", version: 1, atMs: 0 },
  state: { kind: "serving", releases },
});
const plain: ChoiceRequest = { tried: null, avoids: null, load: () => 0 };
const versionOf = (at: Route, request: ChoiceRequest, seed: number, spot: number): number | string => {
  const choice = choose(at, request, seed, spot);
  return choice.kind === "endpoint" ? choice.release.version : choice.reason;
};

describe("shares", () => {
  test("are exact to 0.5 % over 100,000 requests, for any weights and from any first spot", () => {
    const weights = fc.tuple(fc.integer({ min: 0, max: 100 }), fc.integer({ min: 0, max: 100 })).map(([a, b]) => {
      const [low, high] = [Math.min(a, b), Math.max(a, b)];
      return [low, high - low, 100 - high];
    });
    fc.assert(
      fc.property(weights, fc.integer(), (shares, start) => {
        const at = route(shares.map((weight, index) => release(index + 1, weight, [endpoint(index + 1)])));
        const counts = [0, 0, 0];
        let spot = start | 0;
        for (let request = 0; request < 100_000; request++) {
          spot = nextSpot(spot);
          counts[(versionOf(at, plain, request, spot) as number) - 1]!++;
        }
        for (const [index, weight] of shares.entries())
          expect(Math.abs(counts[index]! / 1_000 - weight)).toBeLessThan(0.05);
      }),
      { numRuns: 10 },
    );
  });

  test("instances of a release are used evenly: over 100,000 requests the shares of ten differ by less than 5 %", () => {
    const at = route([
      release(
        1,
        100,
        Array.from({ length: 10 }, (_, n) => endpoint(n + 1)),
      ),
    ]);
    const counts = new Map<string, number>();
    for (let request = 0; request < 100_000; request++) {
      const choice = choose(at, plain, Math.imul(request, 0x85ebca6b), request);
      if (choice.kind === "endpoint")
        counts.set(choice.endpoint.instance, (counts.get(choice.endpoint.instance) ?? 0) + 1);
    }
    const shares = [...counts.values()];
    expect(shares).toHaveLength(10);
    expect((Math.max(...shares) - Math.min(...shares)) / 10_000).toBeLessThan(0.05);
  });
});

describe("a release asked for by name", () => {
  const releases = [release(1, 100, [endpoint(1)]), release(2, 0, [endpoint(2)]), release(3, 0, [])];

  test("is that one, whatever its weight, and no other in its place", () => {
    const at = route(releases);
    expect(versionOf(at, { ...plain, only: 2 }, 1, 1)).toBe(2);
    expect(versionOf(at, { ...plain, only: 3 }, 1, 1)).toBe("no_release");
    expect(versionOf(at, { ...plain, only: 4 }, 1, 1)).toBe("no_release");
  });

  test("is reached while the app is in maintenance, which is what everybody else is told", () => {
    const at: Route = { ...route([]), state: { kind: "unavailable", reason: "maintenance", releases } };
    expect(versionOf(at, { ...plain, only: 1 }, 1, 1)).toBe(1);
    expect(versionOf(at, { ...plain, only: 2 }, 1, 1)).toBe(2);
    expect(versionOf(at, { ...plain, only: 4 }, 1, 1)).toBe("no_release");
    expect(versionOf(at, plain, 1, 1)).toBe("not_serving");
  });
});

describe("visitors who stay at one release", () => {
  const VISITORS = 20_000;
  const visitors = Array.from({ length: VISITORS }, (_, at) => spotOf(`visitor-${at}`));
  const at = (...weights: number[]) =>
    route(weights.map((weight, index) => release(index + 1, weight, [endpoint(index + 1)])));
  const versions = (route: Route, more: Partial<ChoiceRequest> = {}) =>
    visitors.map((visitor) => versionOf(route, { ...plain, ...more, visitor }, visitor, 0) as number);
  const share = (given: readonly number[], version: number) =>
    (100 * given.filter((one) => one === version).length) / VISITORS;

  test("are as many as its weight says, at every step of a canary, so that none starves for those who came before it", () => {
    let before = versions(at(100, 0));
    for (const weight of [5, 20, 50, 100]) {
      const now = versions(at(100 - weight, weight));
      // Three standard deviations of 20,000 visitors are 1.1 % at most.
      expect(Math.abs(share(now, 2) - weight)).toBeLessThan(1.1);
      expect(now.filter((version, index) => version === 1 && before[index] === 2)).toEqual([]);
      before = now;
    }
  });

  test("move to what rises alone, and never between the others, in whatever order the route names them", () => {
    const [before, now] = [versions(at(45, 45, 10)), versions(at(30, 30, 40))];
    const moved = now.flatMap((version, index) => (version === before[index] ? [] : [version]));
    expect(new Set(moved)).toEqual(new Set([3]));
    expect(Math.abs((100 * moved.length) / VISITORS - 30)).toBeLessThan(1.1);
    const turned = route([2, 0, 1].map((index) => release(index + 1, [30, 30, 40][index]!, [endpoint(index + 1)])));
    expect(versions(turned)).toEqual(now);
  });

  test("leave for the others, by their weights, only while their own has nobody to serve them", () => {
    const before = versions(at(50, 30, 20));
    const out = versions(at(50, 30, 20), { avoids: ({ node }) => node === nodeId(1) });
    const left = out.filter((_version, index) => before[index] === 1);
    expect(out.filter((version, index) => before[index] !== 1 && version !== before[index])).toEqual([]);
    expect(left.filter((version) => version === 2).length / left.length).toBeCloseTo(0.6, 1);
  });

  test("the same value has the same spot, and values are spread evenly", () => {
    expect(spotOf("user-1")).toBe(spotOf("user-1"));
    let low = 0;
    for (let user = 0; user < 10_000; user++) if ((spotOf(`user-${user}`) >>> 0) / 2 ** 32 < 0.1) low++;
    expect(Math.abs(low - 1_000)).toBeLessThan(4 * Math.sqrt(900));
  });
});

describe("regions", () => {
  const places = { fra: { latitude: 50.11, longitude: 8.68 }, nyc: { latitude: 40.71, longitude: -74.01 } };
  const at = route([release(1, 100, [endpoint(1, "fra"), endpoint(2, "fra"), endpoint(3, "nyc"), endpoint(4, "syd")])]);
  const from = (latitude: unknown, longitude: unknown) =>
    distanceFrom({ cf: { latitude, longitude } }, at, JSON.stringify(places));

  test("are as far apart as an atlas says", () => {
    expect(distanceKm(places.fra, places.nyc)).toBeGreaterThan(6_150);
    expect(distanceKm(places.fra, places.nyc)).toBeLessThan(6_250);
    expect(distanceKm(places.fra, places.fra)).toBe(0);
    expect(distances(places.nyc, places)("nyc")).toBe(0);
  });

  test("the nearest serves; the next where it is out; one of unknown place last of all", () => {
    const distance = from("48.85", "2.35");
    const nodesOf = (out: number[]) => {
      const avoids = ({ node }: Endpoint) => out.map(nodeId).includes(node);
      const seen = new Set<string>();
      for (let seed = 0; seed < 60; seed++) {
        const choice = choose(at, { ...plain, avoids, distance }, seed, seed);
        if (choice.kind === "endpoint") seen.add(choice.endpoint.node);
      }
      return [...seen].sort();
    };
    expect(nodesOf([])).toEqual([nodeId(1), nodeId(2)]);
    expect(nodesOf([1])).toEqual([nodeId(2)]);
    expect(nodesOf([1, 2])).toEqual([nodeId(3)]);
    expect(nodesOf([1, 2, 3])).toEqual([nodeId(4)]);
  });

  test("are all alike for a visitor whose place nobody knows, and for an app in one of them", () => {
    expect(from(undefined, undefined)).toBeNull();
    expect(from("x", "2")).toBeNull();
    const single = route([release(1, 100, [endpoint(1)])]);
    expect(distanceFrom({ cf: { latitude: "1", longitude: "1" } }, single, "{}")).toBeNull();
  });
});

describe("the retry budget", () => {
  test("allows a burst, then a fifth of the requests and ten a second", () => {
    let budget = newBudget(0, ROUTING_LIMITS);
    let allowed = 0;
    const ask = (requests: number, nowMs: number) => {
      const answer = spend(budget, requests, nowMs, ROUTING_LIMITS);
      budget = answer.budget;
      if (answer.allowed) allowed++;
    };
    for (let n = 0; n < 500; n++) ask(1, 0);
    // A burst of 100, and a fifth of the 500 requests.
    expect(allowed).toBeGreaterThanOrEqual(195);
    expect(allowed).toBeLessThanOrEqual(205);
    allowed = 0;
    for (let n = 0; n < 100; n++) ask(0, 1_000);
    expect(allowed).toBeGreaterThanOrEqual(9);
    expect(allowed).toBeLessThanOrEqual(11);
  });

  test("a clock that goes back earns nothing", () => {
    const empty = { tokens: 0, atMs: 10_000 };
    expect(spend(empty, 0, 0, ROUTING_LIMITS)).toEqual({ allowed: false, budget: { tokens: 0, atMs: 0 } });
  });
});
