// The edge Worker: app traffic. Hostname → route → instance; its own pages where there is none.
import { GATEWAY_PREFIX } from "../../contracts/ticket.ts";
import type { EdgeEnv } from "./env.ts";
import { hostOf, visitorOf } from "./forwarded.ts";
import { page } from "./pages.ts";
import { RouteBook } from "./routes.ts";
import { serve } from "./serve.ts";

const routes = new RouteBook();

export default {
  async fetch(request: Request, env: EdgeEnv, ctx: ExecutionContext): Promise<Response> {
    const visitor = visitorOf(request);
    const { path } = visitor;
    const { hostname, reserved } = hostOf(visitor.host);
    if (path.startsWith(GATEWAY_PREFIX)) {
      return path.split("?", 1)[0] === `${GATEWAY_PREFIX}edge/health`
        ? healthy()
        : page("reserved_path", request, visitor.requestId);
    }
    // `/healthz` is the edge's own where there can be no app.
    if (reserved) return path === "/healthz" ? healthy() : page("unknown_host", request, visitor.requestId);
    try {
      const keepAlive = (promise: Promise<unknown>): void => ctx.waitUntil(promise);
      const nowMs = Date.now();
      const fresh = routes.fresh(hostname, nowMs);
      if (fresh !== null) return await serve({ request, visitor, env, routes, keepAlive }, fresh, nowMs);
      const resolved = await routes.resolve(hostname, env, keepAlive);
      switch (resolved.kind) {
        case "unknown_host":
          return page("unknown_host", request, visitor.requestId);
        case "unreadable":
          return page("route_unreadable", request, visitor.requestId);
        case "route":
          return await serve({ request, visitor, env, routes, keepAlive }, resolved.route, Date.now());
      }
    } catch (error) {
      console.error(JSON.stringify({ requestId: visitor.requestId, hostname, error: String(error) }));
      return page("internal", request, visitor.requestId);
    }
  },
} satisfies ExportedHandler<EdgeEnv>;

const healthy = (): Response => Response.json({ status: "ok" }, { headers: { "cache-control": "no-store" } });
