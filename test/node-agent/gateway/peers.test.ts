// Tickets that a peer signed: good while its node is in the region's snapshot, by its own key, for a visitor's request alone.
import { randomUUID } from "node:crypto";
import { rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { appId, ask as tell, instanceId, nodeId, teamId } from "../../../bench/shared/gateway-world.ts";
import { RegionName } from "../../../contracts/ids.ts";
import { PEER_TYP } from "../../../contracts/snapshot.ts";
import { PEERS_FILE, type PeersFile } from "../../../node-agent/snapshot-file.ts";
import { Served } from "./served.ts";
import { httpApp, send } from "./upstreams.ts";

let served: Served;
let peer: { key: CryptoKey; x: string };
let other: { key: CryptoKey; x: string };

async function makePeer() {
  const { privateKey, publicKey } = await generateKeyPair("EdDSA", { crv: "Ed25519", extractable: true });
  return { key: privateKey, x: (await exportJWK(publicKey)).x as string };
}

async function peers(version: number, nodes: [number, string][]): Promise<void> {
  const file: PeersFile = {
    region: RegionName.parse("fra"),
    version,
    nodes: nodes.map(([node, signKey]) => ({ node: nodeId(node), signKey, gatewayUrl: "http://127.0.0.1:9" })),
  };
  const path = join(served.gateway.dir, PEERS_FILE);
  await writeFile(`${path}.tmp`, JSON.stringify(file));
  await rename(`${path}.tmp`, path);
  await tell(served.gateway.dir, "POST", "/reload");
}

interface Wish {
  readonly claims?: object;
  readonly header?: object;
  readonly key?: CryptoKey;
}
function peerTicket({ claims = {}, header = {}, key = peer.key }: Wish = {}): Promise<string> {
  const iat = Math.floor(Date.now() / 1_000);
  const usual = {
    iss: nodeId(2),
    aud: nodeId(1),
    sub: instanceId(1),
    team: teamId(1),
    app: appId(1),
    gen: 1,
    use: "app",
  };
  return new SignJWT({ ...usual, iat, exp: iat + 60, jti: randomUUID(), ...claims })
    .setProtectedHeader({ alg: "EdDSA", typ: PEER_TYP, ...header })
    .sign(key);
}
const ask = async (ticket: string) => send(served.gateway.port, { headers: { "berth-ticket": ticket } });

beforeAll(async () => {
  [served, peer, other] = [await Served.start(), await makePeer(), await makePeer()];
  await served.serve(await httpApp((_request, response) => void response.end("mine")));
});
afterAll(() => served.stop());

describe("a peer's ticket", () => {
  it("is refused before the snapshot names any peer, and good once it does", async () => {
    const ticket = await peerTicket();
    expect((await ask(ticket)).status).toBe(401);
    await peers(3, [
      [2, peer.x],
      [3, other.x],
    ]);
    expect(await ask(ticket)).toMatchObject({ status: 200, body: "mine" });
    expect((await ask(ticket)).status).toBe(200);
  });

  it.each<[string, Wish | (() => Wish)]>([
    ["signed by another node's key", () => ({ key: other.key })],
    ["of a node that nobody knows", { claims: { iss: nodeId(9) } }],
    ["for another node", { claims: { aud: nodeId(2) } }],
    ["for another team", { claims: { team: teamId(2) } }],
    ["that would read logs", { claims: { use: "logs" } }],
    ["that would pass for the control plane's own check", { claims: { use: "verify" } }],
    ["that lives too long", { claims: { exp: Math.floor(Date.now() / 1_000) + 600 } }],
    [
      "in the dress of the control plane's",
      { header: { typ: "berth-ticket+jwt", kid: "t1" }, claims: { iss: "berth" } },
    ],
    ["in the dress of a proof", { header: { typ: "berth-proof+jwt" } }],
  ])("%s is refused", async (_name, wish) => {
    expect((await ask(await peerTicket(typeof wish === "function" ? wish() : wish))).status).toBe(401);
  });

  it("dies with its node's place in the snapshot, also where it was verified before, and an older list changes nothing", async () => {
    const [ticket, others] = [await peerTicket(), await peerTicket({ key: other.key, claims: { iss: nodeId(3) } })];
    expect([(await ask(ticket)).status, (await ask(others)).status]).toEqual([200, 200]);
    await peers(4, [[3, other.x]]);
    expect([(await ask(ticket)).status, (await ask(others)).status]).toEqual([401, 200]);
    await peers(3, [
      [2, peer.x],
      [3, other.x],
    ]);
    expect((await ask(ticket)).status).toBe(401);
  });

  it("the edge's own are good beside a list of peers that cannot be read", async () => {
    await writeFile(join(served.gateway.dir, PEERS_FILE), "{");
    await tell(served.gateway.dir, "POST", "/reload").catch(() => undefined);
    expect((await served.ask()).body).toBe("mine");
  });
});
