// Sealing to one node: what only the holder of its X25519 key can open (ECDH-ES, A256GCM).
import { CompactEncrypt, importJWK } from "jose";

/** Never promises: what a request that was cancelled had begun would be waited for by all others, for ever. */
const keys = new Map<string, CryptoKey | Uint8Array>();
/** About 300 bytes each; beyond this an isolate forgets its oldest ones. */
const KEYS_MAX = 10_000;

/** sealKey: the `x` of the node's X25519 public key. The compact JWE of the value as JSON. */
export async function sealToNode(sealKey: string, value: unknown): Promise<string> {
  const key = await imported(sealKey);
  return new CompactEncrypt(new TextEncoder().encode(JSON.stringify(value)))
    .setProtectedHeader({ alg: "ECDH-ES", enc: "A256GCM" })
    .encrypt(key);
}

async function imported(x: string): Promise<CryptoKey | Uint8Array> {
  const known = keys.get(x);
  if (known !== undefined) return known;
  const key = await importJWK({ kty: "OKP", crv: "X25519", x }, "ECDH-ES");
  if (keys.size >= KEYS_MAX) keys.delete(keys.keys().next().value as string);
  keys.set(x, key);
  return key;
}
