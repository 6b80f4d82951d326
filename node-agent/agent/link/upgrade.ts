// One upgrade to a WebSocket: the socket, or what was answered in its place.
import type { IncomingMessage } from "node:http";
import WebSocket from "ws";
import { deferred } from "../deferred.ts";
import { refusal, type Refused } from "./control.ts";

/** No message of the control plane is larger: a document of 64 nodes' worth of instances is under 1 MB. */
const MESSAGE_BYTES_MAX = 16 * 1024 * 1024;
/** A problem document has a few hundred bytes; of a proxy's page no more is read. */
const REFUSAL_BYTES_MAX = 16 * 1024;

export interface Upgraded {
  readonly socket: WebSocket;
  /** Resolves where something else than a socket was answered; the socket never opens then. */
  readonly refused: Promise<Refused>;
}

export function connect(
  { url, headers }: { readonly url: URL; readonly headers: Record<string, string> },
  timeoutMs: number,
): Upgraded {
  // Not compressed: a heartbeat of a few hundred bytes costs more to compress than to send.
  const options = { headers, handshakeTimeout: timeoutMs, perMessageDeflate: false, maxPayload: MESSAGE_BYTES_MAX };
  const socket = new WebSocket(url, options);
  // Its close follows, and says as much.
  socket.on("error", () => undefined);
  const { promise, resolve } = deferred<Refused>();
  socket.on("unexpected-response", (_request, response: IncomingMessage) => {
    const connection = response.socket;
    void readSome(response).then((body) => {
      // Else it would be kept for a next request, which never comes.
      connection.destroy();
      resolve(refusal(response.statusCode ?? 0, body, response.headers["retry-after"]));
    });
  });
  return { socket, refused: promise };
}

async function readSome(response: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of response) {
      chunks.push(chunk as Buffer);
      bytes += (chunk as Buffer).length;
      if (bytes > REFUSAL_BYTES_MAX) break;
    }
  } catch {
    // What has come is enough: the status says the most.
  }
  return Buffer.concat(chunks);
}
