// Releases for simulated agents: signed and published as an operator does it, and the upgrades to them.
import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { AGENT_PROTOCOL } from "../../contracts/agent-protocol.ts";
import { AgentRelease, AgentUpgrade, AgentUpgrades } from "../../contracts/agent-release.ts";
import { callApi } from "../../dev/stack/operator.ts";
import { type PrivateReleaseKey, signManifest } from "../../node-agent/build/release-key.ts";
import type { SimBundle } from "../sim-fleet/sim-upgrade.ts";

export interface Operator {
  readonly controlUrl: string;
  readonly token: string;
}

/** padded: to that many bytes, as a real bundle has. */
export async function publish(
  { controlUrl, token }: Operator,
  key: PrivateReleaseKey,
  wish: { readonly version: string; readonly does: SimBundle["does"]; readonly bytes: number },
): Promise<void> {
  const { version, does, bytes } = wish;
  const text = JSON.stringify({ does, version } satisfies SimBundle & { version: string }).padEnd(bytes);
  const sha256 = createHash("sha256").update(text).digest("hex");
  const stored = await fetch(new URL(`/v1/agent-bundles/${sha256}`, controlUrl), {
    method: "PUT",
    body: text,
    headers: { authorization: `Bearer ${token}`, "content-type": "application/octet-stream" },
  });
  if (stored.status !== 204) throw new Error(`the upload was answered with ${stored.status}: ${await stored.text()}`);
  const manifest = await signManifest({ version, sha256, bytes, protocol: AGENT_PROTOCOL, notBefore: 0 }, key);
  const body = { manifest };
  await callApi(controlUrl, { schema: AgentRelease, method: "POST", path: "/v1/agent-releases", token, body });
}

export interface Ended {
  readonly upgrade: AgentUpgrade;
  readonly tookMs: number;
  /** Milliseconds from its start to the beginning of each stage. */
  readonly stagesMs: Readonly<Record<string, number>>;
}

export async function upgradeTo(operator: Operator, version: string, withinMs: number): Promise<Ended> {
  const { controlUrl, token } = operator;
  const beganMs = performance.now();
  const path = "/v1/agent-upgrades";
  const body = { version };
  const { attempt } = await callApi(controlUrl, { schema: AgentUpgrade, method: "POST", path, token, body });
  for (;;) {
    const { items } = await callApi(controlUrl, { schema: AgentUpgrades, method: "GET", path, token });
    const upgrade = items.find((item) => item.attempt === attempt);
    const tookMs = performance.now() - beganMs;
    if (upgrade && upgrade.state !== "running") return { upgrade, tookMs, stagesMs: stagesOf(upgrade) };
    if (tookMs > withinMs) throw new Error(`still ${JSON.stringify(upgrade)} after ${withinMs} ms`);
    await sleep(250);
  }
}

function stagesOf({ story, startedAtMs }: AgentUpgrade): Record<string, number> {
  const begun = story.filter(({ text }) => text.startsWith("stage "));
  return Object.fromEntries(begun.map(({ text, atMs }) => [text.slice("stage ".length), atMs - startedAtMs]));
}
