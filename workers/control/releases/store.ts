// Agent releases as they are kept: bytes under their hash, signed manifests under their version, in the bucket of bundles.
import { compactVerify, decodeProtectedHeader, importJWK } from "jose";
import { AGENT_PROTOCOL } from "../../../contracts/agent-protocol.ts";
import { AGENT_RELEASE_TYP, AgentManifest, type AgentRelease, ReleaseKey } from "../../../contracts/agent-release.ts";
import { compareVersions } from "../../../core/upgrade/version.ts";
import type { ControlEnv } from "../env.ts";
import { fail, failField } from "../http/problem.ts";
import { textOf } from "../stored-text.ts";

type Env = Pick<ControlEnv, "BUNDLES" | "AGENT_RELEASE_KEYS">;

export const agentBytesKey = (sha256: string): string => `agents/${sha256}`;
const MANIFESTS = "agents/manifests/";
/** R2 lists at most this many at once; an installation has a handful of releases. */
const LISTED_MAX = 1_000;

/** The same again changes nothing; the same version with other bytes is refused: nodes would differ under one name. */
export async function publishRelease(env: Env, signed: string): Promise<AgentRelease> {
  const release = await verifyRelease(env, signed);
  const { version, sha256, bytes } = release;
  const stored = await env.BUNDLES.head(agentBytesKey(sha256));
  if (stored === null) refuse("bytes", `names bytes that were not uploaded: PUT /v1/agent-bundles/${sha256} first`);
  if (stored.size !== bytes) refuse("bytes", `names ${bytes} bytes, but ${stored.size} were uploaded`);
  const key = `${MANIFESTS}${version}`;
  await env.BUNDLES.put(key, signed, { onlyIf: { etagDoesNotMatch: "*" } });
  const known = await findRelease(env, version);
  if (known?.sha256 === sha256) return known;
  return fail(
    "conflict",
    `Version ${version} was published with other bytes (${known?.sha256}): give the new ones a new version.`,
  );
}

export async function findRelease(env: Env, version: string): Promise<AgentRelease | null> {
  const stored = await env.BUNDLES.get(`${MANIFESTS}${version}`);
  return stored === null ? null : verifyRelease(env, await textOf(stored));
}

/** Newest first. One that no key of today signed is left out: it could not be installed either. */
export async function listReleases(env: Env): Promise<AgentRelease[]> {
  // Without keys there is nothing that could be installed, and that is said.
  releaseKeys(env);
  const { objects } = await env.BUNDLES.list({ prefix: MANIFESTS, limit: LISTED_MAX });
  const versions = objects.map(({ key }) => key.slice(MANIFESTS.length));
  const found = await Promise.all(versions.map((version) => findRelease(env, version).catch(() => null)));
  return found.filter((release) => release !== null).sort((a, b) => compareVersions(b.version, a.version));
}

/** As they are kept, whoever signed them. */
export async function storedManifests({ BUNDLES }: Env): Promise<{ key: string; text: string }[]> {
  const { objects } = await BUNDLES.list({ prefix: MANIFESTS, limit: LISTED_MAX });
  const read = objects.map(async ({ key }) => {
    const stored = await BUNDLES.get(key);
    return stored === null ? [] : [{ key, text: await textOf(stored) }];
  });
  return (await Promise.all(read)).flat();
}

/** Nodes check it too, by the keys that they have; here it spares them a release that they would refuse. */
async function verifyRelease(env: Env, signed: string): Promise<AgentRelease> {
  const { kid, typ } = headerOf(signed);
  const key = releaseKeys(env).find((known) => known.kid === kid);
  if (key === undefined)
    refuse("signature", `is signed by ${kid ?? "a key without a name"}, which AGENT_RELEASE_KEYS does not have`);
  if (typ !== AGENT_RELEASE_TYP) refuse("type", `is of type ${typ ?? "none"}, not ${AGENT_RELEASE_TYP}`);
  const { kty, crv, x } = key;
  const verified = await compactVerify(signed, await importJWK({ kty, crv, x }, "EdDSA"), {
    algorithms: ["EdDSA"],
  }).catch(() => null);
  if (verified === null) return refuse("signature", "has a signature that does not match");
  const manifest = AgentManifest.safeParse(jsonIn(verified.payload));
  if (!manifest.success) return refuse("manifest", `is signed, but malformed: ${manifest.error.issues[0]?.message}`);
  const { protocol } = manifest.data;
  if (protocol !== AGENT_PROTOCOL && protocol !== AGENT_PROTOCOL - 1) {
    refuse(
      "protocol",
      `is of an agent that speaks protocol ${protocol}; this control plane speaks ${AGENT_PROTOCOL}: bring it over first`,
    );
  }
  return { ...manifest.data, manifest: signed };
}

function releaseKeys(env: Env): ReleaseKey[] {
  if (!env.AGENT_RELEASE_KEYS) {
    fail(
      "unprocessable",
      "This installation has no release keys: set AGENT_RELEASE_KEYS to a JSON list of the public ones.",
    );
  }
  return ReleaseKey.array().parse(JSON.parse(env.AGENT_RELEASE_KEYS));
}

function headerOf(signed: string): { kid?: string | undefined; typ?: string | undefined } {
  try {
    return decodeProtectedHeader(signed);
  } catch {
    return refuse("signature", "is not signed: it must be a compact JWS, as `npm run build:agent -- --sign` makes it");
  }
}

function jsonIn(payload: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(payload));
  } catch {
    return null;
  }
}

function refuse(rule: string, message: string): never {
  return failField("unprocessable", { pointer: "/manifest", rule, message });
}
