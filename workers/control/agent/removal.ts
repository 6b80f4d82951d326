// Whether a node was removed, said under the control plane's signature: only then does its agent stop what it runs.
import { SignJWT } from "jose";
import {
  AGENT_AUDIENCE,
  CONTROL_ISSUER,
  REMOVAL_TYP,
  RemovalRequest,
  type RemovalResponse,
} from "../../../contracts/agent-protocol.ts";
import type { NodeId } from "../../../contracts/ids.ts";
import { signingRing } from "../../keys/signing-ring.ts";
import { ask } from "../http/ask.ts";
import type { ControlRequest } from "../http/context.ts";
import { unwrap } from "../http/respond.ts";
import { readAgentRequest } from "./read-agent-request.ts";

/** An expired credential will do: a removed node gets no other. */
export async function removal(c: ControlRequest): Promise<RemovalResponse> {
  const { call, body } = await readAgentRequest(c, RemovalRequest, { lane: "ask", expired: "accepted" });
  const { cell, proof } = call;
  const admitted = await ask(() => c.env.CELL.getByName(cell).admit(proof), { repeatable: false });
  if (admitted.ok || admitted.failure.code !== "node_revoked") {
    unwrap(admitted);
    return { word: null };
  }
  return { word: await signedWord(c.env.TICKET_SIGNING_KEY, proof.node, body.nonce) };
}

/** By the key whose public half every node got at its enrolment. */
async function signedWord(ring: string, node: NodeId, nonce: string): Promise<string> {
  const { kid, signing } = await signingRing(ring, "TICKET_SIGNING_KEY");
  return new SignJWT({})
    .setProtectedHeader({ alg: "EdDSA", typ: REMOVAL_TYP, kid })
    .setIssuer(CONTROL_ISSUER)
    .setAudience(AGENT_AUDIENCE)
    .setSubject(node)
    .setJti(nonce)
    .setIssuedAt()
    .sign(signing);
}
