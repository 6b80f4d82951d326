// The Neon driver's WebSocket wire: Postgres' own protocol, piped to the one server whatever address is asked for.
import { pipeline } from "node:stream";
import { createWebSocketStream, type WebSocket } from "ws";
import { connectToPostgres, type PostgresTarget } from "./target.ts";

/** 1011: the server met a condition that kept it from fulfilling the request. */
const CLOSE_UPSTREAM_FAILED = 1011;

/** Ends both sides when either ends, so that a killed Postgres is a closed connection to the driver, never a silence. */
export async function pipeToPostgres(webSocket: WebSocket, target: PostgresTarget): Promise<void> {
  // At once: what the driver sends meanwhile waits in it.
  const stream = createWebSocketStream(webSocket);
  stream.on("error", () => {});
  try {
    const upstream = await connectToPostgres(target);
    pipeline(stream, upstream, stream, () => {
      upstream.destroy();
      close(webSocket, "Postgres ended the connection");
    });
  } catch {
    close(webSocket, "Postgres cannot be reached");
  }
}

/** Said as a failure: `pipeline` would close with 1000, which reads as a wish. */
function close(webSocket: WebSocket, reason: string): void {
  if (webSocket.readyState === webSocket.OPEN) webSocket.close(CLOSE_UPSTREAM_FAILED, reason);
  // A client that does not answer the close must not keep the socket.
  setTimeout(() => webSocket.terminate(), 1_000).unref();
}
