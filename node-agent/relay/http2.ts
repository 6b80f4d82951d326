// Both ends of the HTTP/2 connection between a relaying gateway and a node that dialled it: the same settings, and a pulse.
import type { Http2Session, SecureServerSessionOptions } from "node:http2";
import type { GatewayLimits } from "../gateway/limits.ts";

/** Where a stream leads: to the node's gateway; or it asks for another connection, because another process listens here now. */
export const TO_GATEWAY = "gateway";
export const DIAL_AGAIN = "dial-again";

/** As many requests as a gateway takes connections; each is a stream. */
const STREAMS_MAX = 10_000;
/** A stream's window: 1 MB keeps 100 ms of a Gbit/s line's delay from showing. */
const STREAM_WINDOW_BYTES = 1024 * 1024;
const CONNECTION_WINDOW_BYTES = 16 * 1024 * 1024;

/** What Node's defaults would keep low for strangers; here the other end is a node of the same platform. */
export const SESSION_OPTIONS = {
  settings: {
    initialWindowSize: STREAM_WINDOW_BYTES,
    maxConcurrentStreams: STREAMS_MAX,
    enablePush: false,
  },
  peerMaxConcurrentStreams: STREAMS_MAX,
  maxSessionMemory: 256,
  // Visitors who leave reset their streams: that is no attack by the node between.
  streamResetBurst: STREAMS_MAX,
  streamResetRate: STREAMS_MAX,
} satisfies SecureServerSessionOptions;

/** Widens the connection's window, and ends the session when its pings are not answered. Call once, when it is there. */
export function tend(session: Http2Session, { relayPingMs, relaySilentMs }: GatewayLimits): void {
  session.setLocalWindowSize(CONNECTION_WINDOW_BYTES);
  let heardAtMs = performance.now();
  const beating = setInterval(() => {
    if (performance.now() - heardAtMs > relaySilentMs) session.destroy(new Error("the other end is silent"));
    else if (!session.closed && !session.destroyed) session.ping((error) => error ?? (heardAtMs = performance.now()));
  }, relayPingMs);
  session.once("close", () => clearInterval(beating));
}
