// Who may speak for a node: each way to lie is refused with its own code, and nothing of it reaches the Cell.
import { SignJWT, importJWK, jwtVerify, UnsecuredJWT } from "jose";
import { beforeAll, describe, expect, it } from "vitest";
import {
  AGENT_AUDIENCE,
  AGENT_PROTOCOL,
  CONTROL_ISSUER,
  CREDENTIAL_TYP,
  PROOF_TYP,
  REMOVAL_TYP,
  type RemovalResponse,
} from "../../contracts/agent-protocol.ts";
import { Problem } from "../../contracts/failures.ts";
import { CREDENTIAL_TTL_MS, issueCredential } from "../../workers/control/agent/credential.ts";
import { ticketKeys } from "../../workers/control/agent/ticket-keys.ts";
import { heartbeat, makeKeys, makeNode, play, type Forgery, type TestNode } from "./agent-node.ts";
import { controlEnv, request } from "./control-env.ts";
import { clockGoesOn, stillClock } from "./still-clock.ts";

const HEARTBEAT = "/agent/v1/heartbeat";
clockGoesOn();
let node: TestNode;
let other: TestNode;
beforeAll(async () => {
  node = await makeNode();
  other = await makeNode();
});

async function codeOf(answer: Response): Promise<string> {
  if (answer.ok) return `${answer.status}`;
  expect(answer.headers.get("content-type")).toBe("application/problem+json");
  return Problem.parse(await answer.json()).code;
}
const beat = (forged: Forgery = {}) => node.call("POST", HEARTBEAT, heartbeat(), "heartbeat", forged);

/** The control plane's own key, signing what it would never sign. */
async function credentialWith(
  change: { typ?: string; aud?: string; iss?: string; exp?: number; claims?: Record<string, unknown> } = {},
  keyJson = controlEnv.CREDENTIAL_SIGNING_KEY,
): Promise<string> {
  const now = Math.floor(Date.now() / 1_000);
  const key = await importJWK(JSON.parse(keyJson) as { kty: string }, "EdDSA");
  return new SignJWT({ cell: node.cell, cnf: { jkt: node.keys.jkt }, ...change.claims })
    .setProtectedHeader({ alg: "EdDSA", typ: change.typ ?? CREDENTIAL_TYP, kid: "credential-1" })
    .setIssuer(change.iss ?? CONTROL_ISSUER)
    .setAudience(change.aud ?? AGENT_AUDIENCE)
    .setSubject(node.node)
    .setIssuedAt(now - 10)
    .setExpirationTime(change.exp ?? now + 60)
    .sign(key);
}

describe("an honest node", () => {
  it("is answered with the revision, the time and the lease", async () => {
    const answer = await beat();
    expect(answer.status).toBe(200);
    expect(await answer.json()).toMatchObject({ revision: expect.any(Number), leaseTtlMs: expect.any(Number) });
  });

  it("may say what this control plane does not know yet", async () => {
    expect((await node.call("POST", HEARTBEAT, { ...heartbeat(), moon: "full" }, "heartbeat")).status).toBe(200);
  });
});

describe("a proof", () => {
  const CASES: [string, () => Promise<Response>][] = [
    ["that is missing", () => beat({ proof: null })],
    ["that is no JWT", () => beat({ proof: "nonsense" })],
    ["for another body", () => beat({ sentBody: JSON.stringify({ ...heartbeat(), ackRevision: 7 }) })],
    ["for another path", () => beat({ claims: { htu: "/agent/v1/poll" } })],
    ["for the path without its query", () => beat({ sentPath: `${HEARTBEAT}?x=1` })],
    ["for another method", () => beat({ claims: { htm: "GET" } })],
    ["for another lane", () => beat({ claims: { lane: "ask" } })],
    ["from 31 s ago", () => beat({ claims: { iatMs: Date.now() - 31_000 } })],
    ["from 31 s ahead", () => beat({ claims: { iatMs: Date.now() + 31_000 } })],
    ["without a sequence number", () => beat({ claims: { seq: undefined as unknown as number } })],
    ["of another type", () => beat({ header: { typ: "JWT" } })],
    [
      "that names a key it was not signed by",
      () => beat({ header: { jwk: { kty: "OKP", crv: "Ed25519", x: other.keys.x } } }),
    ],
    [
      "that names a private key",
      () => beat({ header: { jwk: { kty: "OKP", crv: "Ed25519", x: node.keys.x, d: node.keys.x } } }),
    ],
    ["that names no key", () => beat({ header: { jwk: undefined } })],
    ["that names a symmetric key", () => beat({ header: { jwk: { kty: "oct", k: "AAAA" } } })],
    ["signed by another node's key", () => beat({ signedBy: other.keys })],
    ["that is larger than any honest one", () => beat({ header: { pad: "x".repeat(2_000) } })],
  ];
  it.each(CASES)("%s is refused", async (_, call) => {
    stillClock();
    expect(await codeOf(await call())).toBe("proof_invalid");
  });

  it("with algorithm none is refused", async () => {
    const claims = {
      htm: "POST",
      htu: HEARTBEAT,
      bh: "",
      iatMs: Date.now(),
      jti: "12345678",
      boot: "12345678",
      lane: "heartbeat",
      seq: 1,
    };
    const [, payload] = new UnsecuredJWT(claims).encode().split(".");
    const header = btoa(
      JSON.stringify({ alg: "none", typ: PROOF_TYP, jwk: { kty: "OKP", crv: "Ed25519", x: node.keys.x } }),
    );
    expect(await codeOf(await beat({ proof: `${header.replaceAll("=", "")}.${payload}.` }))).toBe("proof_invalid");
  });

  it("of a node that no longer waits for the answer is refused at once, and its next one is taken", async () => {
    stillClock();
    const late = await beat({ claims: { iatMs: Date.now() - 5_500 } });
    expect([late.status, await codeOf(late)]).toEqual([503, "overloaded"]);
    // Its clock may be what is wrong, before it was answered for the first time.
    expect(Math.abs(Date.parse(late.headers.get("date") ?? "") - Date.now())).toBeLessThan(2_000);
    expect((await beat()).status).toBe(200);
  });

  it("whose signature was changed is refused, whatever came with the same header before", async () => {
    expect((await beat()).status).toBe(200);
    const text = JSON.stringify(heartbeat());
    const proof = await node.prove("POST", HEARTBEAT, text, "heartbeat");
    const at = proof.lastIndexOf(".") + 1;
    const forged = `${proof.slice(0, at)}${proof[at] === "A" ? "B" : "A"}${proof.slice(at + 1)}`;
    expect(await codeOf(await beat({ proof: forged, sentBody: text }))).toBe("proof_invalid");
    const claimed = proof.split(".");
    expect(await codeOf(await beat({ proof: `${claimed[0]}.${claimed[1]}`, sentBody: text }))).toBe("proof_invalid");
  });

  it("is good for one request", async () => {
    const text = JSON.stringify(heartbeat());
    const proof = await node.prove("POST", HEARTBEAT, text, "heartbeat");
    expect((await beat({ proof })).status).toBe(200);
    expect(await codeOf(await beat({ proof }))).toBe("proof_replayed");
  });

  it("of an older start of the agent is refused once a newer one was heard", async () => {
    const older = play(node);
    expect((await older.call("POST", HEARTBEAT, heartbeat(), "heartbeat")).status).toBe(200);
    expect((await beat()).status).toBe(401);
    node = play(node);
    expect((await beat()).status).toBe(200);
    expect(await codeOf(await older.call("POST", HEARTBEAT, heartbeat(), "heartbeat"))).toBe("proof_replayed");
  });
});

describe("a credential", () => {
  it("that is missing or of another scheme is refused", async () => {
    const proof = await node.prove("POST", HEARTBEAT, "{}", "heartbeat");
    const without = await request(HEARTBEAT, { method: "POST", headers: { "berth-proof": proof }, body: "{}" });
    expect(await codeOf(without)).toBe("unauthenticated");
    const headers = { "berth-proof": proof, authorization: `Bearer ${node.credential}` };
    expect(await codeOf(await request(HEARTBEAT, { method: "POST", headers, body: "{}" }))).toBe("unauthenticated");
  });

  it("as the control plane issues it is taken", async () => {
    expect((await beat({ credential: await credentialWith() })).status).toBe(200);
  });

  it.each([
    ["of another type", { typ: "JWT" }],
    ["for another audience", { aud: "berth-gateway" }],
    ["of another issuer", { iss: "somebody" }],
    ["without a cell", { claims: { cell: undefined } }],
    ["without a key", { claims: { cnf: undefined } }],
    ["for a cell that is no name", { claims: { cell: "../etc" } }],
  ])("%s is refused", async (_, change) => {
    expect(await codeOf(await beat({ credential: await credentialWith(change) }))).toBe("credential_invalid");
  });

  it("signed by another key than the control plane's is refused", async () => {
    const credential = await credentialWith({}, controlEnv.TICKET_SIGNING_KEY);
    expect(await codeOf(await beat({ credential }))).toBe("credential_invalid");
  });

  it("without a signature is refused", async () => {
    const [header, payload] = node.credential.split(".");
    expect(await codeOf(await beat({ credential: `${header}.${payload}.` }))).toBe("credential_invalid");
  });

  it("of another node is refused with this node's key", async () => {
    expect(await codeOf(await beat({ credential: other.credential }))).toBe("proof_invalid");
  });

  it("that has expired is refused, and can be renewed with the node's key", async () => {
    const { keys, node: id, cell } = node;
    const longAgo = Date.now() - CREDENTIAL_TTL_MS - 1_000;
    const credential = await issueCredential(
      controlEnv.CREDENTIAL_SIGNING_KEY,
      { node: id, cell, jkt: keys.jkt },
      longAgo,
    );
    expect(await codeOf(await beat({ credential }))).toBe("credential_expired");
    expect(await codeOf(await beat({ credential }))).toBe("credential_expired");
    const renewal = { protocol: AGENT_PROTOCOL };
    const renewed = await node.call("POST", "/agent/v1/credential", renewal, "ask", { credential });
    expect(renewed.status).toBe(200);
    const fresh = (await renewed.json()) as { credential: string; ticketKeys: object[] };
    expect(fresh.ticketKeys).toEqual([{ kty: "OKP", crv: "Ed25519", x: expect.any(String), kid: "ticket-1" }]);
    expect((await beat({ credential: fresh.credential })).status).toBe(200);
    const stolen = await node.call("POST", "/agent/v1/credential", renewal, "ask", {
      credential,
      signedBy: await makeKeys(),
    });
    expect(await codeOf(stolen)).toBe("proof_invalid");
  });
});

describe("a revoked node", () => {
  it("is refused everywhere, renewal included", async () => {
    const revoked = await makeNode();
    expect((await revoked.call("POST", HEARTBEAT, heartbeat(), "heartbeat")).status).toBe(200);
    await controlEnv.CELL.getByName(revoked.cell).revoke({ node: revoked.node, actor: "user:test" });
    expect(await codeOf(await revoked.call("POST", HEARTBEAT, heartbeat(), "heartbeat"))).toBe("node_revoked");
    const renewal = revoked.call("POST", "/agent/v1/credential", { protocol: AGENT_PROTOCOL }, "ask");
    expect(await codeOf(await renewal)).toBe("node_revoked");
    const poll = revoked.call("POST", "/agent/v1/poll", { protocol: AGENT_PROTOCOL, ackRevision: 0 }, "poll");
    expect(await codeOf(await poll)).toBe("node_revoked");
  });

  it("is told so under the key that its gateway checks tickets by, once for each question; a node that is not is told that", async () => {
    const gone = await makeNode();
    const ask = async (who: TestNode) => {
      const asked = { protocol: AGENT_PROTOCOL, nonce: "a-nonce-of-16-chars" };
      const answer = await who.call("POST", "/agent/v1/removal", asked, "ask");
      return ((await answer.json()) as RemovalResponse).word;
    };
    expect(await ask(gone)).toBeNull();
    await controlEnv.CELL.getByName(gone.cell).revoke({ node: gone.node, actor: "user:test" });
    const key = await importJWK((await ticketKeys(controlEnv.TICKET_SIGNING_KEY))[0]!, "EdDSA");
    const pinned = { issuer: CONTROL_ISSUER, audience: AGENT_AUDIENCE, typ: REMOVAL_TYP, subject: gone.node };
    const { payload } = await jwtVerify((await ask(gone)) ?? "", key, pinned);
    expect(payload.jti).toBe("a-nonce-of-16-chars");
    expect(await ask(node)).toBeNull();
  });
});

describe("an agent's body", () => {
  it("of this protocol, or of the one before, is taken everywhere", async () => {
    for (const protocol of [AGENT_PROTOCOL, AGENT_PROTOCOL - 1]) {
      const beaten = await node.call("POST", HEARTBEAT, { ...heartbeat(), protocol }, "heartbeat");
      expect((await beaten.json()) as object).toMatchObject({ leaseTtlMs: expect.any(Number) });
      expect((await node.call("POST", "/agent/v1/credential", { protocol }, "ask")).status).toBe(200);
      // At revision 1 there is something newer than 0 to be told at once.
      const polled = await node.call("POST", "/agent/v1/poll", { protocol, ackRevision: 0 }, "poll");
      expect((await polled.json()) as object).toMatchObject({ desired: { node: node.node } });
    }
  });

  it.each([AGENT_PROTOCOL + 1, AGENT_PROTOCOL - 2, 99])("of protocol %i is refused as such", async (protocol) => {
    const call = node.call("POST", HEARTBEAT, { ...heartbeat(), protocol }, "heartbeat");
    expect(await codeOf(await call)).toBe("protocol_unsupported");
  });

  it("that breaks the shape names the place", async () => {
    const answer = await node.call("POST", HEARTBEAT, { ...heartbeat(), ackRevision: -1 }, "heartbeat");
    expect(answer.status).toBe(400);
    expect(Problem.parse(await answer.json()).errors?.[0]).toMatchObject({ pointer: "/ackRevision", rule: "min:0" });
  });

  it("that is not JSON is a 400", async () => {
    const proof = await node.prove("POST", HEARTBEAT, "{ no", "heartbeat");
    expect(await codeOf(await beat({ proof, sentBody: "{ no" }))).toBe("malformed_json");
  });
});
