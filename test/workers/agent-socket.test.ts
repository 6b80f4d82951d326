// The agent's WebSocket at the control Worker: who gets one, who is refused before any object is touched, and renewal while it lives.
import { beforeAll, describe, expect, it } from "vitest";
import { AGENT_PROTOCOL, type HeartbeatResponse } from "../../contracts/agent-protocol.ts";
import { SOCKET_PATH, SOCKET_PROTOCOL, type ToAgent } from "../../contracts/agent-socket.ts";
import { Problem } from "../../contracts/failures.ts";
import { issueCredential } from "../../workers/control/agent/credential.ts";
import { FAST_MS, type Forgery, heartbeat, makeKeys, makeNode, type TestNode } from "./agent-node.ts";
import { controlEnv, request } from "./control-env.ts";
import { clockGoesOn, stillClock } from "./still-clock.ts";

clockGoesOn();
let node: TestNode;
beforeAll(async () => {
  node = await makeNode();
});

const pathOf = (protocol: number | string = AGENT_PROTOCOL, ack: number | string = 1e6) =>
  `${SOCKET_PATH}?protocol=${protocol}&ack=${ack}`;
const open = (forged: Forgery = {}, path = pathOf(), who = node) =>
  who.call("GET", path, undefined, "socket", { upgrade: true, ...forged });
const codeOf = async (answer: Response) => Problem.parse(await answer.json()).code;

/** The next message; null: the socket was closed. */
const next = (socket: WebSocket): Promise<ToAgent | null> =>
  new Promise((resolve) => {
    socket.addEventListener("message", ({ data }) => resolve(JSON.parse(String(data)) as ToAgent), { once: true });
    socket.addEventListener("close", () => resolve(null), { once: true });
  });

async function accepted(answer: Response): Promise<WebSocket> {
  expect(answer.status).toBe(101);
  answer.webSocket!.accept();
  return answer.webSocket!;
}

function beat(socket: WebSocket, id: number): Promise<ToAgent | null> {
  const answer = next(socket);
  socket.send(JSON.stringify({ kind: "heartbeat", id, atMs: Date.now() + FAST_MS, body: heartbeat() }));
  return answer;
}

describe("an agent that asks for a socket", () => {
  it("gets one by its credential and a proof, and beats over it in one order with its beats over HTTP", async () => {
    const socket = await accepted(await open());
    const first = await beat(socket, node.nextSeq("heartbeat"));
    expect(first).toMatchObject({ kind: "heartbeat", body: { leaseTtlMs: expect.any(Number) } });
    const replayed = await node.call("POST", "/agent/v1/heartbeat", heartbeat(), "heartbeat");
    expect(await codeOf(replayed)).toBe("proof_replayed");
    const overHttp = await node.call("POST", "/agent/v1/heartbeat", heartbeat(), "heartbeat");
    expect((await overHttp.json()) as HeartbeatResponse).toMatchObject({ leaseTtlMs: expect.any(Number) });
    socket.close(1000);
  });

  it("gets what is newer than it has with the first message", async () => {
    const answer = await open({}, pathOf(AGENT_PROTOCOL, 0));
    const message = new Promise((resolve) => answer.webSocket!.addEventListener("message", resolve));
    await accepted(answer);
    expect(JSON.parse(String(((await message) as MessageEvent).data))).toMatchObject({
      kind: "poll",
      id: 0,
      body: { desired: { node: node.node } },
    });
  });

  it.each<[string, () => Promise<Forgery> | Forgery, string]>([
    ["without a proof", () => ({ proof: null }), "proof_invalid"],
    ["with a proof of another lane", () => ({ claims: { lane: "poll" } }), "proof_invalid"],
    ["with a proof for another path", () => ({ claims: { htu: pathOf(AGENT_PROTOCOL, 7) } }), "proof_invalid"],
    ["with a proof by another key", async () => ({ signedBy: await makeKeys() }), "proof_invalid"],
    ["with an old proof", () => ({ claims: { iatMs: Date.now() - 31_000 } }), "proof_invalid"],
    ["with no credential of ours", () => ({ credential: "nonsense" }), "credential_invalid"],
  ])("is refused %s", async (_name, forged, code) => {
    const answer = await open(await forged());
    expect([answer.webSocket, answer.status]).toEqual([null, 401]);
    expect(await codeOf(answer)).toBe(code);
  });

  it("is told when to come again where it came so late that it no longer waits, before anything of it is verified", async () => {
    stillClock();
    const answer = await open({ claims: { iatMs: Date.now() - 20_000 }, credential: "nonsense" });
    expect([answer.webSocket, answer.status, answer.headers.get("retry-after")]).toEqual([null, 503, "10"]);
    expect(await codeOf(answer)).toBe("overloaded");
  });

  it("is refused with an expired credential, whose renewal it may ask for", async () => {
    const { node: id, cell, keys } = node;
    const issuedAtMs = Date.now() - 48 * 3_600_000;
    const expired = await issueCredential(
      controlEnv.CREDENTIAL_SIGNING_KEY,
      { node: id, cell, jkt: keys.jkt },
      issuedAtMs,
    );
    expect(await codeOf(await open({ credential: expired }))).toBe("credential_expired");
  });

  it("is refused once more by a proof that was used, and the socket that it opened stays", async () => {
    const proof = await node.prove("GET", pathOf(), "", "socket");
    const socket = await accepted(await open({ proof }));
    expect(await codeOf(await open({ proof }))).toBe("proof_replayed");
    expect(await beat(socket, node.nextSeq("heartbeat") + 50)).toMatchObject({ kind: "heartbeat" });
  });

  it.each([AGENT_PROTOCOL + 1, SOCKET_PROTOCOL - 1])("is refused with the protocol %i, by name", async (protocol) => {
    const answer = await open({}, pathOf(protocol));
    expect([answer.status, await codeOf(answer)]).toEqual([400, "protocol_unsupported"]);
  });

  it("is refused where it does not say what it has, and told what is missing", async () => {
    const problem = Problem.parse(await (await open({}, `${SOCKET_PATH}?protocol=${AGENT_PROTOCOL}`)).json());
    expect(problem).toMatchObject({ code: "invalid_request", errors: [{ pointer: "query:ack" }] });
  });

  it("is refused when it was revoked, and its living socket is closed", async () => {
    const revoked = await makeNode();
    const socket = await accepted(await open({}, pathOf(), revoked));
    const closed = new Promise<CloseEvent>((resolve) => socket.addEventListener("close", resolve));
    await controlEnv.CELL.getByName(revoked.cell).revoke({ node: revoked.node, actor: "user:test" });
    expect((await closed).code).toBe(4003);
    expect(await codeOf(await open({}, pathOf(), revoked))).toBe("node_revoked");
  });

  it("that asks for none of the kind is told what this path is for", async () => {
    const plain = await request(pathOf());
    expect([plain.status, plain.headers.get("upgrade")]).toEqual([426, "websocket"]);
    expect((await request(`/x${SOCKET_PATH}`)).status).toBe(404);
  });
});

it("a credential renewed over HTTP is good for the socket that is open", async () => {
  const renewing = await makeNode();
  const { node: id, cell, keys } = renewing;
  const clock = stillClock();
  // Two seconds are left of it.
  const issuedAtMs = Date.now() - 24 * 3_600_000 + 2_000;
  const credential = await issueCredential(
    controlEnv.CREDENTIAL_SIGNING_KEY,
    { node: id, cell, jkt: keys.jkt },
    issuedAtMs,
  );
  const socket = await accepted(await open({ credential }, pathOf(), renewing));
  const renewal = { protocol: AGENT_PROTOCOL };
  expect((await renewing.call("POST", "/agent/v1/credential", renewal, "ask", { credential })).status).toBe(200);
  clock.pass(2_100);
  expect(await beat(socket, renewing.nextSeq("heartbeat"))).toMatchObject({ kind: "heartbeat" });
});
