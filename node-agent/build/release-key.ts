// Release keys: made and kept offline by the operator; the public half is pinned in agents and in the control plane.
import { writeFileSync } from "node:fs";
import { calculateJwkThumbprint, CompactSign, exportJWK, generateKeyPair, importJWK, type JWK } from "jose";
import { AGENT_RELEASE_TYP, type AgentManifest, ReleaseKey } from "../../contracts/agent-release.ts";

export interface PrivateReleaseKey extends ReleaseKey {
  readonly d: string;
}

/** kid: the beginning of the key's RFC 7638 thumbprint, so that two keys never share one. */
export async function makeReleaseKey(): Promise<PrivateReleaseKey> {
  const { privateKey } = await generateKeyPair("EdDSA", { crv: "Ed25519", extractable: true });
  const jwk = await exportJWK(privateKey);
  const kid = `rel-${(await calculateJwkThumbprint(jwk)).slice(0, 16)}`;
  return { ...publicHalf({ ...jwk, kid }), d: jwk.d as string };
}

/** Throws where it is no Ed25519 JWK with a kid. */
export function publicHalf(jwk: JWK): ReleaseKey {
  return ReleaseKey.parse({ kty: jwk.kty, crv: jwk.crv, x: jwk.x, kid: jwk.kid });
}

export async function signManifest(manifest: AgentManifest, key: PrivateReleaseKey): Promise<string> {
  const { kty, crv, x, d, kid } = key;
  return new CompactSign(new TextEncoder().encode(JSON.stringify(manifest)))
    .setProtectedHeader({ alg: "EdDSA", typ: AGENT_RELEASE_TYP, kid })
    .sign(await importJWK({ kty, crv, x, d }, "EdDSA"));
}

/** Never over another one: what it signed could not be followed by anything. */
export async function writeReleaseKey(path: string): Promise<ReleaseKey> {
  const key = await makeReleaseKey();
  writeFileSync(path, `${JSON.stringify(key)}\n`, { mode: 0o600, flag: "wx" });
  const half = publicHalf(key);
  writeFileSync(path.replace(/(\.jwk|\.json)?$/, ".pub.jwk"), `${JSON.stringify(half)}\n`, { mode: 0o644, flag: "wx" });
  return half;
}
