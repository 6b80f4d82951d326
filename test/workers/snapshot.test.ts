// The snapshot of a region as a node gets it: signed, with every node and every app's route there, and made anew when something changes.
import { compactVerify, importJWK, type JWK } from "jose";
import { describe, expect, it } from "vitest";
import { Snapshot } from "../../contracts/snapshot.ts";
import type { RegionName } from "../../contracts/ids.ts";
import { makeSnapshot, makeSnapshotNow } from "../../workers/control/snapshots/make.ts";
import { readSnapshot } from "../../workers/control/snapshots/store.ts";
import { heartbeat, makeNode, type TestNode } from "./agent-node.ts";
import { controlEnv } from "./control-env.ts";

const region = "local" as RegionName;
const fetchOf = (node: TestNode, have: number) => node.call("GET", `/agent/v1/snapshot?have=${have}`, undefined, "ask");
const current = async () => {
  const answer = await controlEnv.REGION.getByName(region).snapshot({ insist: true });
  if (!answer.ok) throw new Error("no region");
  return { region, version: answer.value.version, digest: answer.value.digest };
};

async function open(answer: Response): Promise<Snapshot> {
  const { snapshot } = (await answer.json()) as { snapshot: string };
  const { x, kty, crv } = JSON.parse(controlEnv.TICKET_SIGNING_KEY) as JWK;
  const { payload } = await compactVerify(snapshot, await importJWK({ kty, crv, x } as JWK, "EdDSA"));
  const unpacked = new Blob([payload as BufferSource]).stream().pipeThrough(new DecompressionStream("gzip"));
  return Snapshot.parse(await new Response(unpacked).json());
}

describe("GET /agent/v1/snapshot", () => {
  it("answers the first who asks with a snapshot that names it and its key, and then that there is no newer one", async () => {
    const node = await makeNode();
    const answer = await fetchOf(node, 0);
    expect(answer.status).toBe(200);
    const snapshot = await open(answer);
    expect(snapshot).toMatchObject({ region, version: (await current()).version });
    expect(snapshot.nodes).toContainEqual({ node: node.node, signKey: node.keys.x, gatewayUrl: "http://127.0.0.1:9" });
    expect((await fetchOf(node, snapshot.version)).status).toBe(204);
  });

  it("has a version of its own for every change and none for a look that finds nothing new", async () => {
    const before = await current();
    expect(await makeSnapshot(controlEnv, before)).toEqual(before);
    const node = await makeNode();
    const after = await makeSnapshot(controlEnv, before);
    expect(after.version).toBeGreaterThan(before.version);
    expect((await readSnapshot(controlEnv, after))?.snapshot.nodes.map((each) => each.node)).toContain(node.node);
    await controlEnv.CELL.getByName(node.cell).revoke({ node: node.node, actor: "user:test" });
    const last = await makeSnapshot(controlEnv, await current());
    expect((await readSnapshot(controlEnv, last))?.snapshot.nodes.map((each) => each.node)).not.toContain(node.node);
    expect(await readSnapshot(controlEnv, before)).toBeNull();
  });

  it("of two makers at once one is the newest, and what the other stored is nobody's", async () => {
    const before = await current();
    await makeNode();
    const made = await Promise.all([makeSnapshot(controlEnv, before), makeSnapshot(controlEnv, before)]);
    const now = await current();
    expect(now.version).toBeGreaterThan(before.version);
    expect(made).toContainEqual(now);
    expect(await readSnapshot(controlEnv, now)).not.toBeNull();
  });

  it("makes none of a region that knows no node, so that one that was lost stays empty, and nodes keep what they have", async () => {
    const lost = { region: "lost" as RegionName, version: 0, digest: "" };
    expect(await makeSnapshot(controlEnv, lost)).toEqual(lost);
    const object = controlEnv.REGION.getByName(lost.region);
    expect(await object.snapshot({ insist: true })).toMatchObject({ ok: true, value: { version: 0 } });
    expect(await object.dump({ copy: null, page: 0 })).toMatchObject({ ok: true, value: { rows: 0 } });
  });

  it("lacks a removed node at once, and its peers are told so with their next heartbeats and served the new one", async () => {
    const [gone, peer] = [await makeNode(), await makeNode()];
    const before = await makeSnapshot(controlEnv, await current());
    expect((await fetchOf(peer, before.version)).status).toBe(204);
    await controlEnv.CELL.getByName(gone.cell).revoke({ node: gone.node, actor: "user:test" });
    await makeSnapshotNow(controlEnv, region);
    const beat = await peer.call("POST", "/agent/v1/heartbeat", heartbeat(), "heartbeat");
    const { snapshot: least } = (await beat.json()) as { snapshot: number };
    expect(least).toBeGreaterThan(before.version);
    // This isolate asked a moment ago, and remembers the one before.
    const path = `/agent/v1/snapshot?have=${before.version}&least=${least}`;
    const { version, nodes } = await open(await peer.call("GET", path, undefined, "ask"));
    expect(version).toBe(least);
    const named = nodes.map(({ node }) => node);
    expect([named.includes(gone.node), named.includes(peer.node)]).toEqual([false, true]);
  });

  it("of a maker who began before a node was removed never takes the place of one that began after", async () => {
    const node = await makeNode();
    const before = await makeSnapshot(controlEnv, await current());
    const slow = makeSnapshot(controlEnv, before);
    await controlEnv.CELL.getByName(node.cell).revoke({ node: node.node, actor: "user:test" });
    await new Promise((resolve) => setTimeout(resolve, 5));
    await Promise.all([slow, makeSnapshotNow(controlEnv, region)]);
    const snapshot = await readSnapshot(controlEnv, await current());
    expect(snapshot?.snapshot.nodes.map((each) => each.node)).not.toContain(node.node);
  });

  it("gives it to no node that was removed, nor to anybody without a proof", async () => {
    const node = await makeNode();
    await makeSnapshot(controlEnv, await current());
    await controlEnv.CELL.getByName(node.cell).revoke({ node: node.node, actor: "user:test" });
    const answer = await fetchOf(node, 0);
    expect(answer.status).toBe(403);
    expect(((await answer.json()) as { code: string }).code).toBe("node_revoked");
    expect((await node.call("GET", "/agent/v1/snapshot?have=0", undefined, "ask", { proof: null })).status).toBe(401);
  });
});
