// What a region's snapshot says: only what the region itself can serve, and the same facts as the same text.
import { describe, expect, it } from "vitest";
import { appId, instanceId, nodeId, releaseId, teamId } from "../../../bench/shared/gateway-world.ts";
import type { Route, RouteRelease } from "../../../contracts/route.ts";
import { assemble, outdated, regional } from "../../../core/ingress/assemble.ts";
import type { CellRoster } from "../../../core/messages.ts";

const release = (version: number, weight: number, nodes: readonly number[]): RouteRelease => ({
  release: releaseId(version),
  version,
  weight,
  endpoints: nodes.map((node) => ({
    instance: instanceId(version * 10 + node),
    generation: 1,
    node: nodeId(node),
    gatewayUrl: `http://n${node}`,
  })),
});
const route = (app: number, releases: RouteRelease[], version = 1): Route => ({
  app: appId(app),
  team: teamId(1),
  name: `app-${app}`,
  version,
  state: { kind: "serving", releases },
  atMs: 0,
});
const roster = (nodes: readonly number[], apps: readonly [app: number, version: number][]): CellRoster => ({
  nodes: nodes.map((node) => ({ node: nodeId(node), signKey: `key-${node}`, gatewayUrl: `http://n${node}` })),
  apps: apps.map(([app, routeVersion]) => ({ app: appId(app), routeVersion })),
  ports: [],
});
const weights = ({ state }: Route) =>
  state.kind === "serving"
    ? state.releases.map(({ version, weight, endpoints }) => [version, weight, endpoints.length])
    : state.kind;

describe("a route as one region can serve it", () => {
  const here = new Set([nodeId(1), nodeId(2)]);

  it("names endpoints there alone, and what has none leaves its share to the others", () => {
    const all = route(1, [release(1, 60, [1, 3]), release(2, 30, [2]), release(3, 10, [3])]);
    expect(weights(regional(all, here))).toEqual([
      [1, 67, 1],
      [2, 33, 1],
    ]);
  });

  it("keeps what is reached by name alone, which gets nobody else", () => {
    expect(weights(regional(route(1, [release(1, 100, [1]), release(2, 0, [2]), release(3, 0, [3])]), here))).toEqual([
      [1, 100, 1],
      [2, 0, 1],
    ]);
    const { state } = regional(route(1, [release(1, 100, [3]), release(2, 0, [2])]), here);
    expect(state).toMatchObject({ kind: "unavailable", reason: "no_ready_instance", releases: [{ version: 2 }] });
  });

  it("is unavailable, not unknown, where it has no endpoint there, and keeps the reason of one that is", () => {
    expect(regional(route(1, [release(1, 100, [3])]), here).state).toEqual({
      kind: "unavailable",
      reason: "no_ready_instance",
    });
    const maintained: Route = {
      ...route(1, []),
      state: { kind: "unavailable", reason: "maintenance", releases: [release(1, 100, [1])] },
    };
    expect(regional(maintained, here).state).toEqual(maintained.state);
  });
});

describe("a snapshot", () => {
  const routes = new Map([1, 2, 3].map((app) => [appId(app), route(app, [release(1, 100, [1])])]));
  const hostnames = new Map([
    [appId(1), ["b.test", "a.test"]],
    [appId(2), ["c.test"]],
  ]);

  it("is the same text whatever order its parts were told in", () => {
    const [one, other] = [
      roster([1], [[1, 1]]),
      roster(
        [2],
        [
          [2, 1],
          [1, 1],
        ],
      ),
    ];
    const first = assemble({ rosters: [one, other], routes, hostnames });
    expect(assemble({ rosters: [other, one], routes, hostnames })).toEqual(first);
    expect(first.nodes.map(({ node }) => node)).toEqual([nodeId(1), nodeId(2)]);
    expect(first.routes.map((each) => each.hostnames)).toEqual([["a.test", "b.test"], ["c.test"]]);
  });

  it("leaves out apps that no cell has, and those without a hostname", () => {
    const { routes: named } = assemble({
      rosters: [
        roster(
          [1],
          [
            [2, 1],
            [3, 1],
          ],
        ),
      ],
      routes,
      hostnames,
    });
    expect(named.map(({ route: { app } }) => app)).toEqual([appId(2)]);
  });

  it("gathers who holds a port, by port and app", () => {
    const held = (port: number, app: number, node: number) => ({
      port,
      app: appId(app),
      team: teamId(1),
      instance: instanceId(node),
      generation: 1,
      node: nodeId(node),
    });
    const { ports } = assemble({
      rosters: [{ ...roster([1, 2], []), ports: [held(7000, 1, 2), held(7000, 1, 1), held(81, 2, 1)] }],
      routes,
      hostnames,
    });
    expect(ports.map(({ port, endpoints }) => [port, endpoints.map(({ node }) => node)])).toEqual([
      [81, [nodeId(1)]],
      [7000, [nodeId(1), nodeId(2)]],
    ]);
  });

  it("asks of Apps what is unknown first, then what is old, and never more than it may", () => {
    const rosters = [
      roster(
        [1],
        [
          [1, 2],
          [2, 1],
          [4, 1],
        ],
      ),
      roster(
        [2],
        [
          [1, 1],
          [3, 5],
        ],
      ),
    ];
    expect(outdated(rosters, routes, 10)).toEqual([appId(4), appId(1), appId(3)]);
    expect(outdated(rosters, routes, 1)).toEqual([appId(4)]);
  });
});
