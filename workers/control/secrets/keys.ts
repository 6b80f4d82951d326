// The key-encryption keys: of the Worker secret SECRETS_KEYS and of those added to it since (SECRETS_KEYS_<version>), by version.
import { base64url } from "jose";
import { z } from "zod";

const KeyRing = z.object({ current: z.string().min(1), keys: z.record(z.string(), z.string()) });

export interface SecretKeys {
  readonly current: string;
  /** 32 bytes each, by version. Old versions stay for as long as something is sealed under them. */
  readonly byVersion: ReadonlyMap<string, Uint8Array>;
}

/** A Worker that already runs can be given a secret beside the one it has; the one it has cannot be read back. */
const FURTHER = /^SECRETS_KEYS_[A-Za-z0-9]+$/;
const parsed = new Map<string, SecretKeys>();

export interface KeysGiven {
  readonly SECRETS_KEYS?: string;
}

/** Throws, without the keys in its message, where the variable is not a key ring. */
export function secretKeys(json: string): SecretKeys {
  const known = parsed.get(json);
  if (known !== undefined) return known;
  const ring = readKeyRing(json, "SECRETS_KEYS");
  const byVersion = new Map<string, Uint8Array>();
  for (const [version, text] of Object.entries(ring.keys)) {
    const key = base64url.decode(text);
    if (key.byteLength !== 32) throw new Error(`SECRETS_KEYS: key ${version} must be 32 bytes in base64url`);
    byVersion.set(version, key);
  }
  if (!byVersion.has(ring.current)) throw new Error("SECRETS_KEYS: the current version has no key");
  const keys = { current: ring.current, byVersion };
  parsed.set(json, keys);
  return keys;
}

/** One ring of all that the Worker was given. current: the version that seals; absent: as SECRETS_KEYS says. */
export function mergedKeys(env: KeysGiven, current?: string): string {
  const given = env.SECRETS_KEYS;
  const further = Object.entries(env)
    .filter(([name]) => FURTHER.test(name))
    .sort(([one], [other]) => (one < other ? -1 : 1));
  if (given && further.length === 0 && current === undefined) return given;
  const rings = further.map(([name, text]) => readKeyRing(String(text), name));
  // The first one may have been retired and taken away.
  const first = given ? readKeyRing(given, "SECRETS_KEYS") : rings.at(-1);
  if (first === undefined) throw new Error("SECRETS_KEYS is missing");
  const keys: Record<string, string> = { ...first.keys };
  for (const ring of rings) Object.assign(keys, ring.keys);
  // An isolate of before the version was given goes on with the one before.
  const chosen = current !== undefined && current in keys ? current : first.current;
  return JSON.stringify({ current: chosen, keys });
}

function readKeyRing(json: string, name: string): z.infer<typeof KeyRing> {
  const ring = KeyRing.safeParse(parseJson(json));
  if (!ring.success) throw new Error(`${name} must be JSON {"current": version, "keys": {version: key}}`);
  return ring.data;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
