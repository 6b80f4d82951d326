// Heads of HTTP/2 requests, read by the same reader as any other, so that they mean the same.
import type { IncomingHttpHeaders } from "node:http2";
import { readRequestHead, type RequestHead } from "../gateway/head.ts";
import { MessageParser } from "../gateway/llhttp.ts";

/** Of HTTP/1.1 alone (RFC 9113, 8.2.2). */
export const CONNECTIONS_OWN = /^(?:connection|keep-alive|proxy-connection|transfer-encoding|upgrade)$/;

/** null: it is none. */
export function headOf(headers: IncomingHttpHeaders, bodyless: boolean, bytesMax: number): RequestHead | null {
  const { ":method": method, ":path": path, ":authority": authority, host, ...fields } = headers;
  let text = `${method} ${path} HTTP/1.1\r\nhost: ${authority ?? host ?? ""}\r\n`;
  for (const name in fields) {
    if (name.startsWith(":") || CONNECTIONS_OWN.test(name)) continue;
    const value = fields[name];
    for (const each of Array.isArray(value) ? value : [value]) text += `${name}: ${each}\r\n`;
  }
  if (!bodyless && headers["content-length"] === undefined) text += "transfer-encoding: chunked\r\n";
  const parser = MessageParser.take("request");
  const head = readRequestHead(parser, Buffer.from(`${text}\r\n`, "latin1"), 0, bytesMax);
  parser.release();
  return head.kind === "request" ? head : null;
}
