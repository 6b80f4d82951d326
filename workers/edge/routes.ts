// The isolate's route book: hostname → app → route, from KV and the Host and App objects; stale if error, without end.
import { wildcardAbove } from "../../core/domains/hostname.ts";
import { freshness, newer, type RememberedRoute } from "../../core/routing/freshness.ts";
import { ROUTING_LIMITS } from "../../core/routing/limits.ts";
import { Hostname, type AppId } from "../../contracts/ids.ts";
import { HostRecord, hostKey, Route, routeKey } from "../../contracts/route.ts";
import type { EdgeEnv } from "./env.ts";
import { Flights } from "./flight.ts";

/** unknown_host: the Host object itself said that nobody has it. unreadable: nothing is remembered and nobody could be asked. */
export type Resolved =
  | { readonly kind: "route"; readonly route: Route }
  | { readonly kind: "unknown_host" }
  | { readonly kind: "unreadable" };

type KeepAlive = (promise: Promise<unknown>) => void;
interface RememberedHost {
  /** null: the Host object said so, at checkedAtMs. */
  readonly record: HostRecord | null;
  readonly checkedAtMs: number;
}

const limits = ROUTING_LIMITS;

export class RouteBook {
  readonly #hosts = new Map<string, RememberedHost>();
  readonly #routes = new Map<AppId, RememberedRoute>();
  /** When an App object last left a question unanswered. */
  readonly #silent = new Map<AppId, number>();
  readonly #hostReads = new Flights<RememberedHost>();
  readonly #routeReads = new Flights<Route>();

  /** The route that is good to use as it is, without a promise: the hot path. */
  fresh(hostname: string, nowMs: number): Route | null {
    const host = this.#hosts.get(hostname);
    if (host === undefined || host.record === null || nowMs - host.checkedAtMs >= limits.hostUsableMs) return null;
    const known = this.#routes.get(host.record.app);
    if (known === undefined || known.route.state.kind !== "serving" || known.namedVersion > known.route.version)
      return null;
    return freshness(known, nowMs, limits) === "use" ? known.route : null;
  }

  async resolve(hostname: string, env: EdgeEnv, keepAlive: KeepAlive): Promise<Resolved> {
    const host = await this.#host(hostname, env, keepAlive);
    if (host === null) return { kind: "unreadable" };
    if (host.record === null) return { kind: "unknown_host" };
    const route = await this.#route(host.record.app, env, keepAlive);
    if (route === null) return { kind: "unreadable" };
    if (route.state.kind === "unavailable" && route.state.reason === "destroyed")
      return this.#afterDestruction(hostname, host, route, env, keepAlive);
    return { kind: "route", route };
  }

  /** A destroyed app's hostname may be another's by now: only the Host object knows. */
  async #afterDestruction(
    hostname: string,
    host: RememberedHost,
    route: Route,
    env: EdgeEnv,
    keepAlive: KeepAlive,
  ): Promise<Resolved> {
    if (Date.now() - host.checkedAtMs < limits.recheckMs) return { kind: "route", route };
    const asked = await this.#hostReads.run(
      hostname,
      () => this.#askHost(hostname, env),
      limits.refreshWaitMs,
      keepAlive,
    );
    if (asked === null) return { kind: "route", route };
    if (asked.record === null) return { kind: "unknown_host" };
    if (asked.record.app === host.record?.app) return { kind: "route", route };
    const other = await this.#route(asked.record.app, env, keepAlive);
    return other === null ? { kind: "unreadable" } : { kind: "route", route: other };
  }

  async #host(hostname: string, env: EdgeEnv, keepAlive: KeepAlive): Promise<RememberedHost | null> {
    const known = this.#hosts.get(hostname);
    const ageMs = known === undefined ? Infinity : Date.now() - known.checkedAtMs;
    if (known !== undefined && ageMs < (known.record === null ? limits.recheckMs : limits.hostUsableMs)) return known;
    if (!Hostname.safeParse(hostname).success) return { record: null, checkedAtMs: Date.now() };
    const read = (): Promise<RememberedHost> => this.#readHost(hostname, env);
    if (known?.record) {
      // Known to be somebody's: good while it is being looked up again, however long that takes.
      void this.#hostReads.start(hostname, read, keepAlive);
      return known;
    }
    return (await this.#hostReads.run(hostname, read, limits.firstRouteWaitMs, keepAlive)) ?? null;
  }

  async #readHost(hostname: string, env: EdgeEnv): Promise<RememberedHost> {
    const found = HostRecord.safeParse(await readKv(env, hostKey(hostname)));
    if (!found.success || found.data.hostname !== hostname) return this.#askHost(hostname, env);
    return this.#rememberHost(hostname, found.data);
  }

  /** The hostname itself wins over the wildcard above it, which is read meanwhile. */
  async #askHost(hostname: string, env: EdgeEnv): Promise<RememberedHost> {
    const wildcard = wildcardAbove(hostname, env.BASE_DOMAIN);
    if (wildcard === null) return this.#rememberHost(hostname, await askOwner(hostname, env));
    const [own, above] = await Promise.allSettled([askOwner(hostname, env), this.#wildcard(wildcard, env)]);
    if (own.status === "fulfilled" && own.value !== null) return this.#rememberHost(hostname, own.value);
    // Its owner being silent, the wildcard's may serve it: whoever it belongs to alone is in KV.
    if (above.status === "fulfilled" && (above.value !== null || own.status === "fulfilled"))
      return this.#rememberHost(hostname, above.value);
    throw own.status === "rejected" ? own.reason : (above as PromiseRejectedResult).reason;
  }

  /** Remembered under its own name, so that the many hostnames below it read it once. */
  async #wildcard(wildcard: string, env: EdgeEnv): Promise<HostRecord | null> {
    const known = this.#hosts.get(wildcard);
    const ageMs = known === undefined ? Infinity : Date.now() - known.checkedAtMs;
    if (known !== undefined && ageMs < (known.record === null ? limits.recheckMs : limits.hostUsableMs))
      return known.record;
    const found = HostRecord.safeParse(await readKv(env, hostKey(wildcard)));
    const good = found.success && found.data.hostname === wildcard;
    return this.#rememberHost(wildcard, good ? found.data : await askOwner(wildcard, env)).record;
  }

  #rememberHost(hostname: string, record: HostRecord | null): RememberedHost {
    const host = { record, checkedAtMs: Date.now() };
    remember(this.#hosts, hostname, host);
    return host;
  }

  async #route(app: AppId, env: EdgeEnv, keepAlive: KeepAlive): Promise<Route | null> {
    const known = this.#routes.get(app);
    if (known === undefined) {
      const read = (): Promise<Route> => this.#readRoute(app, env);
      return this.#routeReads.run(app, read, limits.firstRouteWaitMs, keepAlive);
    }
    switch (freshness(known, Date.now(), limits)) {
      case "use":
        // A refresh after a gateway named a newer version is on its way: this request is the next one, so it waits for it.
        if (known.namedVersion > known.route.version) await this.#routeReads.join(app, this.#patienceMs(app));
        break;
      case "use_and_refresh":
        void this.#routeReads.start(app, () => this.#readRoute(app, env), keepAlive);
        break;
      case "refresh_first":
        await this.#routeReads.run(app, () => this.#readRoute(app, env), this.#patienceMs(app), keepAlive);
        break;
      case "ask_first":
        await this.refresh(app, env, keepAlive);
    }
    return this.#routes.get(app)?.route ?? known.route;
  }

  /** A gateway knows this version. Newer than ours: asks the App object at once, beside the request. */
  named(app: AppId, version: number, env: EdgeEnv, keepAlive: KeepAlive): void {
    const known = this.#routes.get(app);
    if (known === undefined || version <= known.route.version) return;
    if (version > known.namedVersion) this.#routes.set(app, { ...known, namedVersion: version });
    void this.#routeReads.start(app, () => this.#askApp(app, env), keepAlive);
  }

  /** What the App object says now; the remembered route where it says nothing in time. */
  async refresh(app: AppId, env: EdgeEnv, keepAlive: KeepAlive): Promise<Route | null> {
    const patienceMs = this.#patienceMs(app);
    const asked = await this.#routeReads.run(app, () => this.#askApp(app, env), patienceMs, keepAlive);
    if (asked === null && patienceMs > 0) remember(this.#silent, app, Date.now());
    return this.#routes.get(app)?.route ?? null;
  }

  /** As refresh, unless the app was asked about less than sinceMs ago. */
  async refreshOnceIn(app: AppId, sinceMs: number, env: EdgeEnv, keepAlive: KeepAlive): Promise<Route | null> {
    const known = this.#routes.get(app);
    if (known !== undefined && Date.now() - known.checkedAtMs < sinceMs) return known.route;
    return this.refresh(app, env, keepAlive);
  }

  /** Whether the route at hand may be an old one, because nobody could be asked. */
  isUnconfirmed(app: AppId): boolean {
    return this.#patienceMs(app) === 0;
  }

  /** While an App object is silent its route is asked for beside the requests, which do not wait for it each time. */
  #patienceMs(app: AppId): number {
    return Date.now() - (this.#silent.get(app) ?? -Infinity) < limits.silentMs ? 0 : limits.refreshWaitMs;
  }

  async #readRoute(app: AppId, env: EdgeEnv): Promise<Route> {
    const found = Route.safeParse(await readKv(env, routeKey(app)));
    const known = this.#routes.get(app);
    // Without anybody to serve, or older than what a gateway named, KV's copy is no answer: it may be a minute old.
    const good =
      found.success &&
      found.data.app === app &&
      found.data.state.kind === "serving" &&
      (known === undefined || found.data.version >= Math.max(known.route.version, known.namedVersion));
    return good ? this.#rememberRoute(app, found.data) : this.#askApp(app, env);
  }

  async #askApp(app: AppId, env: EdgeEnv): Promise<Route> {
    const known = this.#routes.get(app);
    // Marked as asked before the answer, so that a silent object is not asked by every request.
    if (known !== undefined) this.#routes.set(app, { ...known, checkedAtMs: Date.now() });
    const answer = await env.APP.getByName(app).route();
    this.#silent.delete(app);
    if (!answer.ok) throw new Error(answer.failure.message);
    return this.#rememberRoute(app, answer.value);
  }

  #rememberRoute(app: AppId, read: Route): Route {
    const known = this.#routes.get(app);
    const route = newer(known?.route ?? null, read);
    remember(this.#routes, app, {
      route,
      checkedAtMs: Date.now(),
      namedVersion: Math.max(known?.namedVersion ?? 0, route.version),
    });
    return route;
  }
}

/** Beyond the bound the one that was written longest ago is forgotten. */
function remember<Key, Value>(map: Map<Key, Value>, key: Key, value: Value): void {
  map.delete(key);
  if (map.size >= limits.routesMax) map.delete(map.keys().next().value as Key);
  map.set(key, value);
}

async function askOwner(hostname: string, env: EdgeEnv): Promise<HostRecord | null> {
  const answer = await env.HOST.getByName(hostname).resolve({ hostname });
  if (!answer.ok) throw new Error(answer.failure.message);
  return answer.value;
}

/** null for an absent key and for KV being out of reach: the objects are asked then. */
async function readKv(env: EdgeEnv, key: string): Promise<unknown> {
  try {
    return await env.ROUTES.get(key, { type: "json", cacheTtl: limits.kvCacheSeconds });
  } catch {
    return null;
  }
}
