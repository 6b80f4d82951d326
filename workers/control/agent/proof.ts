// The node's proof over one request (the shape of RFC 9449): signed by the key that it names, over method, path, body and time.
import { base64url, calculateJwkThumbprint, decodeProtectedHeader, importJWK, jwtVerify } from "jose";
import { PROOF_TYP, ProofClaims, PublicKeyX } from "../../../contracts/agent-protocol.ts";
import { PROOF_WINDOW_MS } from "../../../core/link/too-late.ts";
import { fail } from "../http/problem.ts";

/** About 500 bytes each; beyond this an isolate forgets its oldest ones. */
const KEYS_MAX = 10_000;
/** Honest ones have about 700. Headers are remembered, and anybody may send one to enrol: 10,000 must stay far below 128 MB. */
const PROOF_CHARS_MAX = 2_048;

interface ProofKey {
  readonly key: CryptoKey;
  readonly jkt: string;
  /** The key's `x`. */
  readonly signKey: string;
}
/**
 * By the text of the proof's header, which holds algorithm, type and key, and is the same in every proof of a node. It is
 * here once jose has accepted it with its signature; from then on the bytes stand for what they say.
 */
const known = new Map<string, ProofKey>();

export interface ProvenRequest {
  readonly method: string;
  /** Path and query, as the agent sent it. */
  readonly path: string;
  readonly body: Uint8Array;
}

export interface Proven {
  readonly claims: ProofClaims;
  /** RFC 7638 thumbprint and `x` of the key that signed. */
  readonly jkt: string;
  readonly signKey: string;
}

/**
 * Refuses with proof_invalid, and says which rule: an agent's author must be able to tell. What is cheap to see comes first:
 * under overload most requests are too old.
 */
export async function verifyProof(proof: string | null, request: ProvenRequest, nowMs: number): Promise<Proven> {
  if (proof === null) return refuse("the header berth-proof is missing");
  if (proof.length > PROOF_CHARS_MAX) return refuse(`it is longer than ${PROOF_CHARS_MAX} characters`);
  const header = proof.slice(0, proof.indexOf("."));
  const claims = claimsOf(proof);
  if (claims !== null && Math.abs(claims.iatMs - nowMs) > PROOF_WINDOW_MS)
    return refuse("iatMs is more than 30 s off the control plane's clock");
  const { key, jkt, signKey } = known.get(header) ?? (await acceptHeader(proof, header));
  if (!(await isSigned(proof, key))) return refuse(NOT_SIGNED);
  if (claims === null) return refuse("a claim is missing or of the wrong shape");
  if (claims.htm !== request.method) return refuse("htm is not this request's method");
  if (claims.htu !== request.path) return refuse("htu is not this request's path");
  if (claims.bh !== (await bodyHash(request.body))) return refuse("bh is not the hash of this request's body");
  return { claims, jkt, signKey };
}

export async function bodyHash(body: Uint8Array): Promise<string> {
  return base64url.encode(new Uint8Array(await crypto.subtle.digest("SHA-256", body as Uint8Array<ArrayBuffer>)));
}

/** The `x` of the header's jwk. Nothing but a bare Ed25519 public key is taken: no other type, no private part, no reference. */
function signingKeyOf(proof: string): string {
  let header: ReturnType<typeof decodeProtectedHeader>;
  try {
    header = decodeProtectedHeader(proof);
  } catch {
    return refuse("it is not a JWT");
  }
  const { jwk } = header;
  if (jwk === undefined || jwk.kty !== "OKP" || jwk.crv !== "Ed25519" || "d" in jwk) {
    return refuse("its jwk must be an Ed25519 public key");
  }
  const x = PublicKeyX.safeParse(jwk.x);
  return x.success ? x.data : refuse("its jwk must be an Ed25519 public key");
}

/** The first proof with this header: jose judges all of it. */
async function acceptHeader(proof: string, header: string): Promise<ProofKey> {
  const signKey = signingKeyOf(proof);
  const key = await importKey(signKey);
  try {
    await jwtVerify(proof, key.key, { algorithms: ["EdDSA"], typ: PROOF_TYP });
  } catch {
    return refuse(NOT_SIGNED);
  }
  if (known.size >= KEYS_MAX) known.delete(known.keys().next().value as string);
  known.set(header, key);
  return key;
}

const NOT_SIGNED = "its signature, algorithm or type is not right";
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** RFC 7515, 5.2: the signature is over the ASCII text of header and payload as they were sent. */
async function isSigned(proof: string, key: CryptoKey): Promise<boolean> {
  const [header, payload, signature, ...rest] = proof.split(".");
  if (signature === undefined || rest.length > 0) return false;
  try {
    const bytes = base64url.decode(signature) as Uint8Array<ArrayBuffer>;
    return await crypto.subtle.verify("Ed25519", key, bytes, encoder.encode(`${header}.${payload}`));
  } catch {
    return false;
  }
}

/** What the proof claims, not yet verified: good for being refused early, and for nothing else. */
export function claimsOf(proof: string): ProofClaims | null {
  try {
    const claims = ProofClaims.safeParse(JSON.parse(decoder.decode(base64url.decode(proof.split(".")[1] ?? ""))));
    return claims.success ? claims.data : null;
  } catch {
    return null;
  }
}

async function importKey(x: string): Promise<ProofKey> {
  const jwk = { kty: "OKP", crv: "Ed25519", x };
  try {
    const [key, jkt] = await Promise.all([importJWK(jwk, "EdDSA"), calculateJwkThumbprint(jwk, "sha256")]);
    return { key: key as CryptoKey, jkt, signKey: x };
  } catch {
    return refuse("its jwk must be an Ed25519 public key");
  }
}

function refuse(why: string): never {
  return fail("proof_invalid", `The proof of this request was refused: ${why}.`);
}
