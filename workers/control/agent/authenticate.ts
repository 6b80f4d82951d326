// Who is this node? Credential and proof, checked offline and before any object is touched; the Cell judges the rest.
import { CREDENTIAL_SCHEME, PROOF_HEADER, type CredentialClaims } from "../../../contracts/agent-protocol.ts";
import type { CellName } from "../../../contracts/ids.ts";
import type { NodeProof } from "../../../core/messages.ts";
import { fail } from "../http/problem.ts";
import { verifyCredential } from "./credential.ts";
import { verifyProof } from "./proof.ts";

export interface AgentCall {
  readonly cell: CellName;
  readonly proof: NodeProof;
  /** When its credential ends. */
  readonly expiresAtMs: number;
}

export async function authenticateAgent(
  request: Request,
  body: Uint8Array,
  keyJson: string,
  options: { readonly lane: NodeProof["lane"]; readonly expired?: "refused" | "accepted" },
): Promise<AgentCall> {
  const nowMs = Date.now();
  const token = credentialOf(request.headers.get("authorization"));
  const credential = await verifyCredential(keyJson, token, nowMs, options.expired ?? "refused");
  const url = new URL(request.url);
  const asked = { method: request.method, path: url.pathname + url.search, body };
  const proven = await verifyProof(request.headers.get(PROOF_HEADER), asked, nowMs);
  if (proven.jkt !== credential.cnf.jkt)
    fail("proof_invalid", "The proof is signed by another key than the credential names.");
  if (proven.claims.lane !== options.lane) fail("proof_invalid", `The proof's lane must be ${options.lane} here.`);
  const proof = nodeProof(credential, proven.claims);
  return { cell: credential.cell, proof, expiresAtMs: credential.exp * 1_000 };
}

function nodeProof(
  credential: CredentialClaims,
  claims: { boot: string; lane: NodeProof["lane"]; seq: number },
): NodeProof {
  return { node: credential.sub, jkt: credential.cnf.jkt, boot: claims.boot, lane: claims.lane, seq: claims.seq };
}

function credentialOf(header: string | null): string {
  if (header === null) return fail("unauthenticated", `authorization: ${CREDENTIAL_SCHEME} <credential> is missing.`);
  const [scheme, token, ...rest] = header.split(" ");
  if (scheme !== CREDENTIAL_SCHEME || token === undefined || token === "" || rest.length > 0) {
    return fail("unauthenticated", `authorization must be ${CREDENTIAL_SCHEME} <credential>.`);
  }
  return token;
}
