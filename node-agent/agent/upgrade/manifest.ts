// Whether a manifest is a release that this node may run: signed by a pinned key, newer than what runs, and whole.
import { compactVerify, decodeProtectedHeader, importJWK } from "jose";
import { AGENT_RELEASE_TYP, AgentManifest, type ReleaseKey } from "../../../contracts/agent-release.ts";
import { compareVersions } from "../../../core/upgrade/version.ts";

/** Why not, in words for the operator. */
export class ManifestRefused extends Error {}

/** Throws ManifestRefused. */
export async function verifyManifest(signed: string, keys: readonly ReleaseKey[]): Promise<AgentManifest> {
  const header = headerOf(signed);
  const key = keys.find(({ kid }) => kid === header.kid);
  if (key === undefined) {
    throw new ManifestRefused(
      `its manifest is signed by the key ${header.kid ?? "without a name"}, which is not pinned here`,
    );
  }
  if (header.typ !== AGENT_RELEASE_TYP) throw new ManifestRefused(`its manifest is of type ${header.typ ?? "none"}`);
  const { kty, crv, x } = key;
  try {
    const { payload } = await compactVerify(signed, await importJWK({ kty, crv, x }, "EdDSA"), {
      algorithms: ["EdDSA"],
    });
    return AgentManifest.parse(JSON.parse(new TextDecoder().decode(payload)));
  } catch (error) {
    if (error instanceof SyntaxError || (error as Error).name === "ZodError") {
      throw new ManifestRefused("its manifest is signed, but is none that this agent can read");
    }
    throw new ManifestRefused("its manifest's signature does not match");
  }
}

function headerOf(signed: string): { kid?: string | undefined; typ?: string | undefined } {
  try {
    return decodeProtectedHeader(signed);
  } catch {
    throw new ManifestRefused("its manifest is no signed one");
  }
}

export interface Running {
  readonly version: string;
  readonly sha256: string;
}

/** "same": it runs already. Throws ManifestRefused where it would be a step back, or other bytes under the same name. */
export function judgeStep(manifest: AgentManifest, running: Running): "same" | "newer" {
  if (manifest.sha256 === running.sha256) return "same";
  const step = compareVersions(manifest.version, running.version);
  if (step < 0)
    throw new ManifestRefused(`it is a downgrade: this node runs ${running.version}, and only goes forward`);
  if (step === 0) throw new ManifestRefused(`this node runs ${running.version} already, with other bytes`);
  return "newer";
}
