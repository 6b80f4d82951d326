// Heads of HTTP/1.1 messages: strict parsing, and what of them is handed on. Anything ambiguous is refused, never repaired.
import { parseEnvelope, REQUEST_ID_HEADER, TICKET_HEADER, type TicketEnvelope } from "../../contracts/ticket.ts";

export interface RequestHead {
  readonly kind: "request";
  readonly method: string;
  readonly target: string;
  readonly envelope: TicketEnvelope | null;
  readonly requestId: string | null;
  /** null: none given, so no body unless chunked. */
  readonly length: number | null;
  readonly chunked: boolean;
  readonly webSocket: boolean;
  readonly close: boolean;
  readonly expectContinue: boolean;
  /** The lines for the app, each ended by CRLF, without hop-by-hop, framing, host and `berth-` lines. */
  readonly lines: string;
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
}

export type Malformed = { readonly kind: "malformed"; readonly status: number; readonly message: string };

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const CONTROL = /[\x00-\x08\x0a-\x1f\x7f]/;
const TARGET = /^(?:\/[\x21-\x7e\x80-\xff]*|\*)$/;
const LENGTH = /^[0-9]{1,15}$/;

const malformed = (message: string, status = 400): Malformed => ({ kind: "malformed", status, message });

/** What both kinds of heads share; filled in line by line. */
class Fields {
  lines = "";
  length: number | null = null;
  chunked = false;
  upgrade: string | null = null;
  connection = "";
  keepAliveMs: number | null = null;
  requestId: string | null = null;
  envelope: TicketEnvelope | null = null;
  /** What the sender says about the visitor; counts only where the envelope says nothing (visitorLines). */
  claims: { readonly name: string; readonly line: string }[] = [];
  expectContinue = false;
  fault: Malformed | null = null;

  /** text from the first field line on, without the empty line at its end. */
  read(text: string, from: number): void {
    const end = text.length;
    let at = from;
    while (at < end && this.fault === null) {
      let lineEnd = text.indexOf("\r\n", at);
      if (lineEnd === -1) lineEnd = end;
      const colon = text.indexOf(":", at);
      if (colon === -1 || colon >= lineEnd) {
        this.fault = malformed("a header line has no colon");
        return;
      }
      const name = text.slice(at, colon);
      const value = trimmed(text, colon + 1, lineEnd);
      if (!TOKEN.test(name) || CONTROL.test(value))
        this.fault = malformed("a header line has characters it may not have");
      else if (!this.#special(name.toLowerCase(), value)) this.lines += `${name}: ${value}\r\n`;
      at = lineEnd + 2;
    }
    if (this.connection !== "") this.#dropNominated();
  }

  /** True when the line must not be handed on as it is. */
  #special(name: string, value: string): boolean {
    switch (name) {
      case "connection":
        this.connection = this.connection === "" ? value.toLowerCase() : `${this.connection},${value.toLowerCase()}`;
        return true;
      case "content-length":
        if (!LENGTH.test(value) || (this.length !== null && this.length !== Number(value)))
          this.fault = malformed("content-length is not one number");
        else this.length = Number(value);
        return true;
      case "transfer-encoding":
        if (this.chunked || value.toLowerCase() !== "chunked")
          this.fault = malformed("transfer-encoding may only be chunked", 501);
        this.chunked = true;
        return true;
      case "upgrade":
        this.upgrade = value;
        return true;
      case "keep-alive": {
        const seconds = /timeout=(\d{1,6})/i.exec(value)?.[1];
        if (seconds !== undefined) this.keepAliveMs = Number(seconds) * 1_000;
        return true;
      }
      case "proxy-connection":
      case "te":
      case "trailer":
      case "host":
        return true;
      case "expect":
        this.expectContinue = value.toLowerCase() === "100-continue";
        if (!this.expectContinue) this.fault = malformed("expect may only be 100-continue", 417);
        return true;
      case REQUEST_ID_HEADER:
      case "x-forwarded-proto":
      case "x-forwarded-host":
      case "forwarded":
      case "x-forwarded-for":
      case "x-real-ip":
      case "cf-connecting-ip":
        if (name === REQUEST_ID_HEADER) this.requestId = value;
        this.claims.push({ name, line: `${name}: ${value}\r\n` });
        return true;
      default:
        return name.startsWith("berth-") && this.#internal(name, value);
    }
  }

  #internal(name: string, value: string): boolean {
    if (name === TICKET_HEADER) {
      if (this.envelope !== null) this.fault = malformed("more than one ticket");
      this.envelope = parseEnvelope(value);
    }
    return true;
  }

  /** Headers that `connection` names are between two neighbours only (RFC 9110, 7.6.1). */
  #dropNominated(): void {
    for (const name of this.connection.split(",").map((token) => token.trim())) {
      if (name === "" || name === "close" || name === "keep-alive" || name === "upgrade" || !TOKEN.test(name)) continue;
      const kept = this.lines.split("\r\n").filter((line) => line.slice(0, line.indexOf(":")).toLowerCase() !== name);
      this.lines = kept.join("\r\n");
    }
  }

  /** The lines about the visitor: the edge's word where it gave it, else the claims. */
  visitorLines(): string {
    const { proto = null, address = null, requestId = null, host = null } = this.envelope ?? {};
    let lines = "";
    if (requestId !== null) lines += `${REQUEST_ID_HEADER}: ${requestId}\r\n`;
    if (proto !== null) lines += `x-forwarded-proto: ${proto}\r\nx-forwarded-host: ${host ?? ""}\r\n`;
    if (address !== null) lines += `x-forwarded-for: ${address}\r\nx-real-ip: ${address}\r\n`;
    for (const { name, line } of this.claims) {
      const overruled = name === REQUEST_ID_HEADER ? requestId : ABOUT_ADDRESS.has(name) ? address : proto;
      if (overruled === null) lines += line;
    }
    return lines;
  }

  connectionHas(token: string): boolean {
    return this.connection === token || (this.connection !== "" && this.connection.split(/[\t ,]+/).includes(token));
  }
}

const ABOUT_ADDRESS: ReadonlySet<string> = new Set(["x-forwarded-for", "x-real-ip", "cf-connecting-ip"]);

function trimmed(text: string, from: number, to: number): string {
  let start = from;
  let end = to;
  while (start < end && (text.charCodeAt(start) === 32 || text.charCodeAt(start) === 9)) start++;
  while (end > start && (text.charCodeAt(end - 1) === 32 || text.charCodeAt(end - 1) === 9)) end--;
  return text.slice(start, end);
}

/** text: the head as latin1, without its last CRLF CRLF. */
export function parseRequestHead(text: string): RequestHead | Malformed {
  let lineEnd = text.indexOf("\r\n");
  if (lineEnd === -1) lineEnd = text.length;
  const afterMethod = text.indexOf(" ");
  const beforeVersion = text.lastIndexOf(" ", lineEnd - 1);
  if (afterMethod <= 0 || beforeVersion <= afterMethod || beforeVersion >= lineEnd) return malformed("no request line");
  const method = text.slice(0, afterMethod);
  const target = text.slice(afterMethod + 1, beforeVersion);
  if (!TOKEN.test(method) || !TARGET.test(target)) return malformed("the request line is malformed");
  if (text.slice(beforeVersion + 1, lineEnd) !== "HTTP/1.1") return malformed("only HTTP/1.1 is spoken here", 505);
  if (method === "CONNECT") return malformed("CONNECT is not served", 501);
  const fields = new Fields();
  fields.read(text, lineEnd + 2);
  if (fields.fault !== null) return fields.fault;
  if (fields.chunked && fields.length !== null)
    return malformed("content-length and transfer-encoding exclude each other");
  const webSocket =
    fields.upgrade !== null && fields.upgrade.toLowerCase() === "websocket" && fields.connectionHas("upgrade");
  return {
    kind: "request",
    method,
    target,
    envelope: fields.envelope,
    requestId: fields.envelope?.requestId ?? fields.requestId,
    length: fields.length,
    chunked: fields.chunked,
    webSocket,
    close: fields.connectionHas("close"),
    expectContinue: fields.expectContinue,
    lines: fields.lines + fields.visitorLines(),
  };
}

const STATUS_LINE = /^HTTP\/1\.([01]) ([1-9][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*))?$/;

/** text: the head as latin1, without its last CRLF CRLF. */
export function parseAnswerHead(text: string): AnswerHead | Malformed {
  let lineEnd = text.indexOf("\r\n");
  if (lineEnd === -1) lineEnd = text.length;
  const line = STATUS_LINE.exec(text.slice(0, lineEnd));
  if (line === null) return malformed("the app's status line is malformed", 502);
  const fields = new Fields();
  fields.read(text, lineEnd + 2);
  if (fields.fault !== null) return fields.fault;
  const both = fields.chunked && fields.length !== null;
  const keepAlive = line[1] === "1" ? !fields.connectionHas("close") : fields.connectionHas("keep-alive");
  return {
    kind: "answer",
    status: Number(line[2]),
    reason: line[3] ?? "",
    length: fields.chunked ? null : fields.length,
    chunked: fields.chunked,
    upgrade: fields.upgrade,
    keepAlive: keepAlive && !both,
    keepAliveMs: fields.keepAliveMs,
    hasRequestId: fields.requestId !== null,
    lines: fields.lines + fields.visitorLines(),
  };
}
