// The edge Worker: app traffic. Hostname → route → instance; its own pages where there is none.
import { PREVIEW_PATH } from "../../contracts/override.ts";
import { GATEWAY_PREFIX } from "../../contracts/ticket.ts";
import type { EdgeEnv } from "./env.ts";
import { freshKeyed, keyedEnv } from "./keyed.ts";
import { hostOf, visitorOf } from "./forwarded.ts";
import { page } from "./pages.ts";
import { RouteBook } from "./routes.ts";
import { serve } from "./serve.ts";

const routes = new RouteBook();

export default {
  async fetch(incoming: Request, given: EdgeEnv, ctx: ExecutionContext): Promise<Response> {
    // A copy whose headers can be read and written, and which is sent on as it is.
    const request = new Request(incoming);
    const visitor = visitorOf(request);
    const { path } = visitor;
    // `OPTIONS *` and its like are about no path of an app.
    if (!path.startsWith("/")) return page("malformed_request", request, visitor.requestId);
    const { hostname, reserved, preview } = hostOf(visitor.host);
    if (path.startsWith(GATEWAY_PREFIX)) {
      const [own] = path.split("?", 1);
      if (own === `${GATEWAY_PREFIX}edge/health`) return healthy();
      if (own !== PREVIEW_PATH || preview === null) return page("reserved_path", request, visitor.requestId);
    }
    // `/healthz` is the edge's own where there can be no app.
    if (reserved) return path === "/healthz" ? healthy() : page("unknown_host", request, visitor.requestId);
    try {
      const keepAlive = (promise: Promise<unknown>): void => ctx.waitUntil(promise);
      const env = freshKeyed() ?? (await keyedEnv(given, keepAlive));
      const nowMs = Date.now();
      const fresh = routes.fresh(hostname, nowMs);
      if (fresh !== null) return await serve({ request, visitor, preview, env, routes, keepAlive }, fresh, nowMs);
      const resolved = await routes.resolve(hostname, env, keepAlive);
      switch (resolved.kind) {
        case "unknown_host":
          return page("unknown_host", request, visitor.requestId);
        case "unreadable":
          return page("route_unreadable", request, visitor.requestId);
        case "route":
          return await serve({ request, visitor, preview, env, routes, keepAlive }, resolved.route, Date.now());
      }
    } catch (error) {
      console.error(JSON.stringify({ requestId: visitor.requestId, hostname, error: String(error) }));
      return page("internal", request, visitor.requestId);
    }
  },
} satisfies ExportedHandler<EdgeEnv>;

const healthy = (): Response => Response.json({ status: "ok" }, { headers: { "cache-control": "no-store" } });
