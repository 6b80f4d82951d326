// Choosing an endpoint: weights, two choices, exclusions; as cases and as properties over arbitrary routes.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { instanceKey } from "../../../contracts/desired.ts";
import type { Endpoint, Route, RouteRelease } from "../../../contracts/route.ts";
import { appId, instanceId, nodeId, releaseId, teamId } from "../../../bench/shared/gateway-world.ts";
import { choose, type ChoiceRequest } from "../../../core/routing/choose.ts";
import { spotOf } from "../../../core/routing/spots.ts";

const endpoint = (number: number): Endpoint => ({
  instance: instanceId(number),
  generation: 1,
  node: nodeId(number),
  gatewayUrl: `http://127.0.0.1:${10_000 + number}`,
});
const release = (number: number, weight: number, endpoints: Endpoint[]): RouteRelease => ({
  release: releaseId(number),
  version: number,
  weight,
  endpoints,
});
const route = (releases: RouteRelease[]): Route => ({
  app: appId(1),
  team: teamId(1),
  name: "a",
  version: 1,
  state: { kind: "serving", releases },
  atMs: 0,
});
const nothing: ChoiceRequest = { tried: null, avoids: null, load: () => 0 };
const chosen = (at: Route, request: ChoiceRequest, seed: number): string => {
  const choice = choose(at, request, seed, spotOf(String(seed)));
  return choice.kind === "endpoint" ? instanceKey(choice.endpoint) : choice.reason;
};
const key = (number: number): string => instanceKey(endpoint(number));

describe("choosing an endpoint", () => {
  const two = route([release(1, 100, [endpoint(1), endpoint(2)])]);

  test("of two instances the one with fewer requests under way is taken, whatever the seed", () => {
    const load = ({ instance }: Endpoint): number => (instance === instanceId(1) ? 3 : 0);
    for (let seed = 0; seed < 100; seed++) expect(chosen(two, { ...nothing, load }, seed)).toBe(key(2));
  });

  test("an instance that was tried is not taken again", () => {
    for (let seed = 0; seed < 100; seed++)
      expect(chosen(two, { ...nothing, tried: new Set([key(1)]) }, seed)).toBe(key(2));
    expect(chosen(two, { ...nothing, tried: new Set([key(1), key(2)]) }, 1)).toBe("exhausted");
  });

  test("an ejected node is avoided while another can serve, and used when none other is left", () => {
    const avoids = ({ node }: Endpoint): boolean => node === nodeId(1);
    for (let seed = 0; seed < 100; seed++) expect(chosen(two, { ...nothing, avoids }, seed)).toBe(key(2));
    expect(chosen(two, { ...nothing, avoids, tried: new Set([key(2)]) }, 1)).toBe(key(1));
  });

  test("where everybody is ejected nobody is: all of them are used alike", () => {
    const all = { ...nothing, avoids: () => true };
    expect(new Set(Array.from({ length: 100 }, (_, seed) => chosen(two, all, seed)))).toEqual(
      new Set([key(1), key(2)]),
    );
  });

  test("the share of a release whose instances were all tried goes to the others", () => {
    const split = route([release(1, 90, [endpoint(1)]), release(2, 10, [endpoint(2)])]);
    for (let seed = 0; seed < 100; seed++)
      expect(chosen(split, { ...nothing, tried: new Set([key(1)]) }, seed)).toBe(key(2));
  });

  test("a release of weight 0 is never a last resort", () => {
    const shadow = route([release(1, 100, [endpoint(1)]), release(2, 0, [endpoint(2)])]);
    expect(chosen(shadow, { ...nothing, tried: new Set([key(1)]) }, 1)).toBe("exhausted");
  });

  test.each(["waking", "unavailable"] as const)("a route that is %s has nobody to serve", (kind) => {
    const state = kind === "waking" ? { kind } : { kind, reason: "starting" as const };
    expect(choose({ ...two, state }, nothing, 1, 1)).toEqual({ kind: "none", reason: "not_serving" });
  });

  test("each release gets its weight's share within three standard deviations over 20,000 seeds", () => {
    const draws = 20_000;
    const at = route([release(1, 70, [endpoint(1)]), release(2, 25, [endpoint(2)]), release(3, 5, [endpoint(3)])]);
    const counts = new Map<string, number>();
    for (let seed = 0; seed < draws; seed++) {
      const got = chosen(at, nothing, seed * 7_919);
      counts.set(got, (counts.get(got) ?? 0) + 1);
    }
    for (const [number, weight] of [
      [1, 0.7],
      [2, 0.25],
      [3, 0.05],
    ] as const) {
      const deviation = Math.sqrt(draws * weight * (1 - weight));
      expect(Math.abs((counts.get(key(number)) ?? 0) - draws * weight)).toBeLessThan(3 * deviation);
    }
  });

  test("idle instances of a release share its requests evenly", () => {
    const at = route([release(1, 100, [1, 2, 3, 4].map(endpoint))]);
    const counts = new Map<string, number>();
    for (let seed = 0; seed < 8_000; seed++)
      counts.set(chosen(at, nothing, seed), (counts.get(chosen(at, nothing, seed)) ?? 0) + 1);
    for (const number of [1, 2, 3, 4]) expect(counts.get(key(number))).toBeGreaterThan(1_800);
  });
});

describe("any route, any history", () => {
  const numbers = fc.uniqueArray(fc.integer({ min: 1, max: 40 }), { maxLength: 12 });
  const releases = fc
    .uniqueArray(fc.tuple(fc.integer({ min: 0, max: 100 }), numbers), { minLength: 1, maxLength: 4 })
    .map((list) => list.map(([weight, of], index) => release(index + 1, weight, of.map(endpoint))));
  const some = fc.uniqueArray(fc.integer({ min: 1, max: 40 }), { maxLength: 40 });

  test("the choice is an untried endpoint of a release with weight, and there is one whenever there can be", () => {
    fc.assert(
      fc.property(releases, some, some, fc.integer(), (list, tried, ejected, seed) => {
        const out = new Set(ejected.map(nodeId));
        const request = { ...nothing, tried: new Set(tried.map(key)), avoids: ({ node }: Endpoint) => out.has(node) };
        const possible = list.flatMap(({ weight, endpoints }) => (weight > 0 ? endpoints : []));
        const untried = possible.filter((at) => !request.tried.has(instanceKey(at)));
        const choice = choose(route(list), request, seed, spotOf(String(seed)));
        if (choice.kind === "none") {
          expect(untried).toEqual([]);
          expect(choice.reason).toBe(possible.length > 0 ? "exhausted" : "not_serving");
          return;
        }
        expect(choice.release.weight).toBeGreaterThan(0);
        expect(choice.release.endpoints).toContain(choice.endpoint);
        expect(untried).toContain(choice.endpoint);
        const healthy = untried.some(({ node }) => !out.has(node));
        if (healthy) expect(out.has(choice.endpoint.node)).toBe(false);
      }),
      { numRuns: 1_000 },
    );
  });

  test("the same seed chooses the same endpoint", () => {
    fc.assert(
      fc.property(releases, fc.integer(), (list, seed) => {
        expect(choose(route(list), nothing, seed, seed)).toEqual(choose(route(list), nothing, seed, seed));
      }),
    );
  });
});
