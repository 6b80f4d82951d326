// The key-encryption keys: parsed once per isolate from the Worker secret SECRETS_KEYS, chosen by version.
import { base64url } from "jose";
import { z } from "zod";

const KeyRing = z.object({ current: z.string().min(1), keys: z.record(z.string(), z.string()) });

export interface SecretKeys {
  readonly current: string;
  /** 32 bytes each, by version. Old versions stay for as long as something is sealed under them. */
  readonly byVersion: ReadonlyMap<string, Uint8Array>;
}

const rings = new Map<string, SecretKeys>();

/** Throws, without the keys in its message, where the variable is not a key ring. */
export function secretKeys(json: string): SecretKeys {
  const known = rings.get(json);
  if (known !== undefined) return known;
  const ring = KeyRing.safeParse(parseJson(json));
  if (!ring.success) throw new Error('SECRETS_KEYS must be JSON {"current": version, "keys": {version: key}}');
  const byVersion = new Map<string, Uint8Array>();
  for (const [version, text] of Object.entries(ring.data.keys)) {
    const key = base64url.decode(text);
    if (key.byteLength !== 32) throw new Error(`SECRETS_KEYS: key ${version} must be 32 bytes in base64url`);
    byVersion.set(version, key);
  }
  if (!byVersion.has(ring.data.current)) throw new Error("SECRETS_KEYS: the current version has no key");
  const keys = { current: ring.data.current, byVersion };
  rings.set(json, keys);
  return keys;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
