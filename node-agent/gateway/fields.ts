// The fields of one head, as llhttp noted them: which are handed on as they stand, and what the others mean.
import { RELAY_HEADER } from "../../contracts/relay.ts";
import { parseEnvelope, REQUEST_ID_HEADER, TICKET_HEADER, type TicketEnvelope } from "../../contracts/ticket.ts";
import type { MessageParser } from "./llhttp.ts";

export type Malformed = { readonly kind: "malformed"; readonly status: number; readonly message: string };

export const malformed = (message: string, status = 400): Malformed => ({ kind: "malformed", status, message });

export const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const LENGTH = /^[0-9]{1,15}$/;

/** What both kinds of heads share; filled in field by field. */
export class Fields {
  lines = "";
  length: number | null = null;
  chunked = false;
  host = "";
  hosts = 0;
  upgrade: string | null = null;
  connection = "";
  keepAliveMs: number | null = null;
  requestId: string | null = null;
  envelope: TicketEnvelope | null = null;
  relay: string | null = null;
  internal = "";
  /** What the sender says about the visitor; counts only where the envelope says nothing (visitorLines). */
  claims: { readonly name: string; readonly line: string }[] = [];
  expectContinue = false;
  fault: Malformed | null = null;

  constructor({ text, fields, noted }: MessageParser) {
    /** In text: lines that are handed on just as they stand, gathered to be copied at once. */
    let asIsFrom = 0;
    let asIsTo = 0;
    for (let at = 0; at < noted && this.fault === null; at += 4) {
      const nameFrom = fields[at] as number;
      const nameTo = fields[at + 1] as number;
      const valueFrom = fields[at + 2] as number;
      const valueTo = trimmedEnd(text, valueFrom, fields[at + 3] as number);
      const name = text.slice(nameFrom, nameTo);
      const value = text.slice(valueFrom, valueTo);
      if (this.#special(name.toLowerCase(), value)) continue;
      if (valueFrom === nameTo + 2 && text.charCodeAt(nameTo + 1) === SPACE && text.startsWith("\r\n", valueTo)) {
        if (asIsTo !== nameFrom) {
          this.lines += text.slice(asIsFrom, asIsTo);
          asIsFrom = nameFrom;
        }
        asIsTo = valueTo + 2;
      } else {
        this.lines += `${text.slice(asIsFrom, asIsTo)}${name}: ${value}\r\n`;
        asIsFrom = asIsTo = 0;
      }
    }
    this.lines += text.slice(asIsFrom, asIsTo);
    if (this.connection !== "" && !LONE_OPTION.has(this.connection)) this.#dropNominated();
  }

  /** True when the line must not be handed on as it is. */
  #special(name: string, value: string): boolean {
    switch (name) {
      case "connection":
        this.connection = this.connection === "" ? value.toLowerCase() : `${this.connection},${value.toLowerCase()}`;
        return true;
      case "content-length":
        if (!LENGTH.test(value) || this.length !== null) this.fault = malformed("content-length is not one number");
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
        return true;
      case "host":
        this.host = value;
        this.hosts++;
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
        if (name.startsWith("berth-")) return this.#internal(name, value);
        // Apps behind CGI's rules read `content_length` as `content-length`; nobody else sends the names that matter so.
        return name.includes("_") && NEVER_WITH_UNDERSCORES.test(name);
    }
  }

  #internal(name: string, value: string): boolean {
    if (name === TICKET_HEADER) {
      if (this.envelope !== null) this.fault = malformed("more than one ticket");
      this.envelope = parseEnvelope(value);
    } else if (name === RELAY_HEADER) this.relay = value;
    else this.internal += `${name}: ${value}\r\n`;
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
    if (!this.connection.includes(token)) return false;
    return this.connection === token || this.connection.split(/[\t ,]+/).includes(token);
  }
}

const NEVER_WITH_UNDERSCORES =
  /^(?:berth[-_].*|content[-_]length|transfer[-_]encoding|cf[-_]connecting[-_]ip|x[-_](?:forwarded[-_](?:for|host|proto)|real[-_]ip|request[-_]id))$/;
const ABOUT_ADDRESS: ReadonlySet<string> = new Set(["x-forwarded-for", "x-real-ip", "cf-connecting-ip"]);

/** Nothing is nominated by these. */
const LONE_OPTION: ReadonlySet<string> = new Set(["keep-alive", "close", "upgrade"]);
const [SPACE, TAB] = [32, 9];

/** llhttp leaves the white space after a value to its user. */
function trimmedEnd(text: string, from: number, to: number): number {
  let end = to;
  while (end > from && (text.charCodeAt(end - 1) === SPACE || text.charCodeAt(end - 1) === TAB)) end--;
  return end;
}
