// Tickets as the edge makes them, by the key that the tests' control plane gave its node.
import { SignJWT } from "jose";
import type { DesiredInstance } from "../../../contracts/desired.ts";
import { TICKET_ISSUER, TICKET_TYP } from "../../../contracts/ticket.ts";
import type { ControlPeer } from "./control-peer.ts";

export function ticketFor(
  peer: ControlPeer,
  { instance, app, team, generation }: DesiredInstance,
  use = "app",
): Promise<string> {
  const iat = Math.floor(peer.nowMs() / 1_000);
  return new SignJWT({ team, app, gen: generation, use })
    .setProtectedHeader({ alg: "EdDSA", typ: TICKET_TYP, kid: "t1" })
    .setIssuer(TICKET_ISSUER)
    .setAudience(peer.node)
    .setSubject(instance)
    .setIssuedAt(iat)
    .setExpirationTime(iat + 60)
    .sign(peer.ticketPair.privateKey);
}
