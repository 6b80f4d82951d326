// What a connection from the edge hands its bytes and events to while one request is being served.
import type { Endpoints } from "./endpoints.ts";
import type { Counters } from "./counters.ts";
import type { GatewayLimits } from "./limits.ts";
import type { TicketDesk } from "./tickets.ts";
import type { UpstreamPool } from "./upstream.ts";

export interface Serving {
  /** Bytes of the request after its head; answers up to where they belong to it. */
  onEdgeData(bytes: Buffer, from: number): number;
  onEdgeDrain(): void;
  /** The edge closed its side: nobody waits for the answer any more. */
  onEdgeGone(): void;
  sweep(nowMs: number): void;
}

/** The connection, as its current Serving sees it. */
export interface Edge {
  /** False: wait for onEdgeDrain. */
  write(data: string | Buffer): boolean;
  /** Two writes in one packet. */
  writeBoth(first: string, second: Buffer): boolean;
  pauseReading(): void;
  resumeReading(): void;
  /** The request is over. leftover: what still comes of its body must be thrown away by that framing. */
  served(keepAlive: boolean, leftover: Serving | null): void;
  /** The answer cannot be completed: the visitor must see a broken one, never a short one. */
  abort(): void;
}

/** What all connections of one gateway share. */
export interface Gateway {
  readonly limits: GatewayLimits;
  readonly endpoints: Endpoints;
  readonly tickets: TicketDesk;
  readonly counters: Counters;
  readonly pool: UpstreamPool;
  /** After SIGTERM: every answer asks for the connection to be closed. */
  closing: boolean;
  /** Milliseconds of performance.now(), at most one sweep old: good for time-outs, not for measuring. */
  nowMs: number;
}
