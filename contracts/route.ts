// The route: what the edge needs to serve one app. Written by the App object; read from KV `r:<app>` and isolate caches.
import { z } from "zod";
import { AppId, AtMs, InstanceId, NodeId, RegionName, ReleaseId, TeamId } from "./ids.ts";
import { Sticky } from "./release.ts";

/** One ready instance behind one node's gateway. gatewayUrl: the gateway's origin, `http(s)://name:port`. region: of an app in several. */
export const Endpoint = z.object({
  instance: InstanceId,
  generation: z.int().positive(),
  node: NodeId,
  gatewayUrl: z.string(),
  region: RegionName.optional(),
});
export type Endpoint = z.infer<typeof Endpoint>;

/**
 * Integer weights sum to exactly 100 over a serving route (invariant 6); weight > 0 needs at least one endpoint. Weight 0: nobody gets
 * there but by its own name (a preview; what is kept warm). bodyBytesMax: larger requests are refused. preview: absent, a signed link or
 * header is asked of whoever comes by its name.
 */
export const RouteRelease = z.object({
  release: ReleaseId,
  version: z.int().positive(),
  weight: z.int().min(0).max(100),
  endpoints: z.array(Endpoint),
  bodyBytesMax: z.int().nonnegative().optional(),
  preview: z.literal("open").optional(),
});
export type RouteRelease = z.infer<typeof RouteRelease>;

/**
 * version only rises; a lower one than known is ignored by every reader. releases of an app in maintenance: as they would serve, for who
 * comes by a release's name.
 */
export const Route = z.object({
  app: AppId,
  team: TeamId,
  name: z.string(),
  version: z.int().nonnegative(),
  state: z.discriminatedUnion("kind", [
    z.object({
      kind: z.literal("serving"),
      releases: z.array(RouteRelease).min(1),
      sticky: Sticky.optional(),
    }),
    z.object({ kind: z.literal("waking") }),
    z.object({
      kind: z.literal("unavailable"),
      reason: z.enum(["never_deployed", "starting", "no_ready_instance", "scaled_to_zero", "destroyed", "maintenance"]),
      releases: z.array(RouteRelease).optional(),
    }),
  ]),
  atMs: AtMs,
});
export type Route = z.infer<typeof Route>;

/** All that can be reached by name. */
export const releasesOf = (state: Route["state"]): readonly RouteRelease[] =>
  state.kind === "waking" ? [] : (state.releases ?? []);

/** KV keys. `h:` → HostRecord, `r:` → Route. */
export const hostKey = (hostname: string): string => `h:${hostname}`;
export const routeKey = (app: AppId): string => `r:${app}`;

/** Which app a hostname belongs to; owned by the Host object, copied to KV. */
export const HostRecord = z.object({ hostname: z.string(), app: AppId, team: TeamId });
export type HostRecord = z.infer<typeof HostRecord>;
