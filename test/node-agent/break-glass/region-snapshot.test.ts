// The node's copy of its region's snapshot: believed by the control plane's signature alone, never replaced by an older one, kept over restarts.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { CompactSign, importJWK } from "jose";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { nodeId, signingKey, type SigningKey } from "../../../bench/shared/gateway-world.ts";
import { RegionName } from "../../../contracts/ids.ts";
import { SNAPSHOT_TYP, type Snapshot } from "../../../contracts/snapshot.ts";
import { AGENT_LIMITS, type AgentLimits } from "../../../core/converge/limits.ts";
import { RegionSnapshot, type RegionSnapshotPorts } from "../../../node-agent/agent/break-glass/region-snapshot.ts";
import { PEERS_FILE, PeersFile, SNAPSHOT_FILE } from "../../../node-agent/snapshot-file.ts";
import { until } from "../agent/world.ts";

let dir: string;
let key: SigningKey;
let paths: string[];
/** What the control plane answers, one after the other; then nothing new. */
let answers: (string | Error)[];
const open: RegionSnapshot[] = [];

const snapshotOf = (version: number, region = "fra"): Snapshot => ({
  region: RegionName.parse(region),
  version,
  atMs: 0,
  nodes: [{ node: nodeId(version), signKey: "A".repeat(43), gatewayUrl: "http://127.0.0.1:9" }],
  routes: [],
  ports: [],
});
async function signed(snapshot: Snapshot, by = key, typ = SNAPSHOT_TYP): Promise<string> {
  return new CompactSign(gzipSync(JSON.stringify(snapshot)))
    .setProtectedHeader({ alg: "EdDSA", typ, kid: "t1" })
    .sign(await importJWK(JSON.parse(by.secret) as object, "EdDSA"));
}

function makePorts(snapshotMs: number): RegionSnapshotPorts {
  const control = {
    call: ({ path }: { path: string }) => {
      paths.push(path);
      const next = answers.shift();
      if (next instanceof Error) return Promise.reject(next);
      return Promise.resolve(next === undefined ? null : { snapshot: next, nowMs: 0 });
    },
  };
  return {
    dir,
    limits: { ...AGENT_LIMITS, snapshotMs } as AgentLimits,
    log: pino({ level: "silent" }),
    control: control as unknown as RegionSnapshotPorts["control"],
    identity: {
      enrolled: { cell: "fra.0", ticketKeys: [key.publicKey] },
    } as unknown as RegionSnapshotPorts["identity"],
    gateway: { reload: () => Promise.resolve(null) } as unknown as RegionSnapshotPorts["gateway"],
  };
}
async function start(snapshotMs = 5): Promise<RegionSnapshot> {
  const snapshot = new RegionSnapshot(makePorts(snapshotMs));
  open.push(snapshot);
  await snapshot.open();
  snapshot.start();
  return snapshot;
}
const known = (): number | null =>
  existsSync(join(dir, PEERS_FILE))
    ? PeersFile.parse(JSON.parse(readFileSync(join(dir, PEERS_FILE), "utf8"))).version
    : null;
const asked = (version: number) =>
  until("what is waited for", () => paths.at(-1) === `/agent/v1/snapshot?have=${version}`);

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), "berth-snapshot-"));
  [key, paths, answers] = [await signingKey(), [], []];
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((each) => each.stop()));
  rmSync(dir, { recursive: true, force: true });
});

describe("a node's copy of its region's snapshot", () => {
  it("is asked for at once where the control plane says that there is to be a newer one, until it is there, and not twice", async () => {
    answers = [await signed(snapshotOf(4))];
    const snapshot = await start(600_000);
    await until("the first", () => known() === 4);
    answers = [new Error("away"), await signed(snapshotOf(5))];
    const heartbeats = setInterval(() => snapshot.isToBe(5), 5);
    await until("the second", () => known() === 5).finally(() => clearInterval(heartbeats));
    snapshot.isToBe(5);
    const least = "/agent/v1/snapshot?have=4&least=5";
    expect(paths).toEqual(["/agent/v1/snapshot?have=0", least, least]);
  });

  it("is the newest that was told, and is there again after a restart with nobody to ask", async () => {
    answers = [await signed(snapshotOf(4)), new Error("away"), await signed(snapshotOf(5))];
    await start();
    await asked(5);
    expect(known()).toBe(5);
    await open.pop()?.stop();
    rmSync(join(dir, PEERS_FILE));
    paths = [];
    await start();
    expect(known()).toBe(5);
    await asked(5);
  });

  it("is not replaced by an older one, nor by one of another region", async () => {
    answers = [await signed(snapshotOf(5)), await signed(snapshotOf(4)), await signed(snapshotOf(9, "ams"))];
    await start();
    await until("what is waited for", () => answers.length === 0 && paths.length > 4);
    expect(known()).toBe(5);
    expect(paths.at(-1)).toBe("/agent/v1/snapshot?have=5");
  });

  it("is believed by no other key, by no other signature of the same key, and not where it was changed", async () => {
    const real = await signed(snapshotOf(7));
    const bent = `${real.slice(0, -6)}AAAAAA`;
    answers = [
      await signed(snapshotOf(7), await signingKey()),
      await signed(snapshotOf(7), key, "JWT"),
      bent,
      "no JWS",
    ];
    await start();
    await until("what is waited for", () => answers.length === 0 && paths.length > 5);
    expect(known()).toBeNull();
    writeFileSync(join(dir, SNAPSHOT_FILE), bent);
    await open.pop()?.stop();
    answers = [real];
    await start();
    await asked(7);
    expect(known()).toBe(7);
  });
});
