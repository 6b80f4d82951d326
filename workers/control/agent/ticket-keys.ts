// The public halves of the ticket keys, as gateways get them at enrolment, at renewal, and when they ask.
import type { TicketKey } from "../../../contracts/agent-protocol.ts";
import { signingRing } from "../../keys/signing-ring.ts";

/** ring: TICKET_SIGNING_KEY. */
export async function ticketKeys(ring: string): Promise<TicketKey[]> {
  return [...(await signingRing(ring, "TICKET_SIGNING_KEY")).publics];
}
