// What a node says of the keys that it has, and what it hears that it should have.
import { z } from "zod";
import { TicketKey } from "./agent-protocol.ts";
import { AtMs } from "./ids.ts";

/**
 * POST /agent/v1/keys, every few minutes and after each change: the kids that the node's gateway trusts, and the one of its
 * credential → what its gateway is to trust, and whether the credential is to be renewed (it is by an older key).
 */
export const KeysRequest = z.object({
  protocol: z.int(),
  ticket: z.array(z.string().max(128)).max(16),
  credential: z.string().max(128),
});
export const KeysResponse = z.object({ ticketKeys: z.array(TicketKey).min(1), renew: z.boolean(), nowMs: AtMs });
export type KeysResponse = z.infer<typeof KeysResponse>;
