// The control plane's word on a node's removal, as the peer of these tests gives it.
import { type CryptoKey, SignJWT } from "jose";
import { AGENT_AUDIENCE, CONTROL_ISSUER, REMOVAL_TYP, RemovalRequest } from "../../../contracts/agent-protocol.ts";

export function removalWord(key: CryptoKey, node: string, request: unknown): Promise<string> {
  return new SignJWT({})
    .setProtectedHeader({ alg: "EdDSA", typ: REMOVAL_TYP, kid: "t1" })
    .setIssuer(CONTROL_ISSUER)
    .setAudience(AGENT_AUDIENCE)
    .setSubject(node)
    .setJti(RemovalRequest.parse(request).nonce)
    .setIssuedAt()
    .sign(key);
}
