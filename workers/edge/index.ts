// The edge Worker: app traffic. Hostname → route → instance; its own pages where there is none.
import { GATEWAY_PREFIX } from "../../contracts/ticket.ts";
import type { EdgeEnv } from "./env.ts";
import { hostnameOf, visitorOf } from "./forwarded.ts";
import { page } from "./pages.ts";
import { RouteBook } from "./routes.ts";
import { serve } from "./serve.ts";

const routes = new RouteBook();

/** Hosts that can never be an app's: one label or an address. `/healthz` is the edge's own there. */
const RESERVED_HOST = /^(?:[^.]+|\d+\.\d+\.\d+\.\d+|\[.*\])$/;

export default {
  async fetch(request: Request, env: EdgeEnv, ctx: ExecutionContext): Promise<Response> {
    const visitor = visitorOf(request);
    const { path } = visitor;
    const hostname = hostnameOf(visitor.host);
    if (path.startsWith(GATEWAY_PREFIX)) {
      return path.split("?", 1)[0] === `${GATEWAY_PREFIX}edge/health`
        ? healthy()
        : page("reserved_path", request, visitor.requestId);
    }
    if (RESERVED_HOST.test(hostname))
      return path === "/healthz" ? healthy() : page("unknown_host", request, visitor.requestId);
    try {
      const keepAlive = (promise: Promise<unknown>): void => ctx.waitUntil(promise);
      const fresh = routes.fresh(hostname);
      if (fresh !== null) return await serve({ request, visitor, env, routes, keepAlive }, fresh);
      const resolved = await routes.resolve(hostname, env, keepAlive);
      switch (resolved.kind) {
        case "unknown_host":
          return page("unknown_host", request, visitor.requestId);
        case "unreadable":
          return page("route_unreadable", request, visitor.requestId);
        case "route":
          return await serve({ request, visitor, env, routes, keepAlive }, resolved.route);
      }
    } catch (error) {
      console.error(JSON.stringify({ requestId: visitor.requestId, hostname, error: String(error) }));
      return page("internal", request, visitor.requestId);
    }
  },
} satisfies ExportedHandler<EdgeEnv>;

const healthy = (): Response => Response.json({ status: "ok" }, { headers: { "cache-control": "no-store" } });
