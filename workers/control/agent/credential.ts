// The node credential: a JWT by which any Worker knows a node offline. Issued at enrolment, renewed by key proof.
import { decodeJwt, decodeProtectedHeader, errors, jwtVerify, SignJWT } from "jose";
import { AGENT_AUDIENCE, CONTROL_ISSUER, CREDENTIAL_TYP, CredentialClaims } from "../../../contracts/agent-protocol.ts";
import type { CellName, NodeId } from "../../../contracts/ids.ts";
import { signingRing } from "../../keys/signing-ring.ts";
import { fail } from "../http/problem.ts";

/** Long enough to ride out a day without a control plane, short enough that a forgotten node's credential dies. */
export const CREDENTIAL_TTL_MS = 24 * 3_600_000;
/** About 1 KB each; beyond this an isolate forgets its oldest ones. */
const VERIFIED_MAX = 10_000;
const ALGORITHM = "EdDSA";

const VARIABLE = "CREDENTIAL_SIGNING_KEY";

/** By the credential's own text, until it expires: in steady state a request costs one proof's verification and no more. */
const verified = new Map<string, Verified>();

interface Verified {
  readonly claims: CredentialClaims;
  readonly kid: string;
}

export async function issueCredential(
  keyJson: string,
  to: { readonly node: NodeId; readonly cell: CellName; readonly jkt: string },
  nowMs: number,
): Promise<string> {
  const { kid, signing } = await signingRing(keyJson, VARIABLE);
  const iat = Math.floor(nowMs / 1_000);
  return new SignJWT({ cell: to.cell, cnf: { jkt: to.jkt } })
    .setProtectedHeader({ alg: ALGORITHM, typ: CREDENTIAL_TYP, kid })
    .setIssuer(CONTROL_ISSUER)
    .setAudience(AGENT_AUDIENCE)
    .setSubject(to.node)
    .setIssuedAt(iat)
    .setExpirationTime(iat + CREDENTIAL_TTL_MS / 1_000)
    .sign(signing);
}

/**
 * The claims of a genuine credential. expired: "refused" (every request but renewal) or "accepted" (renewal, where the
 * key's proof and the Cell's word on revocation decide).
 */
export async function verifyCredential(
  keyJson: string,
  token: string,
  nowMs: number,
  expired: "refused" | "accepted",
): Promise<CredentialClaims> {
  const { verifying } = await signingRing(keyJson, VARIABLE);
  const known = verified.get(token);
  // A key that was retired takes with it what was verified by it.
  const isKnown = known !== undefined && verifying.has(known.kid);
  const claims = isKnown ? known.claims : await verifySignature(verifying, token);
  if (!isKnown) remember(token, { claims, kid: kidOf(token) });
  if (claims.exp * 1_000 <= nowMs) {
    verified.delete(token);
    if (expired === "refused") fail("credential_expired", "The node's credential has expired; renew it by key proof.");
  }
  return claims;
}

/** The signature and every pinned claim; whether it has expired is judged by the caller, against its own clock. */
async function verifySignature(verifying: ReadonlyMap<string, CryptoKey>, token: string): Promise<CredentialClaims> {
  try {
    const key = verifying.get(kidOf(token));
    if (key === undefined) throw new Error("signed by no key of now");
    const { payload } = await jwtVerify(token, key, {
      algorithms: [ALGORITHM],
      typ: CREDENTIAL_TYP,
      issuer: CONTROL_ISSUER,
      audience: AGENT_AUDIENCE,
      requiredClaims: ["sub", "cell", "cnf", "iat", "exp"],
      currentDate: issuedAt(token),
    });
    return CredentialClaims.parse(payload);
  } catch (error) {
    if (error instanceof errors.JOSEError || error instanceof Error) {
      return fail("credential_invalid", "The node's credential is not one that this control plane issued.");
    }
    throw error;
  }
}

/** A moment at which the token was in force, so that jose checks everything of it except the expiry. */
function issuedAt(token: string): Date {
  const { iat } = decodeJwt(token);
  return new Date((typeof iat === "number" ? iat : 0) * 1_000);
}

export const kidOf = (token: string): string => decodeProtectedHeader(token).kid ?? "";

function remember(token: string, claims: Verified): void {
  if (verified.size >= VERIFIED_MAX) verified.delete(verified.keys().next().value as string);
  verified.set(token, claims);
}
