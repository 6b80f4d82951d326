// A simulated node's requests over HTTP, as the agent makes them: credential, proof, and one more try where a kept connection was stale.
import { CREDENTIAL_SCHEME, PROOF_HEADER } from "../../contracts/agent-protocol.ts";
import { AGENT_LIMITS } from "../../core/converge/limits.ts";
import { exchange, Stale, type Answered } from "./exchange.ts";
import type { Signer } from "./signer.ts";

/** As the agent does it. */
const TIMEOUT_MS = { poll: AGENT_LIMITS.pollTimeoutMs, heartbeat: AGENT_LIMITS.heartbeatGiveUpMs, ask: 30_000 };
type Lane = keyof typeof TIMEOUT_MS;

/** The control plane answered, and said no. */
export class Refused extends Error {
  readonly answer: Pick<Answered, "status" | "retryAfterMs">;
  readonly code: string;
  constructor(lane: Lane, answer: Pick<Answered, "status" | "retryAfterMs">, code: string) {
    super(`${lane} ${answer.status} ${code}`);
    this.answer = answer;
    this.code = code;
  }
}

export class SimRequests {
  credential: string | null = null;
  readonly #controlUrl: string;
  readonly #signer: Signer;

  constructor(controlUrl: string, signer: Signer) {
    this.#controlUrl = controlUrl;
    this.#signer = signer;
  }

  async ask(lane: Lane, path: string, value: unknown): Promise<Answered> {
    return accepted(lane, await this.post(lane, path, value));
  }

  async get(path: string): Promise<string> {
    const headers = this.headers("ask", path, "", "GET");
    const answer = await exchange(new URL(path, this.#controlUrl), headers, "", TIMEOUT_MS.ask, "GET");
    return accepted("ask", answer).text;
  }

  /** A kept connection may have been closed by the other side while it was idle: one more try, with a fresh proof. */
  async post(lane: Lane, path: string, value: unknown): Promise<Answered> {
    try {
      return await this.#postOnce(lane, path, value);
    } catch (error) {
      if (!(error instanceof Stale)) throw error;
      return this.#postOnce(lane, path, value);
    }
  }

  #postOnce(lane: Lane, path: string, value: unknown): Promise<Answered> {
    const body = JSON.stringify(value);
    const headers = {
      ...this.headers(lane, path, body),
      "content-type": "application/json",
      "content-length": String(Buffer.byteLength(body)),
    };
    return exchange(new URL(path, this.#controlUrl), headers, body, TIMEOUT_MS[lane]);
  }

  headers(lane: Lane | "socket", path: string, body: string, method: "GET" | "POST" = "POST"): Record<string, string> {
    const headers = { [PROOF_HEADER]: this.#signer.proof(lane, path, body, method) };
    if (this.credential === null) return headers;
    return { ...headers, authorization: `${CREDENTIAL_SCHEME} ${this.credential}` };
  }
}

function accepted(lane: Lane, answer: Answered): Answered {
  if (answer.status === 200 || answer.status === 204) return answer;
  throw new Refused(lane, answer, /"code":"([a-z_]+)"/.exec(answer.text)?.[1] ?? "unknown");
}
