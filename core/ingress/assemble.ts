// What a region's snapshot says, from what its Cells and Apps said: in one order, so that the same facts are the same text.
import type { AppId, NodeId } from "../../contracts/ids.ts";
import { releasesOf, type Route, type RouteRelease } from "../../contracts/route.ts";
import type { Snapshot, SnapshotPort } from "../../contracts/snapshot.ts";
import type { CellRoster } from "../messages.ts";
import { apportion } from "../rollout/weights.ts";

export type SnapshotContent = Pick<Snapshot, "nodes" | "routes" | "ports">;

export interface Facts {
  readonly rosters: readonly CellRoster[];
  /** As their Apps say, or as the snapshot before has them. */
  readonly routes: ReadonlyMap<AppId, Route>;
  readonly hostnames: ReadonlyMap<AppId, readonly string[]>;
}

/** The apps whose routes the Cells were told of newer versions of, fewest known first: those of which nothing is known. */
export function outdated(rosters: readonly CellRoster[], known: ReadonlyMap<AppId, Route>, most: number): AppId[] {
  const wanted = newestVersions(rosters);
  const behind = [...wanted].flatMap(([app, version]) => {
    const has = known.get(app)?.version;
    return has === undefined || has < version ? [{ app, has: has ?? -1 }] : [];
  });
  return behind
    .sort((a, b) => Math.sign(a.has + 0.5) - Math.sign(b.has + 0.5))
    .slice(0, most)
    .map(({ app }) => app);
}

export function assemble({ rosters, routes, hostnames }: Facts): SnapshotContent {
  const nodes = rosters.flatMap((roster) => roster.nodes).sort((a, b) => compare(a.node, b.node));
  const here: ReadonlySet<NodeId> = new Set(nodes.map(({ node }) => node));
  const apps = [...newestVersions(rosters).keys()].sort(compare);
  return {
    nodes,
    routes: apps.flatMap((app) => {
      const route = routes.get(app);
      const names = [...(hostnames.get(app) ?? [])].sort(compare);
      return route === undefined || names.length === 0 ? [] : [{ hostnames: names, route: regional(route, here) }];
    }),
    ports: portsOf(rosters),
  };
}

/** The route as one region can serve it: what has no endpoint there leaves its share to the others. Weight 0: for who asks by name. */
export function regional(route: Route, here: ReadonlySet<NodeId>): Route {
  const { state } = route;
  if (state.kind === "waking") return route;
  const able = releasesOf(state)
    .map((release): RouteRelease => {
      return { ...release, endpoints: release.endpoints.filter(({ node }) => here.has(node)) };
    })
    .filter(({ endpoints }) => endpoints.length > 0);
  const serves = state.kind === "serving" && able.some(({ weight }) => weight > 0);
  if (!serves) {
    const reason = state.kind === "serving" ? "no_ready_instance" : state.reason;
    return { ...route, state: { kind: "unavailable", reason, ...(able.length > 0 ? { releases: able } : {}) } };
  }
  const weights = apportion(able.map(({ weight }) => ({ wanted: weight, able: true })));
  const releases = able.map((release, at) => ({ ...release, weight: weights[at] as number }));
  return { ...route, state: { ...state, releases } };
}

function newestVersions(rosters: readonly CellRoster[]): Map<AppId, number> {
  const newest = new Map<AppId, number>();
  for (const { apps } of rosters)
    for (const { app, routeVersion } of apps) newest.set(app, Math.max(newest.get(app) ?? 0, routeVersion));
  return newest;
}

function portsOf(rosters: readonly CellRoster[]): SnapshotPort[] {
  const byPort = new Map<string, SnapshotPort>();
  for (const { port, app, team, ...endpoint } of rosters.flatMap((roster) => roster.ports)) {
    const key = `${String(port).padStart(5, "0")} ${app}`;
    const known = byPort.get(key);
    if (known === undefined) byPort.set(key, { port, app, team, endpoints: [endpoint] });
    else known.endpoints.push(endpoint);
  }
  for (const { endpoints } of byPort.values()) endpoints.sort((a, b) => compare(a.instance, b.instance));
  return [...byPort].sort(([a], [b]) => compare(a, b)).map(([, port]) => port);
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
