// Sealing at rest: each value under a data key of its own, the data key under the current key-encryption key, both bound to their place.
import { base64url, compactDecrypt, CompactEncrypt, type CompactJWEHeaderParameters } from "jose";
import { z } from "zod";
import type { Sealed } from "../../../durable-objects/rpc.ts";
import { secretKeys, type SecretKeys } from "./keys.ts";
import { isLegacy, legacyVersion, openLegacy } from "./legacy.ts";
import { bindingOf, type SecretPlace } from "./place.ts";

/** kek: the version that the data key is sealed under. key, value: compact JWEs (dir, A256GCM). */
const Envelope = z.object({ v: z.literal(2), kek: z.string(), key: z.string(), value: z.string() });
type Envelope = z.infer<typeof Envelope>;

const ENC = "A256GCM";
const utf8 = new TextEncoder();

export async function seal(keysJson: string, place: SecretPlace, value: string): Promise<Sealed> {
  const keys = secretKeys(keysJson);
  const binding = await bindingOf(place);
  const dataKey = crypto.getRandomValues(new Uint8Array(32));
  return envelopeText({
    ...(await wrapped(keys, binding, dataKey)),
    value: await encrypted(dataKey, { use: "value", at: binding }, utf8.encode(value)),
  });
}

/** Throws where the value was not sealed for this place, was changed, or its key is gone. The message never holds the value. */
export async function open(keysJson: string, place: SecretPlace, sealed: Sealed): Promise<string> {
  const keys = secretKeys(keysJson);
  if (isLegacy(sealed)) return openLegacy(keys, place, sealed);
  const envelope = Envelope.parse(JSON.parse(sealed));
  const binding = await bindingOf(place);
  const dataKey = await unwrapped(keys, binding, envelope);
  return new TextDecoder().decode(await decrypted(dataKey, { use: "value", at: binding }, envelope.value));
}

/** The version of the key-encryption key that it needs; null where it cannot be read. */
export function versionOf(sealed: Sealed): string | null {
  try {
    if (isLegacy(sealed)) return legacyVersion(sealed);
    return Envelope.parse(JSON.parse(sealed)).kek;
  } catch {
    return null;
  }
}

/** The same value, its data key under the current key-encryption key; null where it is already. The value itself stays closed. */
export async function rewrap(keysJson: string, place: SecretPlace, sealed: Sealed): Promise<Sealed | null> {
  const keys = secretKeys(keysJson);
  // From before there were data keys: it gets one.
  if (isLegacy(sealed)) return seal(keysJson, place, await openLegacy(keys, place, sealed));
  const envelope = Envelope.parse(JSON.parse(sealed));
  if (envelope.kek === keys.current) return null;
  const binding = await bindingOf(place);
  const dataKey = await unwrapped(keys, binding, envelope);
  return envelopeText({ ...(await wrapped(keys, binding, dataKey)), value: envelope.value });
}

const envelopeText = ({ kek, key, value }: Omit<Envelope, "v">): Sealed => JSON.stringify({ v: 2, kek, key, value });

async function wrapped(keys: SecretKeys, binding: string, dataKey: Uint8Array): Promise<{ kek: string; key: string }> {
  const kek = keys.current;
  const under = keys.byVersion.get(kek) as Uint8Array;
  return { kek, key: await encrypted(under, { use: "key", at: binding }, dataKey) };
}

async function unwrapped({ byVersion }: SecretKeys, binding: string, { kek, key }: Envelope): Promise<Uint8Array> {
  const under = byVersion.get(kek);
  if (under === undefined) throw new Error("the key that this value was sealed under is gone");
  return decrypted(under, { use: "key", at: binding }, key);
}

/** The header is authenticated: what was sealed for one use and place opens for no other. */
interface Bound {
  readonly use: "key" | "value";
  readonly at: string;
}

function encrypted(key: Uint8Array, { use, at }: Bound, bytes: Uint8Array): Promise<string> {
  const header = { alg: "dir", enc: ENC, use, at } as CompactJWEHeaderParameters;
  return new CompactEncrypt(bytes).setProtectedHeader(header).encrypt(key);
}

async function decrypted(key: Uint8Array, { use, at }: Bound, jwe: string): Promise<Uint8Array> {
  const { plaintext, protectedHeader } = await compactDecrypt(jwe, key, {
    keyManagementAlgorithms: ["dir"],
    contentEncryptionAlgorithms: [ENC],
  });
  if (protectedHeader.use !== use || protectedHeader.at !== at)
    throw new Error("this value was sealed for another place");
  return plaintext;
}

/**
 * Keyed hashes of a request that carries secrets, the first by the newest key: the same request gives the same hash, though each
 * try seals anew, and whoever reads the hash cannot try out values against it. What was kept under an older key is found by the others.
 */
export async function requestHashes(keysJson: string, request: unknown): Promise<[string, ...string[]]> {
  const { current, byVersion } = secretKeys(keysJson);
  const older = [...byVersion.keys()].filter((version) => version !== current);
  const text = utf8.encode(JSON.stringify(request));
  const hashes = await Promise.all([current, ...older].map((version) => hashBy(byVersion.get(version)!, text)));
  return hashes as [string, ...string[]];
}

async function hashBy(secret: Uint8Array, text: Uint8Array): Promise<string> {
  const raw = secret as Uint8Array<ArrayBuffer>;
  const base = await crypto.subtle.importKey("raw", raw, "HKDF", false, ["deriveKey"]);
  const key = await crypto.subtle.deriveKey(
    { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(), info: utf8.encode("berth request hash") },
    base,
    { name: "HMAC", hash: "SHA-256", length: 256 },
    false,
    ["sign"],
  );
  const mac = await crypto.subtle.sign("HMAC", key, text as Uint8Array<ArrayBuffer>);
  return base64url.encode(new Uint8Array(mac));
}
