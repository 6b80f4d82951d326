// One HTTP exchange over kept-alive connections: bytes out, a status and bytes (or a stream) back.
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { deferred } from "../deferred.ts";
import { monotonicMs } from "./control-clock.ts";

/** Kept open between beats, so that no request on the way of a release waits for a handshake. */
const KEEP = { keepAlive: true, keepAliveMsecs: 10_000, maxSockets: 64, scheduling: "lifo" } as const;
const plain = new HttpAgent(KEEP);
const tls = new HttpsAgent(KEEP);

/** No JSON answer of the control plane is larger: a document of 64 nodes' worth of instances is under 1 MB. */
const ANSWER_BYTES_MAX = 16 * 1024 * 1024;

export interface Asked {
  readonly method: "GET" | "POST";
  readonly url: URL;
  readonly headers: Record<string, string>;
  readonly body: Buffer;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

export interface Answered {
  readonly status: number;
  readonly header: (name: string) => string | undefined;
  readonly body: Buffer;
  readonly sentAtMs: number;
  readonly receivedAtMs: number;
}

/** The exchange did not come about: no connection, a reset, a time-out. reused: on a kept connection, maybe just a stale one. */
export class ExchangeFailed extends Error {
  readonly reused: boolean;
  constructor(message: string, reused: boolean) {
    super(message);
    this.reused = reused;
  }
}

export async function exchange(asked: Asked): Promise<Answered> {
  const sentAtMs = monotonicMs();
  const message = await open(asked);
  const receivedAtMs = monotonicMs();
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of message) {
      bytes += (chunk as Buffer).length;
      if (bytes > ANSWER_BYTES_MAX) throw new Error("the answer is too large");
      chunks.push(chunk as Buffer);
    }
  } catch (error) {
    message.destroy();
    throw new ExchangeFailed(error instanceof Error ? error.message : String(error), false);
  }
  return {
    status: message.statusCode ?? 0,
    header: (name) => [message.headers[name]].flat()[0],
    body: Buffer.concat(chunks),
    sentAtMs,
    receivedAtMs,
  };
}

/** Resolves with the headers; the caller reads the body. timeoutMs covers the whole of it, until the body has ended. */
export function open({ method, url, headers, body, timeoutMs, signal }: Asked): Promise<IncomingMessage> {
  const { promise, resolve, reject } = deferred<IncomingMessage>();
  const secure = url.protocol === "https:";
  const request = (secure ? httpsRequest : httpRequest)(url, {
    method,
    agent: secure ? tls : plain,
    headers: { ...headers, "content-length": String(body.length) },
    signal,
  });
  const timer = setTimeout(() => request.destroy(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
  request.on("response", (message) => {
    message.on("close", () => clearTimeout(timer));
    resolve(message);
  });
  request.on("error", (error) => {
    clearTimeout(timer);
    reject(new ExchangeFailed(wordsOf(error), request.reusedSocket));
  });
  request.end(body);
  return promise;
}

/** A certificate that is out of its time is more often a clock that is. */
function wordsOf(error: NodeJS.ErrnoException): string {
  const isTime = error.code === "CERT_NOT_YET_VALID" || error.code === "CERT_HAS_EXPIRED";
  return isTime
    ? `${error.message} (this server's clock says ${new Date().toISOString()}: is it right?)`
    : error.message;
}

/** Lets the process end: kept connections hold it open otherwise. */
export function closeConnections(): void {
  plain.destroy();
  tls.destroy();
}
