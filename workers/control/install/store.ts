// The installation as it is kept: one small document in the bucket of bundles, and the bytes that it names beside the releases'.
import { Installation } from "../../../contracts/installation.ts";
import type { ControlEnv, StoredBundle } from "../env.ts";
import { fail, failField } from "../http/problem.ts";
import { agentBytesKey } from "../releases/store.ts";
import { textOf } from "../stored-text.ts";

type Env = Pick<ControlEnv, "BUNDLES">;

export const INSTALLATION_KEY = "install/installation.json";

export async function readInstallation({ BUNDLES }: Env): Promise<Installation | null> {
  const stored = await BUNDLES.get(INSTALLATION_KEY);
  return stored === null ? null : Installation.parse(JSON.parse(await textOf(stored)));
}

/** Refused while bytes that it names are missing: servers would find out one by one. */
export async function storeInstallation({ BUNDLES }: Env, installation: Installation): Promise<void> {
  for (const name of ["agent", "launcher", "script"] as const) {
    if ((await BUNDLES.head(agentBytesKey(installation[name]))) !== null) continue;
    const message = `names bytes that were not uploaded: PUT /v1/agent-bundles/${installation[name]} first`;
    failField("unprocessable", { pointer: `/${name}`, rule: "exists", message });
  }
  await BUNDLES.put(INSTALLATION_KEY, JSON.stringify(installation));
}

/** An origin that may stand between single quotes in a script that root runs. */
const ORIGIN = /^https?:\/\/[a-z0-9.:[\]-]+$/;

export async function filledScript(env: Env, origin: string): Promise<string> {
  const installation = await published(env);
  if (!ORIGIN.test(origin)) fail("invalid_request", "This host name cannot stand in an install script.");
  const script = await env.BUNDLES.get(agentBytesKey(installation.script));
  if (script === null) return fail("not_found", "The published install script is not in the bucket: publish it again.");
  const { version, agent, launcher, node } = installation;
  const facts: Record<string, string> = {
    CONTROL: origin,
    AGENT_VERSION: version,
    AGENT_SHA256: agent,
    LAUNCHER_SHA256: launcher,
    NODE_VERSION: node.version,
    NODE_SHA256_X64: node.x64,
    NODE_SHA256_ARM64: node.arm64,
    NODE_URL: node.url,
  };
  return (await textOf(script)).replace(/'@([A-Z0-9_]+)@'/g, (whole, name: string) =>
    facts[name] === undefined ? whole : `'${facts[name]}'`,
  );
}

/** The bytes of one of the published files; null for any other name: releases are not for everybody. */
export async function installFile(env: Env, name: string): Promise<StoredBundle | null> {
  const installation = await readInstallation(env);
  if (installation === null) return null;
  const { agent, launcher } = installation;
  const known: Record<string, string> = { [`agent-${agent}.mjs`]: agent, [`launcher-${launcher}.mjs`]: launcher };
  const sha256 = known[name];
  return sha256 === undefined ? null : env.BUNDLES.get(agentBytesKey(sha256));
}

async function published(env: Env): Promise<Installation> {
  const found = await readInstallation(env);
  return (
    found ?? fail("not_found", "Nothing was published to install yet: `berth nodes installer dist` does it, once.")
  );
}
