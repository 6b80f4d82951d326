// Heads of HTTP/1.1 messages, as llhttp read them: what they mean and what of them is handed on. Anything ambiguous is
// refused, never repaired.
import type { TicketEnvelope } from "../../contracts/ticket.ts";
import { assertNever } from "../../core/step.ts";
import { Fields, type Malformed, malformed, TOKEN } from "./fields.ts";
import type { HeadState, MessageParser } from "./llhttp.ts";

export interface RequestHead {
  readonly kind: "request";
  readonly method: string;
  readonly target: string;
  /** As the visitor wrote it, where it is they who ask. */
  readonly host: string;
  readonly envelope: TicketEnvelope | null;
  /** Of a node that would be reached through this one. */
  readonly relay: string | null;
  readonly requestId: string | null;
  /** null: none given, so no body unless chunked. */
  readonly length: number | null;
  readonly chunked: boolean;
  readonly webSocket: boolean;
  readonly close: boolean;
  readonly expectContinue: boolean;
  /** The lines for the app, each ended by CRLF, without hop-by-hop, framing, host and `berth-` lines. */
  readonly lines: string;
  /** Its other `berth-` lines, names in lower case. */
  readonly internal: string;
  /** Further lines for the app: who the visitor is, by the edge's word or the sender's. */
  readonly about: string;
}

export interface AnswerHead {
  readonly kind: "answer";
  readonly status: number;
  readonly reason: string;
  /** null: none given. */
  readonly length: number | null;
  readonly chunked: boolean;
  readonly upgrade: string | null;
  /** Whether the connection may carry another request once this answer is through. */
  readonly keepAlive: boolean;
  /** From `keep-alive: timeout=`; null where the app said nothing. */
  readonly keepAliveMs: number | null;
  readonly hasRequestId: boolean;
  readonly lines: string;
  /** Its `berth-` lines: for the edge, where it is another gateway that answered. */
  readonly internal: string;
}

/** What of it has come is well-formed; its end has not come. */
export type Incomplete = { readonly kind: "incomplete" };
const INCOMPLETE: Incomplete = { kind: "incomplete" };

/** Origin form only; a fragment is no part of a target. */
const TARGET = /^\/[\x21\x22\x24-\x7e]*$/;
const HOST = /^[0-9A-Za-z._~!$&'()*+,;=:%[\]-]*$/;

/** null: complete, and the parser's to be read out. */
function unfinished(parser: MessageParser, state: HeadState): Malformed | Incomplete | null {
  switch (state) {
    case "complete":
      return null;
    case "incomplete":
      return INCOMPLETE;
    case "too_large":
      return malformed("the head is too large", 431);
    case "malformed":
      return malformed(parser.reason, parser.wrongVersion ? 505 : 400);
    default:
      return assertNever(state);
  }
}

/** Reads on in a request's head; complete, it ended at parser.end. Stricter than llhttp wherever two readers could differ. */
export function readRequestHead(
  parser: MessageParser,
  bytes: Buffer,
  from: number,
  bytesMax: number,
): RequestHead | Malformed | Incomplete {
  const wait = unfinished(parser, parser.readHead(bytes, from, bytesMax));
  if (wait !== null) return wait;
  const { text, startFrom, startTo } = parser;
  // Exactly one space on either side of the target, and nothing before the method: llhttp would take more.
  const method = text.slice(0, startFrom - 1);
  const target = text.slice(startFrom, startTo);
  if (!TOKEN.test(method)) return malformed("the request line is malformed");
  if (!text.startsWith(" HTTP/1.1\r\n", startTo)) return malformed("only HTTP/1.1 is spoken here", 505);
  if (method === "CONNECT") return malformed("CONNECT is not served", 501);
  if (!TARGET.test(target) && !(target === "*" && method === "OPTIONS")) return malformed("the target is no path");
  const fields = new Fields(parser);
  if (fields.fault !== null) return fields.fault;
  if (fields.hosts !== 1 || !HOST.test(fields.host)) return malformed("host is missing or not one name");
  if (fields.chunked && fields.length !== null)
    return malformed("content-length and transfer-encoding exclude each other");
  const webSocket =
    fields.upgrade !== null && fields.upgrade.toLowerCase() === "websocket" && fields.connectionHas("upgrade");
  if (webSocket && (method !== "GET" || fields.chunked || (fields.length ?? 0) > 0))
    return malformed("a WebSocket is asked for by GET and without a body");
  return {
    kind: "request",
    method,
    target,
    host: fields.host,
    envelope: fields.envelope,
    relay: fields.relay,
    requestId: fields.envelope?.requestId ?? fields.requestId,
    length: fields.length,
    chunked: fields.chunked,
    webSocket,
    close: fields.connectionHas("close"),
    expectContinue: fields.expectContinue,
    lines: fields.lines,
    internal: fields.internal,
    about: fields.visitorLines(),
  };
}

const REASON = /^[\t\x20-\x7e\x80-\xff]*$/;

/** Reads on in an answer's head; complete, it ended at parser.end. */
export function readAnswerHead(
  parser: MessageParser,
  bytes: Buffer,
  from: number,
  bytesMax: number,
): AnswerHead | Malformed | Incomplete {
  const wait = unfinished(parser, parser.readHead(bytes, from, bytesMax));
  if (wait !== null) return wait;
  const { text, status, startFrom, startTo } = parser;
  const reason = text.slice(startFrom, startTo);
  const newer = text.startsWith("HTTP/1.1 ");
  if ((!newer && !text.startsWith("HTTP/1.0 ")) || status < 100 || !REASON.test(reason))
    return malformed("the status line is malformed");
  const fields = new Fields(parser);
  if (fields.fault !== null) return fields.fault;
  if (fields.chunked && (fields.length !== null || !newer))
    return malformed("transfer-encoding excludes content-length and HTTP/1.0");
  return {
    kind: "answer",
    status,
    reason,
    length: fields.length,
    chunked: fields.chunked,
    upgrade: fields.upgrade,
    keepAlive: newer ? !fields.connectionHas("close") : fields.connectionHas("keep-alive"),
    keepAliveMs: fields.keepAliveMs,
    hasRequestId: fields.requestId !== null,
    lines: fields.lines + fields.visitorLines(),
    internal: fields.internal,
  };
}
