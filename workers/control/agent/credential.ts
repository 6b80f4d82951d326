// The node credential: a JWT by which any Worker knows a node offline. Issued at enrolment, renewed by key proof.
import { base64url, decodeJwt, errors, importJWK, jwtVerify, SignJWT, type JWK } from "jose";
import { AGENT_AUDIENCE, CONTROL_ISSUER, CREDENTIAL_TYP, CredentialClaims } from "../../../contracts/agent-protocol.ts";
import type { CellName, NodeId } from "../../../contracts/ids.ts";
import { fail } from "../http/problem.ts";

/** Long enough to ride out a day without a control plane, short enough that a forgotten node's credential dies. */
export const CREDENTIAL_TTL_MS = 24 * 3_600_000;
/** About 1 KB each; beyond this an isolate forgets its oldest ones. */
const VERIFIED_MAX = 10_000;
const ALGORITHM = "EdDSA";

interface SigningKey {
  readonly kid: string;
  readonly privateKey: CryptoKey;
  readonly publicKey: CryptoKey;
}

const signingKeys = new Map<string, Promise<SigningKey>>();
/** By the credential's own text, until it expires: in steady state a request costs one proof's verification and no more. */
const verified = new Map<string, CredentialClaims>();

export async function issueCredential(
  keyJson: string,
  to: { readonly node: NodeId; readonly cell: CellName; readonly jkt: string },
  nowMs: number,
): Promise<string> {
  const key = await signingKey(keyJson);
  const iat = Math.floor(nowMs / 1_000);
  return new SignJWT({ cell: to.cell, cnf: { jkt: to.jkt } })
    .setProtectedHeader({ alg: ALGORITHM, typ: CREDENTIAL_TYP, kid: key.kid })
    .setIssuer(CONTROL_ISSUER)
    .setAudience(AGENT_AUDIENCE)
    .setSubject(to.node)
    .setIssuedAt(iat)
    .setExpirationTime(iat + CREDENTIAL_TTL_MS / 1_000)
    .sign(key.privateKey);
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
  const known = verified.get(token);
  const claims = known ?? (await verifySignature(keyJson, token));
  if (known === undefined) remember(token, claims);
  if (claims.exp * 1_000 <= nowMs) {
    verified.delete(token);
    if (expired === "refused") fail("credential_expired", "The node's credential has expired; renew it by key proof.");
  }
  return claims;
}

/** The signature and every pinned claim; whether it has expired is judged by the caller, against its own clock. */
async function verifySignature(keyJson: string, token: string): Promise<CredentialClaims> {
  const key = await signingKey(keyJson);
  try {
    const { payload } = await jwtVerify(token, key.publicKey, {
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

function remember(token: string, claims: CredentialClaims): void {
  if (verified.size >= VERIFIED_MAX) verified.delete(verified.keys().next().value as string);
  verified.set(token, claims);
}

function signingKey(json: string): Promise<SigningKey> {
  const known = signingKeys.get(json);
  if (known !== undefined) return known;
  const key = importSigningKey(json);
  signingKeys.set(json, key);
  return key;
}

async function importSigningKey(json: string): Promise<SigningKey> {
  const jwk = JSON.parse(json) as JWK;
  if (typeof jwk.kid !== "string" || typeof jwk.x !== "string" || base64url.decode(jwk.x).byteLength !== 32) {
    throw new Error("CREDENTIAL_SIGNING_KEY must be an Ed25519 private JWK with a kid");
  }
  const publicJwk = { kty: "OKP", crv: "Ed25519", x: jwk.x };
  return {
    kid: jwk.kid,
    privateKey: (await importJWK(jwk, ALGORITHM)) as CryptoKey,
    publicKey: (await importJWK(publicJwk, ALGORITHM)) as CryptoKey,
  };
}
