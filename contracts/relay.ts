// The relay: how a node that cannot be reached is reached through another one's gateway, over a connection that it keeps to it.
import { z } from "zod";
import { PublicKeyX } from "./agent-protocol.ts";
import { AtMs, NodeId } from "./ids.ts";

/**
 * `GET /.berth/relay` at the relaying node's gateway, `upgrade: berth-relay`, with RELAY_HEADER `<grant> <proof>`; after the 101 the
 * node that dialled is an HTTP/2 server on the connection. Each stream is one CONNECT without a target: a connection to its gateway,
 * on which HTTP/1.1 is spoken as on any other, and a ticket asked for.
 */
export const RELAY_PATH = "/.berth/relay";
export const RELAY_UPGRADE = "berth-relay";
export const RELAY_HEADER = "berth-relay";
/** `/.berth/health?node=<id>`: that node's own answer, asked through its connection. */
export const HEALTH_NODE = "node";
export const healthPath = (node: NodeId): string => `/.berth/health?${HEALTH_NODE}=${node}`;
export const healthUrl = (gatewayUrl: string, node: NodeId): string => gatewayUrl + healthPath(node);

/**
 * A JWT by the ticket key: this node (sub) may keep a connection to that one's gateway (aud), if it has the key with that thumbprint.
 * Good for a day and renewed hourly, so that a control plane that is away for hours cuts nobody off.
 */
export const RELAY_GRANT_TYP = "berth-relay+jwt";
export const RELAY_GRANT_TTL_MS = 86_400_000;
export const RelayGrantClaims = z.object({ aud: NodeId, sub: NodeId, cnf: z.object({ jkt: z.string() }) });

/** A JWT by that key (its header has the `jwk`), made for one dial: aud = the relaying node, iat, jti. */
export const RELAY_PROOF_TYP = "berth-relay-proof+jwt";

/**
 * POST /agent/v1/relay, by a node that cannot be reached: through whom is it? key: its relay key. held: to whom it has a connection just
 * now, of those it was told; the control plane has the edge come by the first of them that it prefers.
 */
export const RelayRequest = z.object({ protocol: z.int(), key: PublicKeyX, held: z.array(NodeId).max(8) });
export const RelayOffer = z.object({
  node: NodeId,
  name: z.string(),
  gatewayUrl: z.url(),
  grant: z.string().max(2_048),
});
export type RelayOffer = z.infer<typeof RelayOffer>;
/** relays: best first. through: by which of them the edge comes from now on; null while no connection is held. */
export const RelayResponse = z.object({ relays: z.array(RelayOffer), through: NodeId.nullable(), nowMs: AtMs });
export type RelayResponse = z.infer<typeof RelayResponse>;

/** How a node is shown to be reached. relay: through whom the edge comes, and to how many relays the node has a connection. */
export const ShownReach = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("cloudflared") }),
  z.object({
    kind: z.literal("relay"),
    through: z.object({ id: NodeId, name: z.string() }).nullable(),
    held: z.int(),
  }),
]);
