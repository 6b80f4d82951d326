// Values from before there were data keys: one flattened JWE each, whose content key the key-encryption key wraps. Only opened, never made.
import { base64url, flattenedDecrypt, type FlattenedJWE } from "jose";
import type { Sealed } from "../../../durable-objects/rpc.ts";
import type { SecretKeys } from "./keys.ts";
import type { SecretPlace } from "./place.ts";

export const isLegacy = (sealed: Sealed): boolean => sealed.startsWith("{") && sealed.includes('"ciphertext"');

export function legacyVersion(sealed: Sealed): string | null {
  const { protected: header } = JSON.parse(sealed) as FlattenedJWE;
  const { kid } = JSON.parse(new TextDecoder().decode(base64url.decode(header ?? ""))) as { kid?: unknown };
  return typeof kid === "string" ? kid : null;
}

export async function openLegacy({ byVersion }: SecretKeys, place: SecretPlace, sealed: Sealed): Promise<string> {
  const jwe = JSON.parse(sealed) as FlattenedJWE;
  const { plaintext } = await flattenedDecrypt(
    jwe,
    (header) => {
      const version = header?.kid;
      const key = version === undefined ? undefined : byVersion.get(version);
      if (version === undefined || key === undefined)
        throw new Error("the key that this value was sealed under is gone");
      const { team, scope, name } = place;
      const binding = new TextEncoder().encode(JSON.stringify([team, scope, name, version]));
      if (jwe.aad !== base64url.encode(binding)) throw new Error("this value was sealed for another place");
      return key;
    },
    { keyManagementAlgorithms: ["A256GCMKW"], contentEncryptionAlgorithms: ["A256GCM"] },
  );
  return new TextDecoder().decode(plaintext);
}
