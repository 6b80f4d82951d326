// Files of relaying: to whom the gateway of a node that cannot be reached dials, and whom a gateway relays for.
import { z } from "zod";
import { NodeId } from "../../contracts/ids.ts";
import { RelayOffer } from "../../contracts/relay.ts";

/** In the agent's folder, for the node's own eyes alone. Absent: this node is reached directly. */
export const RELAY_FILE = "relay.json";

/** key: the private half, a JWK; made for this alone, so that no process but the agent needs the node's own. */
export const RelayFile = z.object({
  key: z.object({ kty: z.literal("OKP"), crv: z.literal("Ed25519"), x: z.string(), d: z.string() }),
  relays: z.array(RelayOffer),
});
export type RelayFile = z.infer<typeof RelayFile>;

/** Beside it, of a gateway for its successor: who has a connection to it. */
export const RELAYED_FILE = "relayed.json";
export const Known = z.object({ nodes: z.array(NodeId) });
export type Known = z.infer<typeof Known>;
