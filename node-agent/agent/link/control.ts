// The control plane, as the node talks to it: every request carries the credential and a proof by the node's own key.
import { createHash, randomBytes } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { SignJWT } from "jose";
import { z } from "zod";
import {
  AGENT_PROTOCOL,
  CREDENTIAL_SCHEME,
  CredentialResponse,
  PROOF_HEADER,
  PROOF_TYP,
  type ProofClaims,
} from "../../../contracts/agent-protocol.ts";
import { FAILURE_CODES, type FailureCode } from "../../../contracts/failures.ts";
import type { Identity } from "../state/identity.ts";
import type { ControlClock } from "./control-clock.ts";
import { inOlderWords } from "./older-words.ts";
import { SpokenProtocol } from "./spoken-protocol.ts";
import { type Answered, exchange, ExchangeFailed, open } from "./http.ts";

export type Lane = ProofClaims["lane"];

/** The control plane answered, and refused. code is null when the answer was not one of ours (a proxy's, say). */
export class Refused extends Error {
  readonly status: number;
  readonly code: FailureCode | null;
  readonly retryAfterMs: number | null;
  constructor(status: number, code: FailureCode | null, detail: string, retryAfterMs: number | null) {
    super(`${status} ${code ?? "unknown"}: ${detail}`);
    this.status = status;
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }
}

const ProblemBody = z.object({ code: z.enum(FAILURE_CODES), detail: z.string().default("") });

export interface Call {
  readonly lane: Lane;
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly body?: object;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

export class Control {
  readonly #origin: string;
  readonly #identity: Identity;
  readonly #clock: ControlClock;
  /** This start of the agent; sequence numbers rise within it, per lane. */
  readonly #boot = `${Date.now().toString(36).padStart(9, "0")}-${randomBytes(8).toString("hex")}`;
  readonly #seq: Record<Lane, number> = { poll: 0, heartbeat: 0, ask: 0, socket: 0 };
  readonly #spoken: SpokenProtocol;
  #renewing: Promise<void> | null = null;

  constructor(origin: string, identity: Identity, clock: ControlClock, spoken = new SpokenProtocol()) {
    this.#spoken = spoken;
    this.#origin = origin;
    this.#identity = identity;
    this.#clock = clock;
  }

  /** The parsed answer, or null for 204. Throws Refused or ExchangeFailed. An expired credential is renewed on the way. */
  async call<Schema extends z.ZodType>(call: Call, schema: Schema): Promise<z.output<Schema> | null> {
    const answer = await this.#renewingOnExpiry(() => this.#exchange(call));
    if (answer.status === 204) return null;
    const parsed = schema.safeParse(JSON.parse(answer.body.toString("utf8")));
    if (!parsed.success) throw new Refused(answer.status, null, `unreadable answer: ${parsed.error.message}`, null);
    if (call.lane !== "poll") this.#hearTime(parsed.data, answer);
    return parsed.data;
  }

  /** The body as a stream, for what is too large to hold. */
  async download(call: Call): Promise<IncomingMessage> {
    return this.#renewingOnExpiry(async () => {
      const body = encode(call.body, this.#spoken.now());
      const message = await open({
        ...call,
        url: this.#url(call.path),
        headers: await this.#headers(call, body),
        body,
      });
      if (message.statusCode === 200) return message;
      const chunks: Buffer[] = [];
      for await (const chunk of message) chunks.push(chunk as Buffer);
      throw refusal(message.statusCode ?? 0, Buffer.concat(chunks), message.headers["retry-after"]);
    });
  }

  /** What an upgrade to a WebSocket is asked for with: the same credential and proof. */
  async upgrade(path: string): Promise<{ readonly url: URL; readonly headers: Record<string, string> }> {
    const call: Call = { lane: "socket", method: "GET", path, timeoutMs: 0 };
    return { url: this.#url(path), headers: await this.#headers(call, Buffer.alloc(0)) };
  }

  /** The next number of a lane, for what goes over a socket. */
  nextSeq(lane: Lane): number {
    return ++this.#seq[lane];
  }

  /** Trades a proof by key for a fresh credential; callers that come together share one renewal. */
  renew(): Promise<void> {
    this.#renewing ??= this.#renew().finally(() => (this.#renewing = null));
    return this.#renewing;
  }

  async #renew(): Promise<void> {
    const enrolled = this.#identity.enrolled;
    if (enrolled === null) throw new Error("not enrolled");
    const call: Call = {
      lane: "ask",
      method: "POST",
      path: "/agent/v1/credential",
      body: { protocol: AGENT_PROTOCOL },
      timeoutMs: 10_000,
    };
    const answer = await this.#exchange(call);
    const { credential, ticketKeys, nowMs } = CredentialResponse.parse(JSON.parse(answer.body.toString("utf8")));
    this.#hearTime({ nowMs }, answer);
    await this.#identity.setEnrolled({ ...enrolled, credential, ticketKeys });
  }

  async #renewingOnExpiry<Value>(attempt: () => Promise<Value>): Promise<Value> {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof Refused) || error.code !== "credential_expired") throw error;
      await this.renew();
      return attempt();
    }
  }

  /** A kept connection may have been closed by the other side while it was idle: one more try, with a fresh proof. */
  async #exchange(call: Call, fresh = false): Promise<Answered> {
    const protocol = this.#spoken.now();
    const body = encode(call.body, protocol);
    const headers = await this.#headers(call, body);
    let answer: Answered;
    try {
      answer = await exchange({ ...call, url: this.#url(call.path), headers, body });
    } catch (error) {
      const stale = error instanceof ExchangeFailed && error.reused && !call.signal?.aborted;
      if (!stale || fresh || error.message.startsWith("no answer")) throw error;
      return this.#exchange(call, true);
    }
    if (answer.status >= 200 && answer.status < 300) return answer;
    const date = Date.parse(answer.header("date") ?? "");
    if (Number.isFinite(date)) this.#clock.hint(date);
    const refused = refusal(answer.status, answer.body, answer.header("retry-after"));
    if (refused.code === "protocol_unsupported" && this.#spoken.refused(protocol)) return this.#exchange(call);
    throw refused;
  }

  async #headers(call: Call, body: Buffer): Promise<Record<string, string>> {
    const headers: Record<string, string> = { [PROOF_HEADER]: await this.#proof(call, body) };
    if (call.body !== undefined) headers["content-type"] = "application/json";
    const credential = this.#identity.enrolled?.credential;
    if (credential !== undefined) headers.authorization = `${CREDENTIAL_SCHEME} ${credential}`;
    return headers;
  }

  #proof({ lane, method, path }: Call, body: Buffer): Promise<string> {
    const claims: ProofClaims = {
      htm: method,
      htu: path,
      bh: createHash("sha256").update(body).digest("base64url"),
      iatMs: this.#clock.nowMs(),
      jti: randomBytes(12).toString("base64url"),
      boot: this.#boot,
      lane,
      seq: this.nextSeq(lane),
    };
    const { signKey, signPublicX } = this.#identity.keys;
    return new SignJWT({ ...claims })
      .setProtectedHeader({ alg: "EdDSA", typ: PROOF_TYP, jwk: { kty: "OKP", crv: "Ed25519", x: signPublicX } })
      .sign(signKey);
  }

  #url(path: string): URL {
    return new URL(path, this.#origin);
  }

  #hearTime(answer: unknown, { sentAtMs, receivedAtMs }: Answered): void {
    const nowMs = (answer as { nowMs?: unknown } | null)?.nowMs;
    if (typeof nowMs === "number") this.#clock.hear(nowMs, sentAtMs, receivedAtMs);
  }
}

/** What names a protocol at all names the one that is spoken. */
function encode(body: object | undefined, protocol: number): Buffer {
  if (body === undefined) return Buffer.alloc(0);
  if (!("protocol" in body)) return Buffer.from(JSON.stringify(body));
  const said = { ...body, protocol };
  return Buffer.from(JSON.stringify(protocol < AGENT_PROTOCOL ? inOlderWords(said) : said));
}

export function refusal(status: number, body: Buffer, retryAfter: string | undefined): Refused {
  let problem: z.infer<typeof ProblemBody> | null = null;
  try {
    problem = ProblemBody.parse(JSON.parse(body.toString("utf8")));
  } catch {
    // Not a problem document: something between us and the control plane answered.
  }
  const seconds = Number(retryAfter);
  const retryAfterMs = retryAfter !== undefined && Number.isFinite(seconds) ? seconds * 1_000 : null;
  return new Refused(
    status,
    problem?.code ?? null,
    problem?.detail ?? body.toString("utf8").slice(0, 200),
    retryAfterMs,
  );
}
