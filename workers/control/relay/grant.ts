// The control plane's word that one node may be reached through another: signed by the ticket key, which every gateway trusts.
import { calculateJwkThumbprint, SignJWT } from "jose";
import type { NodeId } from "../../../contracts/ids.ts";
import { RELAY_GRANT_TTL_MS, RELAY_GRANT_TYP } from "../../../contracts/relay.ts";
import { TICKET_ISSUER } from "../../../contracts/ticket.ts";
import { signingRing } from "../../keys/signing-ring.ts";

export interface GrantFor {
  readonly node: NodeId;
  /** Whose gateway is to let it in. */
  readonly relay: NodeId;
  /** `x` of the relay key that the node made (Ed25519). */
  readonly key: string;
}

/** ticketKey: the ring TICKET_SIGNING_KEY. */
export async function signGrant(ticketKey: string, { node, relay, key }: GrantFor, nowMs: number): Promise<string> {
  const { kid, signing } = await signingRing(ticketKey, "TICKET_SIGNING_KEY");
  const jkt = await calculateJwkThumbprint({ kty: "OKP", crv: "Ed25519", x: key }, "sha256");
  const iat = Math.floor(nowMs / 1_000);
  return new SignJWT({ cnf: { jkt } })
    .setProtectedHeader({ alg: "EdDSA", typ: RELAY_GRANT_TYP, kid })
    .setIssuer(TICKET_ISSUER)
    .setAudience(relay)
    .setSubject(node)
    .setIssuedAt(iat)
    .setExpirationTime(iat + RELAY_GRANT_TTL_MS / 1_000)
    .sign(signing);
}
