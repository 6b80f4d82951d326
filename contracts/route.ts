// The route: what the edge needs to serve one app. Written by the App object; read from KV `r:<app>` and isolate caches.
import { z } from "zod";
import { AppId, AtMs, InstanceId, NodeId, ReleaseId, TeamId } from "./ids.ts";

/** One ready instance behind one node's gateway. gatewayUrl: the gateway's origin, `http(s)://name:port`. */
export const Endpoint = z.object({
  instance: InstanceId,
  generation: z.int().positive(),
  node: NodeId,
  gatewayUrl: z.string(),
});
export type Endpoint = z.infer<typeof Endpoint>;

/** Integer weights sum to exactly 100 over a serving route (invariant 6); weight > 0 needs at least one endpoint. */
export const RouteRelease = z.object({
  release: ReleaseId,
  version: z.int().positive(),
  weight: z.int().min(0).max(100),
  endpoints: z.array(Endpoint),
});
export type RouteRelease = z.infer<typeof RouteRelease>;

/** version only rises; a lower one than known is ignored by every reader. */
export const Route = z.object({
  app: AppId,
  team: TeamId,
  name: z.string(),
  version: z.int().nonnegative(),
  state: z.discriminatedUnion("kind", [
    z.object({ kind: z.literal("serving"), releases: z.array(RouteRelease).min(1) }),
    z.object({ kind: z.literal("waking") }),
    z.object({
      kind: z.literal("unavailable"),
      reason: z.enum(["never_deployed", "starting", "no_ready_instance", "scaled_to_zero", "destroyed"]),
    }),
  ]),
  atMs: AtMs,
});
export type Route = z.infer<typeof Route>;

/** KV keys. `h:` → HostRecord, `r:` → Route. */
export const hostKey = (hostname: string): string => `h:${hostname}`;
export const routeKey = (app: AppId): string => `r:${app}`;

/** Which app a hostname belongs to; owned by the Host object, copied to KV. */
export const HostRecord = z.object({ hostname: z.string(), app: AppId, team: TeamId });
export type HostRecord = z.infer<typeof HostRecord>;
