// Heads as they leave the gateway: the request's for the app, the answer's for the edge, and how their bodies are framed.
import { INSTANCE_HEADER, REQUEST_ID_HEADER, ROUTE_VERSION_HEADER } from "../../contracts/ticket.ts";
import type { EndpointInstance } from "../endpoint-file.ts";
import { Framing } from "./framing.ts";
import type { AnswerHead, RequestHead } from "./head.ts";
import type { Gateway } from "./serving.ts";

export function requestText(head: RequestHead, instance: EndpointInstance): string {
  const { method, target, envelope, lines, length, chunked, webSocket } = head;
  let text = `${method} ${target} HTTP/1.1\r\nHost: ${envelope?.host ?? `${instance.host}:${instance.port}`}\r\n${lines}`;
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
  const kept = own.replace("Connection: close\r\n", "");
  return `HTTP/1.1 101 Switching Protocols\r\n${answer.lines}Connection: Upgrade\r\nUpgrade: websocket\r\n${kept}\r\n`;
}

/** What the gateway adds: the newest route version (unless the edge has it), the request's id, and its own wish to close. */
export function ownLines(head: RequestHead, answer: AnswerHead, instance: EndpointInstance, gateway: Gateway): string {
  const version = gateway.endpoints.routeVersion(instance.app);
  let lines = "";
  const known = head.envelope?.routeVersion ?? null;
  if (known === null || version > known)
    lines = `${ROUTE_VERSION_HEADER}: ${version}\r\n${INSTANCE_HEADER}: ${instance.instance}\r\n`;
  if (head.requestId !== null && !answer.hasRequestId) lines += `${REQUEST_ID_HEADER}: ${head.requestId}\r\n`;
  if (gateway.closing) lines += "Connection: close\r\n";
  return lines;
}

export function requestFraming(head: RequestHead): Framing {
  if (head.chunked) return new Framing("chunked");
  return new Framing(head.length === null ? "none" : "length", head.length ?? 0);
}

export function answerFraming(request: RequestHead, answer: AnswerHead): Framing {
  if (request.method === "HEAD" || answer.status === 204 || answer.status === 304) return new Framing("none");
  if (answer.chunked) return new Framing("chunked");
  return answer.length === null ? new Framing("close") : new Framing("length", answer.length);
}
