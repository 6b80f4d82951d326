// A connection whose first bytes have not come yet, at a gateway that has a certificate: they say whether it speaks TLS.
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import type { Station } from "./serving.ts";

/** What HTTP is spoken on: a socket, or a stream on a connection that this node dialled. */
export type Carrier = Duplex & { destroySoon(): void; resetAndDestroy(): unknown };

/** What a gateway looks after: from a socket's arrival to its end. */
export interface Connection {
  /** A node is reached over it, and nobody visits. */
  readonly isGivenAway?: boolean;
  sweep(nowMs: number): void;
  destroy(): void;
}

/** The first byte of a TLS record that begins a handshake; no HTTP method begins so. */
const TLS_HANDSHAKE = 0x16;

/**
 * Plain HTTP is served beside TLS at a gateway: routes that name the node's plain address are in use for a minute after it got its
 * certificate. A ticket is asked for either way.
 */
export class Arriving implements Connection {
  readonly #raw: Socket;
  readonly #station: Station;
  readonly #sinceMs: number;

  /**
   * open: begins TLS on it. ready: gets the socket to speak HTTP on, paused, which nothing was taken from yet; first: what came first,
   * where it is not TLS.
   */
  constructor(
    raw: Socket,
    station: Station,
    open: (raw: Socket) => TLSSocket,
    ready: (socket: Socket, first: Buffer | null) => void,
  ) {
    this.#raw = raw;
    this.#station = station;
    this.#sinceMs = station.nowMs;
    const gone = (): void => void raw.destroy();
    raw.on("error", gone);
    raw.once("end", gone);
    raw.once("data", (first: Buffer) => {
      raw.off("end", gone);
      raw.pause();
      raw.unshift(first);
      if (first[0] !== TLS_HANDSHAKE) return ready(raw, first);
      const secure = open(raw);
      secure.on("error", gone);
      secure.once("secure", () => ready(secure, null));
    });
  }

  sweep(nowMs: number): void {
    const { limits, closing } = this.#station;
    const patienceMs = closing ? Math.min(limits.lameDuckMs, limits.headTimeoutMs) : limits.headTimeoutMs;
    if (nowMs - this.#sinceMs > patienceMs) this.destroy();
  }

  destroy(): void {
    this.#raw.destroy();
  }
}
