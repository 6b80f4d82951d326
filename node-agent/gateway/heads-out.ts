// Heads as they leave the gateway: the request's for the app, the answer's for the edge, and how their bodies are framed.
import { INSTANCE_HEADER, REQUEST_ID_HEADER, ROUTE_VERSION_HEADER } from "../../contracts/ticket.ts";
import type { EndpointInstance } from "../endpoint-file.ts";
import { Framing } from "./framing.ts";
import type { AnswerHead, RequestHead } from "./head.ts";
import type { MessageParser } from "./llhttp.ts";
import type { Gateway } from "./serving.ts";

/** more: further lines, each ended by CRLF. */
export function requestText(head: RequestHead, host: string, more: string): string {
  const { method, target, lines, length, chunked, webSocket } = head;
  let text = `${method} ${target} HTTP/1.1\r\nHost: ${host}\r\n${more}${lines}`;
  if (chunked) text += "Transfer-Encoding: chunked\r\n";
  else if (length !== null) text += `Content-Length: ${length}\r\n`;
  if (webSocket) text += "Connection: Upgrade\r\nUpgrade: websocket\r\n";
  return `${text}\r\n`;
}

/** own: the lines of ownLines. An answer that ends with its connection leaves in chunks. */
export function answerText(answer: AnswerHead, framing: Framing, own: string): string {
  let text = `HTTP/1.1 ${answer.status} ${answer.reason}\r\n${answer.lines}`;
  if (framing.endsWithConnection || (answer.chunked && !framing.done)) text += "Transfer-Encoding: chunked\r\n";
  else if (answer.length !== null && answer.status !== 204) text += `Content-Length: ${answer.length}\r\n`;
  return `${text}${own}\r\n`;
}

export function tunnelText(answer: AnswerHead, own: string): string {
  return `HTTP/1.1 101 Switching Protocols\r\n${answer.lines}Connection: Upgrade\r\nUpgrade: websocket\r\n${own}\r\n`;
}

/** What the gateway adds: the newest route version (unless the edge has it), and the request's id. */
export function ownLines(head: RequestHead, answer: AnswerHead, instance: EndpointInstance, gateway: Gateway): string {
  const version = gateway.endpoints.routeVersion(instance.app);
  let lines = "";
  const known = head.envelope?.routeVersion ?? null;
  if (known === null || version > known)
    lines = `${ROUTE_VERSION_HEADER}: ${version}\r\n${INSTANCE_HEADER}: ${instance.instance}\r\n`;
  if (head.requestId !== null && !answer.hasRequestId) lines += `${REQUEST_ID_HEADER}: ${head.requestId}\r\n`;
  return lines;
}

/** Its own wish to close. */
export const CLOSING_LINE = "Connection: close\r\n";

/** How long the app took to the head of its answer; beside what the app itself says, as the header is a list. */
export const timingLine = (tookMs: number): string =>
  `server-timing: berth-app;dur=${Math.round(tookMs * 10) / 10}\r\n`;

/** parser: has read the head. It is the framing's from here on, or released. */
export function requestFraming(head: RequestHead, parser: MessageParser): Framing {
  if (head.chunked) return new Framing({ kind: "chunked", parser });
  parser.release();
  return new Framing(head.length === null ? NONE : { kind: "length", length: head.length });
}

/** parser: as for requestFraming. */
export function answerFraming(request: RequestHead, answer: AnswerHead, parser: MessageParser): Framing {
  const bodiless = request.method === "HEAD" || answer.status === 204 || answer.status === 304;
  if (answer.chunked && !bodiless) return new Framing({ kind: "chunked", parser });
  parser.release();
  if (bodiless) return new Framing(NONE);
  return new Framing(answer.length === null ? CLOSE : { kind: "length", length: answer.length });
}

const NONE = { kind: "none" } as const;
const CLOSE = { kind: "close" } as const;
