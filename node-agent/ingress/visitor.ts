// Who comes and what they named, alike for HTTP/1.1 and HTTP/2.
import { randomUUID } from "node:crypto";
import type { Socket } from "node:net";
import { REQUEST_ID_HEADER } from "../../contracts/ticket.ts";
import type { RequestHead } from "../gateway/head.ts";

/** What a connection says about whoever is at its other end. */
export interface Caller {
  readonly proto: "http" | "https";
  readonly address: string | null;
}

export interface Visitor extends Caller {
  readonly hostname: string;
  /** As they wrote it, port included. */
  readonly host: string;
  readonly requestId: string;
}

const REQUEST_ID = /^[\w.:-]{8,128}$/;

export const callerOf = (raw: Socket, proto: Caller["proto"]): Caller => ({
  proto,
  address: raw.remoteAddress?.replace(/^::ffff:/, "") ?? null,
});

export function visitorOf(head: RequestHead, { proto, address }: Caller): Visitor {
  const { host, requestId } = head;
  const name = host.replace(/:\d+$/, "").toLowerCase();
  return {
    hostname: name.endsWith(".") ? name.slice(0, -1) : name,
    host,
    proto,
    address,
    requestId: requestId !== null && REQUEST_ID.test(requestId) ? requestId : randomUUID(),
  };
}

/** A header that the app is to see, or null; of several lines, all of them as one list. */
export function headerIn(lines: string, name: string): string | null {
  const values: string[] = [];
  for (const line of lines.split("\r\n")) {
    if (line.slice(0, name.length + 1).toLowerCase() === `${name}:`) values.push(line.slice(name.length + 1).trim());
  }
  return values.length === 0 ? null : values.join(name === "cookie" ? "; " : ", ");
}

/** The line for the app's answer, where it has none of its own. */
export const requestIdLine = (requestId: string): string => `${REQUEST_ID_HEADER}: ${requestId}\r\n`;
