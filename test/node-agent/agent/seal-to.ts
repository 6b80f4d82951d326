// Seals a value to a node's X25519 key, as the control plane does.
import { CompactEncrypt, importJWK } from "jose";

export async function sealTo(sealX: string, value: unknown): Promise<string> {
  const key = await importJWK({ kty: "OKP", crv: "X25519", x: sealX }, "ECDH-ES");
  return new CompactEncrypt(new TextEncoder().encode(JSON.stringify(value)))
    .setProtectedHeader({ alg: "ECDH-ES", enc: "A256GCM" })
    .encrypt(key);
}
