// The node's proof over one request (the shape of RFC 9449): signed by the key that it names, over method, path, body and time.
import { base64url, calculateJwkThumbprint, decodeProtectedHeader, importJWK, jwtVerify } from "jose";
import { PROOF_TYP, ProofClaims, PublicKeyX } from "../../../contracts/agent-protocol.ts";
import { fail } from "../http/problem.ts";

/** What clocks and queues may be off by; a proof within it is told apart from a replay by the Cell's rising sequence. */
export const PROOF_WINDOW_MS = 30_000;
/** About 500 bytes each; beyond this an isolate forgets its oldest ones. */
const KEYS_MAX = 10_000;

interface ProofKey {
  readonly key: CryptoKey;
  readonly jkt: string;
}
const keys = new Map<string, Promise<ProofKey>>();

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

/** Refuses with proof_invalid, and says which rule: an agent's author must be able to tell. */
export async function verifyProof(proof: string | null, request: ProvenRequest, nowMs: number): Promise<Proven> {
  if (proof === null) return refuse("the header berth-proof is missing");
  const x = signingKeyOf(proof);
  const { key, jkt } = await imported(x);
  const claims = await verifiedClaims(proof, key);
  if (claims.htm !== request.method) return refuse("htm is not this request's method");
  if (claims.htu !== request.path) return refuse("htu is not this request's path");
  if (Math.abs(claims.iatMs - nowMs) > PROOF_WINDOW_MS)
    return refuse("iatMs is more than 30 s off the control plane's clock");
  if (claims.bh !== (await bodyHash(request.body))) return refuse("bh is not the hash of this request's body");
  return { claims, jkt, signKey: x };
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

async function verifiedClaims(proof: string, key: CryptoKey): Promise<ProofClaims> {
  let payload: unknown;
  try {
    payload = (await jwtVerify(proof, key, { algorithms: ["EdDSA"], typ: PROOF_TYP })).payload;
  } catch {
    return refuse("its signature, algorithm or type is not right");
  }
  const claims = ProofClaims.safeParse(payload);
  return claims.success ? claims.data : refuse("a claim is missing or of the wrong shape");
}

function imported(x: string): Promise<ProofKey> {
  const known = keys.get(x);
  if (known !== undefined) return known;
  if (keys.size >= KEYS_MAX) keys.delete(keys.keys().next().value as string);
  const key = importKey(x);
  keys.set(x, key);
  return key;
}

async function importKey(x: string): Promise<ProofKey> {
  const jwk = { kty: "OKP", crv: "Ed25519", x };
  try {
    return { key: (await importJWK(jwk, "EdDSA")) as CryptoKey, jkt: await calculateJwkThumbprint(jwk, "sha256") };
  } catch {
    keys.delete(x);
    return refuse("its jwk must be an Ed25519 public key");
  }
}

function refuse(why: string): never {
  return fail("proof_invalid", `The proof of this request was refused: ${why}.`);
}
