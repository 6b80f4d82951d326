// A node as these tests play it: real keys, real proofs, enrolled in a real Cell (only Postgres' join token is left out).
import { SignJWT, calculateJwkThumbprint, exportJWK, generateKeyPair, base64url } from "jose";
import {
  AGENT_PROTOCOL,
  CREDENTIAL_SCHEME,
  PROOF_HEADER,
  PROOF_TYP,
  type EnrolRequest,
  type ProofClaims,
} from "../../contracts/agent-protocol.ts";
import type { CellName, NodeId, RegionName } from "../../contracts/ids.ts";
import { mintId } from "../../db/ids.ts";
import { issueCredential } from "../../workers/control/agent/credential.ts";
import { controlEnv, request } from "./control-env.ts";

export interface Keys {
  readonly privateKey: CryptoKey;
  readonly x: string;
  readonly jkt: string;
}

export async function makeKeys(): Promise<Keys> {
  const { privateKey, publicKey } = await generateKeyPair("EdDSA", { crv: "Ed25519", extractable: true });
  const jwk = await exportJWK(publicKey);
  return { privateKey, x: jwk.x as string, jkt: await calculateJwkThumbprint(jwk) };
}

/** What a test changes of an honest call. */
export interface Forgery {
  readonly claims?: Partial<ProofClaims>;
  readonly header?: Record<string, unknown>;
  readonly signedBy?: Keys;
  readonly credential?: string;
  /** Sent in place of what was proven. */
  readonly sentBody?: string;
  readonly sentPath?: string;
  readonly proof?: string | null;
  /** Asks for a WebSocket. */
  readonly upgrade?: boolean;
}

export interface TestNode {
  readonly node: NodeId;
  readonly cell: CellName;
  readonly keys: Keys;
  readonly sealKey: CryptoKey;
  readonly credential: string;
  nextSeq(lane: ProofClaims["lane"]): number;
  prove(method: string, path: string, body: string, lane: ProofClaims["lane"], forged?: Forgery): Promise<string>;
  call(method: string, path: string, body: unknown, lane: ProofClaims["lane"], forged?: Forgery): Promise<Response>;
}

/** Its clock is fast, as some are: a call that a busy machine held up for seconds would be refused as too late to be answered. */
export const FAST_MS = 20_000;
const CAPACITY = { cpuMilli: 4_000, memoryBytes: 2 ** 32, diskBytes: 2 ** 36, pids: 4_096 };

export async function makeNode(): Promise<TestNode> {
  const region = "local" as RegionName;
  const keys = await makeKeys();
  const seal = await generateKeyPair("ECDH-ES", { crv: "X25519", extractable: true });
  const node = mintId<NodeId>("node");
  const assigned = await controlEnv.REGION.getByName(region).assign({ node, region });
  if (!assigned.ok) throw new Error(assigned.failure.message);
  const { cell } = assigned.value;
  const enrolment: EnrolRequest = {
    protocol: AGENT_PROTOCOL,
    token: "used-up-join-token",
    name: `node-${node.slice(-6)}`,
    signKey: keys.x,
    sealKey: (await exportJWK(seal.publicKey)).x as string,
    region,
    failureDomain: "rack-a",
    labels: {},
    gatewayUrl: "http://127.0.0.1:9",
    capacity: CAPACITY,
    runtime: "process",
    platform: "linux/amd64",
    agentVersion: "0.1.0",
  };
  const enrolled = await controlEnv.CELL.getByName(cell).enrol({
    node,
    cell,
    jkt: keys.jkt,
    request: enrolment,
    operator: "user:test",
  });
  if (!enrolled.ok) throw new Error(enrolled.failure.message);
  const credential = await issueCredential(
    controlEnv.CREDENTIAL_SIGNING_KEY,
    { node, cell, jkt: keys.jkt },
    Date.now(),
  );
  return play({ node, cell, keys, sealKey: seal.privateKey, credential });
}

export function play(who: Pick<TestNode, "node" | "cell" | "keys" | "sealKey" | "credential">): TestNode {
  const boot = `boot-${crypto.randomUUID()}`;
  const seqs = { poll: 0, heartbeat: 0, ask: 0, socket: 0 };
  const prove: TestNode["prove"] = async (method, path, body, lane, { claims, header, signedBy } = {}) => {
    const signer = signedBy ?? who.keys;
    const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(body));
    const proof: ProofClaims = {
      htm: method,
      htu: path,
      bh: base64url.encode(new Uint8Array(digest)),
      iatMs: Date.now() + FAST_MS,
      jti: crypto.randomUUID(),
      boot,
      lane,
      seq: (seqs[lane] += 1),
      ...claims,
    };
    return new SignJWT({ ...proof })
      .setProtectedHeader({ alg: "EdDSA", typ: PROOF_TYP, jwk: { kty: "OKP", crv: "Ed25519", x: signer.x }, ...header })
      .sign(signer.privateKey);
  };
  return {
    ...who,
    nextSeq: (lane) => seqs[lane] + 1,
    prove,
    async call(method, path, body, lane, forged = {}) {
      const text = body === undefined ? "" : JSON.stringify(body);
      const proof = forged.proof === undefined ? await prove(method, path, text, lane, forged) : forged.proof;
      const headers = new Headers({ authorization: `${CREDENTIAL_SCHEME} ${forged.credential ?? who.credential}` });
      if (proof !== null) headers.set(PROOF_HEADER, proof);
      if (body !== undefined) headers.set("content-type", "application/json");
      if (forged.upgrade) headers.set("upgrade", "websocket");
      const sent = forged.sentBody ?? text;
      return request(forged.sentPath ?? path, { method, headers, ...(method === "GET" ? {} : { body: sent }) });
    },
  };
}

export const heartbeat = (ackRevision = 0) => ({
  protocol: AGENT_PROTOCOL,
  ackRevision,
  agentVersion: "0.1.0",
  observed: [],
  used: { cpuMilli: 0, memoryBytes: 0, diskBytes: 0 },
  gatewayReady: true,
});
