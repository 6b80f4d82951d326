// The other side of the agent protocol for tests of the agent alone: it verifies every proof and credential as the real one does.
import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { calculateJwkThumbprint, exportJWK, generateKeyPair, jwtVerify, SignJWT } from "jose";
import { typeid } from "typeid-js";
import {
  AGENT_AUDIENCE,
  AGENT_PROTOCOL,
  CONTROL_ISSUER,
  CREDENTIAL_TYP,
  EnrolRequest,
  EnvironmentRequest,
  HeartbeatRequest,
  type ObservedInstance,
  PollRequest,
  type ProofClaims,
} from "../../../contracts/agent-protocol.ts";
import type { NodeNotice } from "../../../contracts/node-notices.ts";
import type { DesiredDocument, DesiredInstance } from "../../../contracts/desired.ts";
import { CellName, NodeId } from "../../../contracts/ids.ts";
import { provenBy } from "./proven-by.ts";
import { answerNames, type NamesAnswer } from "./peer-names.ts";
import { removalWord } from "./removal-word.ts";
import { sealTo } from "./seal-to.ts";

type KeyPair = Awaited<ReturnType<typeof generateKeyPair>>;

export class ControlPeer {
  readonly node = NodeId.parse(typeid("node").toString());
  readonly token = `token-${randomUUID()}`;
  readonly beats: { request: HeartbeatRequest; atMs: number }[] = [];
  readonly enrolments: EnrolRequest[] = [];
  readonly faults: string[] = [];
  readonly environments = new Map<string, Record<string, string>>();
  readonly pullCredentials = new Map<string, { registry: string; username: string; password: string }>();
  readonly bundles = new Map<string, Buffer>();
  environmentAsks = 0;
  renewals = 0;
  credentialTtlS = 3_600;
  clockOffsetMs = 0;
  meteringAck = 0;
  noticeAck = 0;
  /** What heartbeats are answered with. */
  leaseCommitted = false;
  /** Answers with this status to everything, while set. */
  down: number | null = null;
  readonly refused = { heartbeat: 0, poll: 0 };
  /** The newest agent protocol that it speaks. */
  protocol = AGENT_PROTOCOL;
  /** Upgrades to a WebSocket that it was asked for: it is as old as those that know none. */
  upgrades = 0;
  /** Whether the node is refused as removed, and whose key says so when it asks. */
  removed: "no" | "by our key" | "by another key" = "no";
  /** Swallows this many enrolment answers after having enrolled. */
  loseEnrolments = 0;
  document: DesiredDocument;
  /** Where nodes have names. */
  names: NamesAnswer | null = null;
  /** This many polls are never answered: what became of them nobody knows. */
  losePolls = 0;
  /** Answered once to the next poll, whatever it acknowledges. */
  replay: DesiredDocument | null = null;
  #server!: Server;
  #keys!: KeyPair;
  ticketPair!: KeyPair;
  #ticketX = "";
  readonly #seqs = new Map<string, number>();
  #polls: (() => void)[] = [];
  #jkt = "";
  #sealX = "";

  static async start(): Promise<ControlPeer> {
    const peer = new ControlPeer();
    peer.#keys = await generateKeyPair("EdDSA", { crv: "Ed25519", extractable: true });
    peer.ticketPair = await generateKeyPair("EdDSA", { crv: "Ed25519", extractable: true });
    peer.#ticketX = (await exportJWK(peer.ticketPair.publicKey)).x ?? "";
    peer.#server = createServer((request, response) => {
      peer.#serve(request, response).catch((error: unknown) => {
        peer.faults.push(String(error));
        response.writeHead(500).end();
      });
    });
    await new Promise<void>((resolve) => peer.#server.listen(0, "127.0.0.1", resolve));
    return peer;
  }

  private constructor() {
    this.document = { node: this.node, revision: 0, instances: [], routes: {}, watch: [] };
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** A new document under the next revision (or the one given). */
  publish(instances: DesiredInstance[], more: Partial<DesiredDocument> = {}): void {
    this.document = { ...this.document, revision: this.document.revision + 1, ...more, instances };
    for (const wake of this.#polls.splice(0)) wake();
  }

  /** Ends the waiting polls without a document. */
  wake(): void {
    for (const wake of this.#polls.splice(0)) wake();
  }

  /** The newest heartbeat's word on an instance. */
  observed(instance: string): ObservedInstance | undefined {
    return this.beats.at(-1)?.request.observed.find((row) => row.instance === instance);
  }

  /** Every notice that was ever told, once each. */
  notices(): NodeNotice[] {
    const told = this.beats.flatMap(({ request }) => request.notices);
    return [...new Map(told.map((notice) => [notice.seq, notice])).values()];
  }

  /** What the newest heartbeat holds to be wrong with the node. */
  conditions(): string[] {
    return this.beats.at(-1)?.request.conditions.map(({ kind }) => kind) ?? [];
  }

  /** Every status kind that was ever reported of it, without repetitions in a row. */
  history(instance: string): string[] {
    const kinds = this.beats.flatMap(({ request }) => {
      const row = request.observed.find((at) => at.instance === instance);
      return row === undefined ? [] : [row.status.kind];
    });
    return kinds.filter((kind, index) => kind !== kinds[index - 1]);
  }

  async close(): Promise<void> {
    for (const wake of this.#polls.splice(0)) wake();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const url = request.url ?? "";
    if (this.down !== null) {
      if (url.endsWith("/heartbeat")) this.refused.heartbeat += 1;
      if (url.endsWith("/poll")) this.refused.poll += 1;
      return void response.writeHead(this.down).end();
    }
    const proof = await this.#proof(request, body);
    if (Math.abs(proof.claims.iatMs - this.nowMs()) > 30_000) {
      response.setHeader("date", new Date(this.nowMs()).toUTCString());
      return this.#refuse(response, 401, "proof_invalid");
    }
    if (body.length > 0 && (JSON.parse(body.toString("utf8")) as { protocol: number }).protocol > this.protocol)
      return this.#refuse(response, 400, "protocol_unsupported");
    if (proof.claims.lane === "socket") this.upgrades += 1;
    const answer = (value: unknown) =>
      void response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(value));
    const json = (): unknown => JSON.parse(body.toString("utf8"));
    if (url === "/agent/v1/enrol") return this.#enrol(EnrolRequest.parse(json()), proof.x, answer, response);
    if (!(await this.#credentialHolds(request, response, url))) return;
    if (url === "/agent/v1/removal") {
      const { privateKey } = this.removed === "by our key" ? this.ticketPair : this.#keys;
      return answer({ word: this.removed === "no" ? null : await removalWord(privateKey, this.node, json()) });
    }
    if (this.removed !== "no") return this.#refuse(response, 403, "node_revoked");
    if (url === "/agent/v1/poll" && this.losePolls > 0) {
      this.losePolls -= 1;
      return;
    }
    if (url === "/agent/v1/poll") return this.#poll(PollRequest.parse(json()), response, answer);
    if (url === "/agent/v1/heartbeat") {
      this.beats.push({ request: HeartbeatRequest.parse(json()), atMs: performance.now() });
      return answer({
        revision: this.document.revision,
        nowMs: this.nowMs(),
        leaseTtlMs: 8_000,
        meteringAck: this.meteringAck,
        noticeAck: this.noticeAck,
        leaseCommitted: this.leaseCommitted,
      });
    }
    if (url === "/agent/v1/credential") {
      this.renewals += 1;
      return answer({ credential: await this.#credential(), ticketKeys: this.#ticketKeys(), nowMs: this.nowMs() });
    }
    const named = answerNames(this.names, url, body, this.nowMs());
    if (named !== null) return named.ok ? answer(named.body) : this.#refuse(response, 503, "dns_unavailable");
    const environment = /^\/agent\/v1\/instances\/([^/]+)\/environment$/.exec(url);
    if (environment !== null) {
      EnvironmentRequest.parse(json());
      this.environmentAsks += 1;
      const pull = this.pullCredentials.get(environment[1] as string);
      return answer({
        environment: await sealTo(this.#sealX, this.environments.get(environment[1] as string) ?? {}),
        pullCredential: pull === undefined ? null : await sealTo(this.#sealX, pull),
      });
    }
    const bundle = /^\/agent\/v1\/bundles\/([^?]+)\?instance=/.exec(url);
    const bytes = bundle === null ? undefined : this.bundles.get(bundle[1] as string);
    if (bytes !== undefined) return void response.writeHead(200).end(bytes);
    this.#refuse(response, 404, "not_found");
  }

  nowMs(): number {
    return Date.now() + this.clockOffsetMs;
  }

  async #enrol(
    request: EnrolRequest,
    proofX: string,
    answer: (value: unknown) => void,
    response: ServerResponse,
  ): Promise<void> {
    if (request.token !== this.token) return this.#refuse(response, 401, "join_token_unknown");
    if (proofX !== request.signKey) throw new Error("the enrolment's proof is by another key");
    const jkt = await calculateJwkThumbprint({ kty: "OKP", crv: "Ed25519", x: request.signKey });
    if (this.#jkt !== "" && this.#jkt !== jkt) return this.#refuse(response, 409, "join_token_used");
    this.enrolments.push(request);
    this.#jkt = jkt;
    this.#sealX = request.sealKey;
    if (this.loseEnrolments > 0) {
      this.loseEnrolments -= 1;
      return void response.destroy();
    }
    const credential = await this.#credential();
    answer({ node: this.node, cell: "local.0", credential, ticketKeys: this.#ticketKeys(), nowMs: this.nowMs() });
  }

  async #poll({ ackRevision }: PollRequest, response: ServerResponse, answer: (value: unknown) => void): Promise<void> {
    if (this.replay !== null) {
      const desired = this.replay;
      this.replay = null;
      return answer({ revision: desired.revision, desired, nowMs: this.nowMs() });
    }
    if (this.document.revision <= ackRevision) {
      await Promise.race([
        new Promise<void>((resolve) => this.#polls.push(resolve)),
        new Promise<void>((resolve) => response.once("close", resolve)),
        new Promise((resolve) => setTimeout(resolve, 25_000).unref()),
      ]);
    }
    if (this.document.revision <= ackRevision) return void response.writeHead(204).end();
    answer({ revision: this.document.revision, desired: this.document, nowMs: this.nowMs() });
  }

  async #proof(request: IncomingMessage, body: Buffer): Promise<{ x: string; claims: ProofClaims }> {
    const { x, claims } = await provenBy(request, body);
    const lane = `${claims.boot}/${claims.lane}`;
    if (claims.lane !== "ask" && claims.seq <= (this.#seqs.get(lane) ?? 0))
      throw new Error(`seq ${claims.seq} of ${lane} was seen`);
    this.#seqs.set(lane, claims.seq);
    return { x, claims };
  }

  async #credentialHolds(request: IncomingMessage, response: ServerResponse, url: string): Promise<boolean> {
    const [scheme, credential = ""] = String(request.headers.authorization).split(" ");
    if (scheme !== "Berth") throw new Error("no credential");
    const pinned = { algorithms: ["EdDSA"], typ: CREDENTIAL_TYP, issuer: CONTROL_ISSUER, audience: AGENT_AUDIENCE };
    const currentDate = url === "/agent/v1/credential" ? new Date(0) : new Date(this.nowMs());
    try {
      const { payload } = await jwtVerify(credential, this.#keys.publicKey, { ...pinned, currentDate });
      if (payload.sub !== this.node) throw new Error("another node's credential");
      return true;
    } catch (error) {
      if ((error as { code?: string }).code !== "ERR_JWT_EXPIRED") throw error;
      this.#refuse(response, 401, "credential_expired");
      return false;
    }
  }

  #credential(): Promise<string> {
    const iat = Math.floor(this.nowMs() / 1_000);
    return new SignJWT({ cell: CellName.parse("local.0"), cnf: { jkt: this.#jkt } })
      .setProtectedHeader({ alg: "EdDSA", typ: CREDENTIAL_TYP, kid: "k" })
      .setIssuer(CONTROL_ISSUER)
      .setAudience(AGENT_AUDIENCE)
      .setSubject(this.node)
      .setIssuedAt(iat)
      .setExpirationTime(iat + this.credentialTtlS)
      .sign(this.#keys.privateKey);
  }

  #ticketKeys() {
    return [{ kty: "OKP", crv: "Ed25519", x: this.#ticketX, kid: "t1" }];
  }

  #refuse(response: ServerResponse, status: number, code: string): void {
    response
      .writeHead(status, { "content-type": "application/problem+json" })
      .end(JSON.stringify({ code, detail: code }));
  }
}
