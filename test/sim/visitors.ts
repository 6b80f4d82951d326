// Visitors of the apps, through an edge that chooses by the shipped code over routes that may be stale; what became of each request.
import { instanceKey } from "../../contracts/desired.ts";
import type { AppId } from "../../contracts/ids.ts";
import type { Endpoint, Route } from "../../contracts/route.ts";
import { choose } from "../../core/routing/choose.ts";
import { answered, ejected, standing, type Ejection } from "../../core/routing/ejections.ts";
import { ROUTING_LIMITS } from "../../core/routing/limits.ts";
import type { AppSite, Cluster } from "./cluster.ts";
import type { World } from "./world.ts";

/** An isolate's copy and KV's together: well within the simulated drain, as 60 s are within 90 s. */
const FRESH_MS = 1_500;
const KV_LAG_MS = 2_500;
const TRIES_MAX = 3;

interface Request {
  readonly site: AppSite;
  readonly isRepeatable: boolean;
  /** instanceKey of each endpoint that was tried in vain. */
  readonly tried: Set<string>;
}

interface Known {
  readonly route: Route;
  readonly readAtMs: number;
}

export class Visitors {
  readonly faults: string[] = [];
  isActive = true;
  private readonly known = new Map<AppId, Known>();
  private readonly held = new Map<string, Ejection>();
  private readonly reportedUntilMs = new Map<string, number>();
  private readonly world: World;
  private readonly cluster: Cluster;
  /** Where nothing breaks, nothing fails. */
  private readonly isCalm: boolean;

  constructor(world: World, cluster: Cluster, isCalm: boolean) {
    this.world = world;
    this.cluster = cluster;
    this.isCalm = isCalm;
  }

  start(): void {
    for (const site of this.cluster.apps.values()) {
      this.world.every(
        200,
        900,
        () => this.visit(site),
        () => !this.isActive,
      );
    }
  }

  private visit(site: AppSite): void {
    const route = this.routeOf(site.id);
    if (route?.state.kind !== "serving") return;
    this.attempt({ site, isRepeatable: this.world.chance(0.7), tried: new Set() }, route);
  }

  /** KV copies appear at an edge a while after they were written. */
  routeOf(app: AppId): Route | null {
    const { nowMs } = this.world;
    const known = this.known.get(app);
    if (known && nowMs - known.readAtMs < FRESH_MS) return known.route;
    const written = this.cluster.kv.get(app);
    if (!written) return null;
    const visible = written.findLast(({ atMs }) => atMs + KV_LAG_MS <= nowMs) ?? written[0]!;
    const route = known && known.route.version > visible.route.version ? known.route : visible.route;
    this.known.set(app, { route, readAtMs: nowMs });
    return route;
  }

  private attempt(request: Request, route: Route): void {
    const { world } = this;
    const { site, tried } = request;
    // Scaled to nothing, or destroyed, since the older route was read.
    if (route.state.kind !== "serving") return world.happened("request to an app that is off");
    const avoids = (endpoint: Endpoint): boolean =>
      standing(this.held.get(endpoint.node), world.nowMs) === "out" ||
      standing(this.held.get(instanceKey(endpoint)), world.nowMs) === "out";
    const draw = (): number => Math.floor(world.random() * 2 ** 32);
    const choice = choose(route, { tried, avoids, load: () => 0 }, draw(), draw());
    if (choice.kind === "none" || tried.size >= TRIES_MAX) return this.failed(site, route);
    this.send(request, route, choice.endpoint);
  }

  /** The ticket names app, instance and generation; the gateway answers for that one alone. */
  private send(request: Request, route: Route, endpoint: Endpoint): void {
    const { world, cluster } = this;
    const { site, tried, isRepeatable } = request;
    const { node, instance, generation } = endpoint;
    const key = instanceKey(endpoint);
    tried.add(key);
    const machine = cluster.machines.get(node)!;
    const isCut = cluster.network.isCut("edge", machine.name) || cluster.network.isCut(machine.name, "edge");
    const answer = isCut ? null : machine.serve(instance, generation);
    const sentAtMs = world.nowMs;
    if (answer === 200) {
      const served = machine.gateway.rows().find((row) => row.instance === instance);
      if (served?.app !== site.id) this.faults.push(`8: ${machine.name} served ${site.host.name} with another app`);
      if (!machine.saidReady.has(key)) this.faults.push(`7: ${key} served a request and was never reported ready`);
      this.settle(node, answered(this.held.get(node), sentAtMs, world.nowMs, ROUTING_LIMITS));
      this.settle(key, answered(this.held.get(key), sentAtMs, world.nowMs, ROUTING_LIMITS));
      return world.happened("request served");
    }
    world.happened(`request tried: ${answer ?? "no answer"}`);
    if (answer === null || answer === 502) this.eject(site, endpoint, answer === null ? node : key, answer === null);
    // A body that was sent on cannot be sent again.
    if (!isRepeatable && answer !== null) return this.failed(site, route);
    if (answer === 421) return this.askFirst(site, (newer) => this.attempt(request, newer ?? route));
    world.after(answer === null ? 300 : 5, () => this.attempt(request, route));
  }

  /** The instance has gone, so that the route is old: the App object has the newest. */
  private askFirst(site: AppSite, then: (route: Route | null) => void): void {
    this.cluster.network.call<unknown>(
      { from: "edge", to: site.host.name },
      () => site.host.take({ kind: "route", input: {} }),
      (reply) => {
        const { value: route } = reply as { value: Route };
        const known = this.known.get(site.id);
        if (!known || route.version >= known.route.version) {
          this.known.set(site.id, { route, readAtMs: this.world.nowMs });
        }
        then(route);
      },
      () => then(null),
    );
  }
  private settle(key: string, state: Ejection | undefined): void {
    if (state) this.held.set(key, state);
    else this.held.delete(key);
  }

  private eject(site: AppSite, endpoint: Endpoint, key: string, isConnect: boolean): void {
    const { nowMs } = this.world;
    const out = ejected(this.held.get(key), nowMs, ROUTING_LIMITS);
    this.held.set(key, out);
    if (nowMs < (this.reportedUntilMs.get(instanceKey(endpoint)) ?? 0)) return;
    this.reportedUntilMs.set(instanceKey(endpoint), Math.max(out.untilMs, nowMs + ROUTING_LIMITS.reportEveryMs));
    const { instance, generation } = endpoint;
    const input = {
      instance,
      generation,
      kind: isConnect ? ("connect" as const) : ("gateway_5xx" as const),
      atMs: nowMs,
    };
    this.cluster.network.send("edge", site.host.name, () => void site.host.take({ kind: "reportUnreachable", input }));
  }

  /** Zero failed requests are promised for planned moves; what crashes and power cuts fail is counted apart. */
  private failed(site: AppSite, route: Route): void {
    this.world.happened("request failed");
    // Whoever destroys an app wants it to stop.
    if (site.host.tables.app.get("app")?.phase !== "live") return;
    if (this.isCalm && !site.isAlone) {
      this.faults.push(`moves: a request of ${site.host.name} by route v${route.version} failed, though nothing broke`);
    }
  }
}
