// What a connection hands its bytes and events to while one request is being served, and what it needs of the process that it is in.
import type { Sink } from "./body-out.ts";
import type { Endpoints } from "./endpoints.ts";
import type { Entry } from "./entry.ts";
import type { Counters } from "./counters.ts";
import type { Framing } from "./framing.ts";
import type { RequestHead } from "./head.ts";
import type { GatewayLimits } from "./limits.ts";
import type { Peers } from "./peers.ts";
import type { TicketDesk } from "./tickets.ts";
import type { TlsDesk } from "./tls.ts";
import type { UpstreamPool } from "./upstream.ts";
import type { RelayDesk } from "../relay/relay-desk.ts";

export interface Serving {
  /** Once it is what the connection's events go to. */
  begin?(): void;
  /** Bytes of the request after its head; answers up to where they belong to it. */
  onEdgeData(bytes: Buffer, from: number): number;
  onEdgeDrain(): void;
  /** The edge closed its side: nobody waits for the answer any more. */
  onEdgeGone(): void;
  /** It has said all, and waits for what is still to come. Where there is none of this, it is gone then: so browsers and edges mean it. */
  onEdgeEnd?(): void;
  sweep(nowMs: number): void;
}

/** counts: billed, for a visitor who asked for this release by name; nowhere, for the control plane itself. */
export interface ToServe {
  readonly head: RequestHead;
  readonly body: Framing;
  readonly counts: "everywhere" | "billed" | "nowhere";
}

/** The connection, as its current Serving sees it. */
export interface Edge extends Sink {
  /** Whether a write of bytes has not ended: their memory is in use. */
  readonly holdsBytes: boolean;
  /** Of the answer: text (its head, or nothing), and what framing has just read of bytes. False: wait for its drain. */
  pass(text: string, bytes: Buffer, framing: Framing): boolean;
  pauseReading(): void;
  resumeReading(): void;
  /** Another one serves the request from here on. */
  become(serving: Serving): void;
  /** The request is over. leftover: what still comes of its body must be thrown away by that framing. */
  served(keepAlive: boolean, leftover: Serving | null): void;
  /** The answer cannot be completed: the visitor must see a broken one, never a short one. */
  abort(): void;
}

/** Who decides what becomes of a connection's requests. */
export interface Reception {
  /** bodyless: no body comes with it. */
  enter(head: RequestHead, bodyless: boolean): Entry;
  /** The whole answer to what is no request; the connection ends after it. */
  malformed(status: number, message: string): string;
}

/** What all connections of one process share, be it a gateway or the ingress. */
export interface Station {
  readonly limits: GatewayLimits;
  readonly endpoints: Endpoints;
  /** After SIGTERM: every answer asks for the connection to be closed. */
  closing: boolean;
  /** How long an idle connection stays then. */
  lameDuckMs: number;
  /** Milliseconds of performance.now(), at most one sweep old: good for time-outs, not for measuring. */
  nowMs: number;
}

export interface Gateway extends Station {
  readonly peers: Peers;
  readonly tickets: TicketDesk;
  readonly counters: Counters;
  readonly pool: UpstreamPool;
  readonly tls: TlsDesk;
  readonly relay: RelayDesk;
  readonly reception: Reception;
}
