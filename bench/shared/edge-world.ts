// The edge Worker in a workerd of its own, with KV and with owners of routes and hostnames that say what they are told to say.
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { convertV4MiniflareOptions, Log, LogLevel, Miniflare } from "miniflare";
import type { AppId, InstanceId, TeamId } from "../../contracts/ids.ts";
import { hostKey, routeKey, type Route, type RouteRelease } from "../../contracts/route.ts";
import { choosePort } from "../../dev/ports.ts";
import { madeOnce } from "../../dev/stack/made-once.ts";
import { bundleWorker } from "../../self-hosted/build/bundle.ts";
import { readWranglerConfig } from "../../self-hosted/build/wrangler-config.ts";
import type { SigningKey } from "./gateway-world.ts";

type Options = Parameters<typeof convertV4MiniflareOptions>[0];

/** App and Host as far as the edge knows them. `said`: the value to answer; `broken`: to throw; `silent`: never to answer. */
const OWNERS_SCRIPT = `
import { DurableObject } from "cloudflare:workers";
class Owner extends DurableObject {
  mode = "said"; value = null; asked = 0;
  set(mode, value) { this.mode = mode; if (value !== undefined) this.value = value; }
  count() { return this.asked; }
  async answer() {
    this.asked++;
    if (this.mode === "broken") throw new Error("the object is broken");
    if (this.mode === "silent") await new Promise((resolve) => setTimeout(resolve, 60_000));
    return { ok: true, value: this.value };
  }
}
export class App extends Owner {
  route() { return this.answer(); }
  async reportUnreachable(report) {
    await this.ctx.storage.put("reports", [...(await this.reports()), report]);
    return { ok: true, value: null };
  }
  async reports() { return (await this.ctx.storage.get("reports")) ?? []; }
}
export class Host extends Owner { resolve() { return this.answer(); } }
export default {
  async fetch(request, env) {
    const { pathname } = new URL(request.url);
    const [, kind, name] = pathname.split("/");
    const owner = (kind === "host" ? env.HOST : env.APP).getByName(name);
    if (request.method === "GET") return Response.json(kind === "reports" ? await owner.reports() : await owner.count());
    const { mode, value } = await request.json();
    await owner.set(mode, value);
    return new Response();
  },
};`;

/** What a bare pass-through costs in the same workerd: the edge is measured against it. */
const BARE_SCRIPT = `
export default { fetch: (request, env) => {
  const { url } = request;
  return fetch(env.UPSTREAM + url.slice(url.indexOf("/", 8)), request);
} };`;

export type OwnerMode = "said" | "broken" | "silent";

export interface EdgeWorld {
  readonly port: number;
  readonly url: string;
  /** Bare pass-through Workers, by the names of their upstreams. */
  readonly barePorts: Readonly<Record<string, number>>;
  /** What the App object answers from now on, and whether KV has it too. */
  setRoute(route: Route, wish?: { kv?: boolean }): Promise<void>;
  setHost(hostname: string, record: { app: AppId; team: TeamId } | null, wish?: { kv?: boolean }): Promise<void>;
  setMode(kind: "app" | "host", name: string, mode: OwnerMode): Promise<void>;
  /** How often an object was asked. */
  asked(kind: "app" | "host", name: string): Promise<number>;
  /** What the App object was told of instances that could not be reached. */
  reports(app: AppId): Promise<{ instance: InstanceId; generation: number; kind: string; atMs: number }[]>;
  stop(): Promise<void>;
}

export async function startEdge(
  key: SigningKey,
  wish: { upstreams?: Readonly<Record<string, string>> } = {},
): Promise<EdgeWorld> {
  const dir = await mkdtemp(join(tmpdir(), "berth-edge-"));
  const config = readWranglerConfig(new URL("../../workers/edge/wrangler.toml", import.meta.url).pathname);
  const kept = process.env.BERTH_KEPT_BUNDLES_DIR;
  await madeOnce(kept, "edge.mjs", join(dir, "edge.mjs"), (path) => bundleWorker(config.mainPath, path, config));
  const port = await freePort();
  const barePorts: Record<string, number> = {};
  for (const name of Object.keys(wish.upstreams ?? {})) barePorts[name] = await freePort();
  const { compatibilityDate, compatibilityFlags } = config.options;
  const shared = { modules: true, compatibilityDate, compatibilityFlags };
  const bare = Object.entries(wish.upstreams ?? {}).map(([name, upstream]) => ({
    ...shared,
    name,
    script: BARE_SCRIPT,
    bindings: { UPSTREAM: upstream },
    stripCfConnectingIp: false,
    unsafeDirectSockets: [{ host: "127.0.0.1", port: barePorts[name] }],
  }));
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      host: "127.0.0.1",
      port: 0,
      cf: false,
      log: new Log(LogLevel.ERROR),
      logRequests: false,
      workers: [
        {
          ...shared,
          name: "berth-control",
          script: OWNERS_SCRIPT,
          kvNamespaces: config.options.kvNamespaces,
          durableObjects: { APP: { className: "App", useSQLite: true }, HOST: { className: "Host", useSQLite: true } },
        },
        {
          ...config.options,
          ...shared,
          name: config.name,
          script: await readFile(join(dir, "edge.mjs"), "utf8"),
          bindings: { ...config.vars, TICKET_SIGNING_KEY: key.secret },
          stripCfConnectingIp: false,
          unsafeDirectSockets: [{ host: "127.0.0.1", port }],
        },
        ...bare,
      ],
    } as Options),
  );
  await miniflare.ready;
  return ownersOf(miniflare, { port, barePorts, dir });
}

async function ownersOf(
  miniflare: Miniflare,
  { port, barePorts, dir }: Pick<EdgeWorld, "port" | "barePorts"> & { readonly dir: string },
): Promise<EdgeWorld> {
  const kv = await miniflare.getKVNamespace("ROUTES", "berth-control");
  const tell = async (kind: string, name: string, mode: OwnerMode, value?: unknown): Promise<void> => {
    const body = JSON.stringify({ mode, value });
    await miniflare.dispatchFetch(`http://owners/${kind}/${name}`, { method: "PUT", body });
  };
  return {
    port,
    barePorts,
    url: `http://127.0.0.1:${port}`,
    setRoute: async (route, { kv: inKv = true } = {}) => {
      await tell("app", route.app, "said", route);
      if (inKv) await kv.put(routeKey(route.app), JSON.stringify(route));
    },
    setHost: async (hostname, record, { kv: inKv = true } = {}) => {
      const value = record === null ? null : { hostname, ...record };
      await tell("host", hostname, "said", value);
      if (inKv && value !== null) await kv.put(hostKey(hostname), JSON.stringify(value));
    },
    setMode: (kind, name, mode) => tell(kind, name, mode),
    asked: async (kind, name) =>
      (await miniflare.dispatchFetch(`http://owners/${kind}/${name}`)).json() as Promise<number>,
    reports: async (app) =>
      (await miniflare.dispatchFetch(`http://owners/reports/${app}`)).json() as ReturnType<EdgeWorld["reports"]>,
    stop: async () => {
      await miniflare.dispose();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

export function servingRoute(
  at: { app: AppId; team: TeamId; version: number },
  releases: readonly RouteRelease[],
): Route {
  return { ...at, name: "hello", state: { kind: "serving", releases: [...releases] }, atMs: 0 };
}

export const freePort = (): Promise<number> => choosePort([]);
