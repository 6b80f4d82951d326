// What a node that cannot be reached asks, answered by the real Worker and Cell: through whom, and with which leave.
import { decodeJwt, importJWK, jwtVerify, type JWK } from "jose";
import { expect, it } from "vitest";
import { RELAY_GRANT_TYP, RelayResponse } from "../../contracts/relay.ts";
import { makeKeys, makeNode, type TestNode } from "./agent-node.ts";
import { controlEnv } from "./control-env.ts";

const PATH = "/agent/v1/relay";
const ask = async (node: TestNode, body: object) => node.call("POST", PATH, { protocol: 3, ...body }, "ask");

it("names relays with a grant for each, bound to the node, the relay and the key; held ones become the way", async () => {
  const [hidden, relay] = [await makeNode(), await makeNode()];
  expect(hidden.cell).toBe(relay.cell);
  await beat(relay);
  const { x, jkt } = await makeKeys();
  const answer = RelayResponse.parse(await (await ask(hidden, { key: x, held: [] })).json());
  const offer = answer.relays.find(({ node }) => node === relay.node);
  expect(answer.through).toBeNull();
  const jwk = JSON.parse(controlEnv.TICKET_SIGNING_KEY) as JWK;
  const { d: _, ...publicJwk } = jwk;
  const verified = await jwtVerify(offer!.grant, await importJWK(publicJwk, "EdDSA"), { typ: RELAY_GRANT_TYP });
  expect(verified.payload).toMatchObject({ aud: relay.node, sub: hidden.node, cnf: { jkt } });
  const { iat = 0, exp = 0 } = decodeJwt(offer!.grant);
  expect(exp - iat).toBe(86_400);
  const routed = RelayResponse.parse(await (await ask(hidden, { key: x, held: [relay.node] })).json());
  expect(routed.through).toBe(relay.node);
  const view = await controlEnv.CELL.getByName(hidden.cell).readNode({ node: hidden.node });
  expect(view).toMatchObject({ value: { reach: { kind: "relay", through: { id: relay.node }, held: 1 } } });
});

it("refuses what is no key, and whoever cannot prove who he is", async () => {
  const node = await makeNode();
  expect((await ask(node, { key: "short", held: [] })).status).toBe(400);
  const { x } = await makeKeys();
  expect((await ask(node, { key: x, held: ["no-node"] })).status).toBe(400);
  const forged = { signedBy: await makeKeys() };
  expect((await node.call("POST", PATH, { protocol: 3, key: x, held: [] }, "ask", forged)).status).toBe(401);
});

async function beat(node: TestNode): Promise<void> {
  const report = {
    ...{ protocol: 3, ackRevision: 1, agentVersion: "1.0.0", observed: [], gatewayReady: true },
    used: { cpuMilli: 0, memoryBytes: 0, diskBytes: 0 },
  };
  expect((await node.call("POST", "/agent/v1/heartbeat", report, "heartbeat")).status).toBe(200);
}
