// Answers that the gateway makes itself, always marked as such, and the throwing away of a body that nobody will read.
import { GATEWAY_ERROR_HEADER, ROUTE_VERSION_HEADER, type GatewayError } from "../../contracts/ticket.ts";
import type { Framing } from "./framing.ts";
import type { Edge, Serving, Station } from "./serving.ts";

const STATUS: { readonly [Code in GatewayError]: string } = {
  ticket_missing: "401 Unauthorized",
  ticket_invalid: "401 Unauthorized",
  ticket_expired: "401 Unauthorized",
  instance_gone: "421 Misdirected Request",
  connect_failed: "502 Bad Gateway",
  upstream_reset: "502 Bad Gateway",
  upstream_timeout: "504 Gateway Timeout",
  too_many_connections: "503 Service Unavailable",
  malformed_request: "400 Bad Request",
  body_too_large: "413 Content Too Large",
};

export const statusOf = (code: GatewayError): number => Number(STATUS[code].slice(0, 3));

/** For requests after which no other can be told from their bodies. */
export const CLOSE = "connection: close\r\n";

/** To what is no request. */
export const malformedAnswer = (status: number, message: string): string =>
  ownAnswer(
    `${status} Bad Request`,
    `${CLOSE}${GATEWAY_ERROR_HEADER}: malformed_request\r\n`,
    { code: "malformed_request", message },
    false,
  );

/** The whole answer; head only for HEAD requests. routeVersion: named where the gateway knows one. lines: as for ownAnswer. */
export function errorAnswer(
  code: GatewayError,
  message: string,
  routeVersion: number,
  headOnly: boolean,
  lines = "",
): string {
  const version = routeVersion > 0 ? `${ROUTE_VERSION_HEADER}: ${routeVersion}\r\n` : "";
  return ownAnswer(STATUS[code], `${lines}${GATEWAY_ERROR_HEADER}: ${code}\r\n${version}`, { code, message }, headOnly);
}

/** lines: further header lines, each ended by CRLF. */
export function ownAnswer(status: string, lines: string, body: unknown, headOnly: boolean): string {
  const text = JSON.stringify(body);
  const head = `HTTP/1.1 ${status}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(text)}\r\n${lines}\r\n`;
  return headOnly ? head : head + Buffer.from(text).toString("latin1");
}

/** Reads on to the end of a request's body after its answer, within bounds: closing at once could lose the answer to a reset. */
export class Discard implements Serving {
  readonly #edge: Edge;
  readonly #station: Station;
  readonly #framing: Framing;
  readonly #startedAtMs: number;
  readonly #keepAlive: boolean;
  #bytes = 0;

  /** keepAlive: whether another request may follow. */
  constructor(edge: Edge, station: Station, framing: Framing, keepAlive: boolean) {
    this.#edge = edge;
    this.#station = station;
    this.#framing = framing;
    this.#keepAlive = keepAlive;
    this.#startedAtMs = station.nowMs;
  }

  onEdgeData(bytes: Buffer, from: number): number {
    this.#framing.read(bytes, from);
    const end = this.#framing.end;
    this.#bytes += end - from;
    if (this.#framing.done) this.#edge.served(this.#keepAlive, null);
    else if (this.#framing.bad || this.#bytes > this.#station.limits.discardBytesMax) this.#edge.served(false, null);
    return end;
  }

  onEdgeDrain(): void {}

  onEdgeGone(): void {}

  sweep(nowMs: number): void {
    if (nowMs - this.#startedAtMs > this.#station.limits.discardMs) this.#edge.served(false, null);
  }
}
