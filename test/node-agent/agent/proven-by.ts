// Who proves a request, by the key that the proof names: verified as the control plane does it.
import { createHash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { decodeProtectedHeader, importJWK, jwtVerify } from "jose";
import { PROOF_HEADER, PROOF_TYP, ProofClaims } from "../../../contracts/agent-protocol.ts";

/** x: of the key. Throws where the proof is for another request. */
export async function provenBy(request: IncomingMessage, body: Buffer): Promise<{ x: string; claims: ProofClaims }> {
  const proof = String(request.headers[PROOF_HEADER]);
  const { jwk } = decodeProtectedHeader(proof);
  const key = await importJWK(jwk ?? {}, "EdDSA");
  const { payload } = await jwtVerify(proof, key, { algorithms: ["EdDSA"], typ: PROOF_TYP });
  const claims = ProofClaims.parse(payload);
  const bh = createHash("sha256").update(body).digest("base64url");
  if (claims.htm !== request.method || claims.htu !== request.url || claims.bh !== bh)
    throw new Error("the proof is for another request");
  return { x: String(jwk?.x), claims };
}
