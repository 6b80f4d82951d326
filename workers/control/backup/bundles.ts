// Bundles for the operator's backup: which ones agents and installations need, one by one out of the store, and back into it.
import { decodeJwt } from "jose";
import { AgentManifest } from "../../../contracts/agent-release.ts";
import { type AgentChannel, BundleKey, type ChannelDocument, sha256OfKey } from "../../../contracts/backup.ts";
import type { ControlEnv, StoredBundle } from "../env.ts";
import { failField } from "../http/problem.ts";
import { INSTALLATION_KEY, readInstallation } from "../install/store.ts";
import { agentBytesKey, storedManifests } from "../releases/store.ts";

/** Of Worker requests to the store at the same time. */
const AT_ONCE = 10;

/** All published agent releases, by whomever they were signed, and what servers install at present. */
export async function agentChannel(env: ControlEnv): Promise<AgentChannel> {
  const documents: ChannelDocument[] = await storedManifests(env);
  const hashes = documents.flatMap(({ text }) => {
    const manifest = AgentManifest.safeParse(decodeJwt(text));
    return manifest.success ? [manifest.data.sha256] : [];
  });
  const installation = await readInstallation(env);
  if (installation !== null) {
    documents.push({ key: INSTALLATION_KEY, text: JSON.stringify(installation) });
    hashes.push(installation.agent, installation.launcher, installation.script);
  }
  return { documents, bundles: [...new Set(hashes)].map((hash) => BundleKey.parse(agentBytesKey(hash))) };
}

export const readBundle = ({ BUNDLES }: ControlEnv, key: BundleKey): Promise<StoredBundle | null> => BUNDLES.get(key);

export async function missingBundles({ BUNDLES }: ControlEnv, keys: readonly BundleKey[]): Promise<BundleKey[]> {
  const missing: BundleKey[] = [];
  for (let from = 0; from < keys.length; from += AT_ONCE) {
    const some = keys.slice(from, from + AT_ONCE);
    const found = await Promise.all(some.map((key) => BUNDLES.head(key)));
    missing.push(...some.filter((_, at) => found[at] === null));
  }
  return missing;
}

/** Refused where the body does not have the hash that its key ends with. */
export async function putBundle({ BUNDLES }: ControlEnv, key: BundleKey, body: ReadableStream, bytes: number) {
  try {
    await BUNDLES.put(key, body, { sha256: sha256OfKey(key), bytes });
  } catch (error) {
    // R2 checks the hash while it writes, and keeps nothing that does not match: error 10037.
    if (!/10037|checksum|digest/i.test(String(error))) throw error;
    failField("unprocessable", { pointer: "query:key", rule: "sha256", message: "is not the hash of the body" });
  }
}

/** What was published since the platform was set up anew stays. */
export async function putDocuments({ BUNDLES }: ControlEnv, documents: readonly ChannelDocument[]): Promise<void> {
  for (const { key, text } of documents) await BUNDLES.put(key, text, { onlyIf: { etagDoesNotMatch: "*" } });
}
