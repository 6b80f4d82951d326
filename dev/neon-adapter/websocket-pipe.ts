// The Neon driver's WebSocket wire: Postgres' own protocol, piped to the one local server whatever address is asked for.
import { connect } from "node:net";
import { pipeline } from "node:stream";
import { createWebSocketStream, type WebSocket } from "ws";

const CONNECT_TIMEOUT_MS = 5_000;
/** 1011: the server met a condition that kept it from fulfilling the request. */
const CLOSE_UPSTREAM_FAILED = 1011;

/** Ends both sides when either ends, so that a killed Postgres is a closed connection to the driver, never a silence. */
export function pipeToPostgres(webSocket: WebSocket, target: { readonly host: string; readonly port: number }): void {
  const upstream = connect({ ...target, noDelay: true, timeout: CONNECT_TIMEOUT_MS });
  upstream.once("connect", () => upstream.setTimeout(0));
  upstream.once("timeout", () => upstream.destroy(new Error("Postgres did not answer in time")));
  // `pipeline` would close with 1000, which reads as a wish: say that it failed.
  upstream.once("error", () => webSocket.close(CLOSE_UPSTREAM_FAILED, "Postgres cannot be reached"));
  const stream = createWebSocketStream(webSocket);
  pipeline(stream, upstream, stream, () => {
    upstream.destroy();
    if (webSocket.readyState === webSocket.OPEN)
      webSocket.close(CLOSE_UPSTREAM_FAILED, "Postgres ended the connection");
    // A client that does not answer the close must not keep the socket.
    setTimeout(() => webSocket.terminate(), 1_000).unref();
  });
}
