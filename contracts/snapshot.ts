// The snapshot of a region: who its nodes are and what its gateways may serve when nothing else answers. Readers ignore unknown keys.
import { z } from "zod";
import { PublicKeyX } from "./agent-protocol.ts";
import { AppId, AtMs, InstanceId, NodeId, RegionName, TeamId } from "./ids.ts";
import { Route } from "./route.ts";
import { TicketClaims } from "./ticket.ts";

/** GET /agent/v1/snapshot?have=<version>&least=<version it was told of> → the newest, or 204: that one is. A compact JWS by the ticket key over gzipped JSON. */
export const SNAPSHOT_PATH = "/agent/v1/snapshot";
export const SNAPSHOT_TYP = "berth-snapshot";
/** Unpacked: 20,000 routes of two releases with four endpoints. */
export const SNAPSHOT_BYTES_MAX = 64 * 1024 * 1024;

/** signKey: by which its tickets to its peers are checked. */
export const SnapshotNode = z.object({ node: NodeId, signKey: PublicKeyX, gatewayUrl: z.string() });
export type SnapshotNode = z.infer<typeof SnapshotNode>;

/** An app's hostnames, and its route as far as this region serves it: endpoints on the snapshot's nodes alone. */
export const SnapshotRoute = z.object({ hostnames: z.array(z.string()), route: Route });
export type SnapshotRoute = z.infer<typeof SnapshotRoute>;

/** A TCP port that instances of an app hold on their nodes. */
export const SnapshotPort = z.object({
  port: z.int().min(1).max(65_535),
  app: AppId,
  team: TeamId,
  endpoints: z.array(z.object({ instance: InstanceId, generation: z.int().positive(), node: NodeId })),
});
export type SnapshotPort = z.infer<typeof SnapshotPort>;

/** version only rises, per region; a lower one than known is refused by every reader. */
export const Snapshot = z.object({
  region: RegionName,
  version: z.int().positive(),
  atMs: AtMs,
  /** Below which the platform's own hostnames are. */
  baseDomain: z.string().optional(),
  nodes: z.array(SnapshotNode),
  routes: z.array(SnapshotRoute),
  ports: z.array(SnapshotPort).default([]),
});
export type Snapshot = z.infer<typeof Snapshot>;

/**
 * A peer ticket: as a ticket, but signed by the key of the node that forwards (iss), for a visitor's request and nothing else. It is
 * accepted while that node is in the snapshot of the region.
 */
export const PEER_TYP = "berth-peer+jwt";
export const PeerClaims = TicketClaims.omit({ iss: true }).extend({
  iss: NodeId,
  use: z.enum(["app", "tcp"]),
});
export type PeerClaims = z.infer<typeof PeerClaims>;
