// `berth nodes upgrade` on the real stack: N−1 → N under load with the gateways handed over, and builds that must not come in.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { hasFailed } from "../../dev/load/visitors.ts";
import { AGENT_PROTOCOL } from "../../contracts/agent-protocol.ts";
import { bundleAgent } from "../../node-agent/build/bundle-agent.ts";
import {
  makeReleaseKey,
  publicHalf,
  signManifest,
  type PrivateReleaseKey,
} from "../../node-agent/build/release-key.ts";
import { command, deployed, nodesAre, servingOf, storyOf, visitorsOf } from "./nodes-support.ts";
import { createWorld, type World } from "./support.ts";

const APP = "steady";
const OLD = "1.0.0";
const NEW = "1.1.0";

let world: World;
let key: PrivateReleaseKey;
beforeAll(async () => {
  key = await makeReleaseKey();
  const releaseKeys = [publicHalf(key)];
  world = await createWorld({
    agentRelease: { version: OLD, releaseKeys },
    agentTuning: { agentTrialMs: 20_000, handOverRetryMs: 1_000 },
    tuning: { upgradeSoakMs: 1_500, upgradeLookMs: 300, upgradeAtOnceMax: 2 },
    controlVars: { AGENT_RELEASE_KEYS: JSON.stringify(releaseKeys) },
  });
  await nodesAre(world, "ready");
  await deployed(world, APP);
});
afterAll(async () => await world?.end());

interface Files {
  readonly bundle: string;
  readonly manifest: string;
}

/** What `npm run build:agent -- --sign` makes, of these bytes. */
async function signed(version: string, bytes: Buffer): Promise<Files> {
  const folder = join(world.home, "releases", version);
  mkdirSync(folder, { recursive: true });
  const files = { bundle: join(folder, "agent.mjs"), manifest: join(folder, "agent.manifest") };
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  const manifest = { version, sha256, bytes: bytes.length, protocol: AGENT_PROTOCOL, notBefore: 0 };
  writeFileSync(files.bundle, bytes);
  writeFileSync(files.manifest, await signManifest(manifest, key));
  return files;
}

async function built(version: string): Promise<Buffer> {
  const outfile = join(world.home, `built-${version}.mjs`);
  await bundleAgent(outfile, { version, releaseKeys: [publicHalf(key)] });
  return readFileSync(outfile);
}

const publish = ({ bundle, manifest }: Files, ...more: string[]) =>
  world.berth(["nodes", "upgrade", "--bundle", bundle, "--manifest", manifest, ...more]);

async function agents() {
  const { body } = await world.api("GET", "/v1/nodes");
  return body.items as { name: string; agentVersion: string }[];
}

/** What a restart of anything would change: containers and their processes' own memory of when they began. */
async function whatRuns() {
  const rows = await servingOf(world, APP);
  return rows
    .map(({ id, generation, restarts }) => ({ id, generation, restarts }))
    .toSorted((a, b) => (a.id < b.id ? -1 : 1));
}
const gateways = () =>
  Object.fromEntries(Object.entries(world.stack.processes()).filter(([role]) => role.startsWith("gateway:")));

test("from N−1 to N under 100 requests/s: no request fails, no instance is touched, and the gateways are new ones", async () => {
  const files = await signed(NEW, await built(NEW));
  const [before, gatewaysBefore] = [await whatRuns(), gateways()];
  const visitors = visitorsOf(world, APP, 100);
  const ran = await publish(files, "--to", NEW);
  const seen = await visitors.stop();
  expect(ran, ran.stderr + ran.stdout).toMatchObject({ exitCode: 0 });
  expect(seen.filter(hasFailed)).toEqual([]);
  expect(seen.length).toBeGreaterThan(300);
  await nodesAre(world, "ready");
  expect((await agents()).map(({ agentVersion }) => agentVersion)).toEqual([NEW, NEW, NEW]);
  expect(await whatRuns()).toEqual(before);
  const gatewaysAfter = gateways();
  for (const [role, pid] of Object.entries(gatewaysBefore)) expect(gatewaysAfter[role], role).not.toBe(pid);
  expect(ran.stdout).toContain("stage one node of local.0");
  expect(ran.stdout).toContain("completed: 3 upgraded");
  for (const what of ["runs agent 1\\.1\\.0", `agent upgraded: agent ${NEW} took over from ${OLD}`])
    await storyOf(world, ["nodes", "events", "node-1"], new RegExp(what));
  await storyOf(
    world,
    ["nodes", "events", "node-1"],
    new RegExp(`gateway replaced: gateway ${NEW} took over from ${OLD}`),
  );
});

test("a build that ends at once is taken back on the first node, named with its last word; the others never hear of it", async () => {
  const before = await whatRuns();
  const visitors = visitorsOf(world, APP, 50);
  const broken = Buffer.from("throw new Error('this build is broken');\n");
  const ran = await publish(await signed("1.2.0", broken), "--to", "1.2.0");
  expect(ran.exitCode).toBe(1);
  expect(ran.stderr).toMatch(/stopped in local: node-\d reverted 1\.2\.0: .*this build is broken/);
  expect((await agents()).map(({ agentVersion }) => agentVersion)).toEqual([NEW, NEW, NEW]);
  const status = JSON.parse((await world.berth(["nodes", "upgrade", "status", "--json"])).stdout);
  expect(status.items[0]).toMatchObject({ state: "failed", stage: "one_node", counts: { upgraded: 0 } });
  const { name } = status.items[0].fault;
  const story = await storyOf(world, ["nodes", "events", name], /agent reverted/);
  expect(story).toContain(`agent 1.2.0 did not come back, so ${NEW} goes on`);
  expect((await visitors.stop()).filter(hasFailed)).toEqual([]);
  expect(await whatRuns()).toEqual(before);
});

test("a build that runs but is never heard is taken back when its time is over", async () => {
  const mute = Buffer.from("setInterval(() => {}, 1000);\n");
  const ran = await publish(await signed("1.3.0", mute), "--to", "1.3.0");
  expect(ran.exitCode).toBe(1);
  expect(ran.stderr).toMatch(/reverted 1\.3\.0: no heartbeat was acknowledged within 20 s/);
  expect((await agents()).map(({ agentVersion }) => agentVersion)).toEqual([NEW, NEW, NEW]);
});

test("what is not signed, wrongly signed, not its bytes, the same version again or unknown is refused before any node hears of it", async () => {
  const bytes = Buffer.from("// another\n");
  const good = await signed("1.4.0", bytes);
  const unsigned = join(world.home, "unsigned.manifest");
  writeFileSync(unsigned, JSON.stringify({ version: "1.4.0" }));
  const other = join(world.home, "other.manifest");
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  const manifest = { version: "1.4.0", sha256, bytes: bytes.length, protocol: AGENT_PROTOCOL, notBefore: 0 };
  writeFileSync(other, await signManifest(manifest, await makeReleaseKey()));
  const forged = join(world.home, "forged.manifest");
  writeFileSync(forged, await signManifest(manifest, { ...(await makeReleaseKey()), kid: key.kid }));
  const truncated = join(world.home, "truncated.mjs");
  writeFileSync(truncated, bytes.subarray(0, 5));
  const cases: [string, string, RegExp][] = [
    [good.bundle, unsigned, /is no signed manifest/],
    [good.bundle, other, /is signed by rel-.*, which AGENT_RELEASE_KEYS does not have/],
    [good.bundle, forged, /has a signature that does not match/],
    [truncated, good.manifest, /has 5 bytes .*its manifest names 11/],
  ];
  for (const [bundle, path, words] of cases) {
    const ran = await publish({ bundle, manifest: path });
    expect(ran.exitCode, ran.stdout).not.toBe(0);
    expect(ran.stderr).toMatch(words);
  }
  expect(await publish(good)).toMatchObject({ exitCode: 0 });
  expect(await publish(good)).toMatchObject({ exitCode: 0 });
  const again = await publish(await signed("1.4.0", Buffer.from("// other bytes\n")));
  expect(again.stderr).toContain("Version 1.4.0 was published with other bytes");
  const unknown = await world.berth(["nodes", "upgrade", "--to", "9.9.9"]);
  expect(unknown.stderr).toContain("version: names no release that was published here");
});

test("a downgrade has nobody to change: every node is newer; nothing is under way to pause", async () => {
  const files = await signed("0.9.0", await built("0.9.0"));
  const ran = await command(
    world,
    "nodes",
    "upgrade",
    "--bundle",
    files.bundle,
    "--manifest",
    files.manifest,
    "--to",
    "0.9.0",
  );
  expect(ran.stdout).toContain("completed: 0 upgraded, 3 had it");
  expect((await agents()).map(({ agentVersion }) => agentVersion)).toEqual([NEW, NEW, NEW]);
  const paused = await world.berth(["nodes", "upgrade", "pause"]);
  expect(paused).toMatchObject({ exitCode: 1 });
  expect(paused.stderr).toContain("No upgrade is under way");
});
