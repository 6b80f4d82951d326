// A signing key with the versions around it: one signs, all verify. Given as one private JWK, or as a ring of them.
import { base64url, importJWK, type CryptoKey, type JWK } from "jose";
import { z } from "zod";

const Ed25519 = z.looseObject({ kty: z.literal("OKP"), crv: z.literal("Ed25519"), x: z.string(), kid: z.string() });
/** Of all but the current one the private half is not needed, and not given. */
const Ring = z.object({ current: z.string(), keys: z.array(Ed25519).min(1) });

export type PublicJwk = { readonly kty: "OKP"; readonly crv: "Ed25519"; readonly x: string; readonly kid: string };

export interface SigningRing {
  readonly kid: string;
  readonly signing: CryptoKey;
  /** By kid; the signing one's too. */
  readonly verifying: ReadonlyMap<string, CryptoKey>;
  readonly publics: readonly PublicJwk[];
}

/** Rotations are rare: more texts than this were never seen by one isolate. */
const RINGS_MAX = 100;
/** Never promises: what a request that was cancelled had begun would be waited for by all others, for ever. */
const rings = new Map<string, SigningRing>();

/** name: of the variable, for its errors, which never hold the text. */
export async function signingRing(text: string, name: string): Promise<SigningRing> {
  const known = rings.get(text);
  if (known !== undefined) return known;
  const ring = await imported(text, name);
  if (rings.size >= RINGS_MAX) rings.clear();
  rings.set(text, ring);
  return ring;
}

async function imported(text: string, name: string): Promise<SigningRing> {
  const { current, keys } = readRing(text, name);
  const signer = keys.find(({ kid }) => kid === current);
  const publics = keys.map(({ x, kid }): PublicJwk => ({ kty: "OKP", crv: "Ed25519", x, kid }));
  if (signer?.d === undefined || publics.some(({ x }) => base64url.decode(x).byteLength !== 32)) throw faultOf(name);
  const verifying = new Map<string, CryptoKey>();
  for (const key of publics) verifying.set(key.kid, (await importJWK({ ...key }, "EdDSA")) as CryptoKey);
  return { kid: current, signing: (await importJWK(signer as JWK, "EdDSA")) as CryptoKey, verifying, publics };
}

export function readRing(text: string, name: string): z.infer<typeof Ring> {
  const value = parsed(text);
  const ring = Ring.safeParse(value);
  if (ring.success) return ring.data;
  const single = Ed25519.safeParse(value);
  if (!single.success) throw faultOf(name);
  return { current: single.data.kid, keys: [single.data] };
}

const faultOf = (name: string): Error =>
  new Error(`${name} must be an Ed25519 private JWK with a kid, or a ring of them`);

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
