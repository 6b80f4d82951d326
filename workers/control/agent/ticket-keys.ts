// The public half of the ticket key, as gateways get it at enrolment and renewal.
import { TicketKey } from "../../../contracts/agent-protocol.ts";

/** keyJson: the Ed25519 private JWK. Nothing of its private part passes the schema. */
export function ticketKeys(keyJson: string): TicketKey[] {
  return [TicketKey.parse(JSON.parse(keyJson))];
}
