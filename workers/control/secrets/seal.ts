// Sealing at rest: each value under a fresh AES-256-GCM key that the current key-encryption key wraps, bound to its place.
import { base64url, FlattenedEncrypt, flattenedDecrypt, type FlattenedJWE } from "jose";
import type { Sealed } from "../../../durable-objects/rpc.ts";
import { secretKeys } from "./keys.ts";

/** Where a value belongs; a sealed value moved to another place does not open. scope: an app's id, or `registry`. */
export interface SecretPlace {
  readonly team: string;
  readonly scope: string;
  readonly name: string;
}

const KEY_WRAP = "A256GCMKW";
const CONTENT = "A256GCM";
const utf8 = new TextEncoder();

export async function seal(keysJson: string, place: SecretPlace, value: string): Promise<Sealed> {
  const keys = secretKeys(keysJson);
  const version = keys.current;
  const jwe = await new FlattenedEncrypt(utf8.encode(value))
    .setProtectedHeader({ alg: KEY_WRAP, enc: CONTENT, kid: version })
    .setAdditionalAuthenticatedData(binding(place, version))
    .encrypt(keys.byVersion.get(version) as Uint8Array);
  return JSON.stringify(jwe);
}

/** Throws where the value was not sealed for this place, was changed, or its key is gone. The message never holds the value. */
export async function open(keysJson: string, place: SecretPlace, sealed: Sealed): Promise<string> {
  const keys = secretKeys(keysJson);
  const jwe = JSON.parse(sealed) as FlattenedJWE;
  const { plaintext } = await flattenedDecrypt(
    jwe,
    (header) => {
      const version = header?.kid;
      const key = version === undefined ? undefined : keys.byVersion.get(version);
      if (version === undefined || key === undefined)
        throw new Error("the key that this value was sealed under is gone");
      if (jwe.aad !== base64url.encode(binding(place, version)))
        throw new Error("this value was sealed for another place");
      return key;
    },
    { keyManagementAlgorithms: [KEY_WRAP], contentEncryptionAlgorithms: [CONTENT] },
  );
  return new TextDecoder().decode(plaintext);
}

function binding(place: SecretPlace, version: string): Uint8Array {
  return utf8.encode(JSON.stringify([place.team, place.scope, place.name, version]));
}

/**
 * A keyed hash of a request that carries secrets: the same request gives the same hash, though each try seals anew, and
 * whoever reads the hash cannot try out values against it.
 */
export async function requestHash(keysJson: string, request: unknown): Promise<string> {
  const keys = secretKeys(keysJson);
  const oldest = [...keys.byVersion.keys()].sort()[0] as string;
  const raw = keys.byVersion.get(oldest) as Uint8Array<ArrayBuffer>;
  const base = await crypto.subtle.importKey("raw", raw, "HKDF", false, ["deriveKey"]);
  const key = await crypto.subtle.deriveKey(
    { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(), info: utf8.encode("berth request hash") },
    base,
    { name: "HMAC", hash: "SHA-256", length: 256 },
    false,
    ["sign"],
  );
  const mac = await crypto.subtle.sign("HMAC", key, utf8.encode(JSON.stringify(request)));
  return base64url.encode(new Uint8Array(mac));
}
