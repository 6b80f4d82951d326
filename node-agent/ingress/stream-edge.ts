// A visitor's request on a stream of HTTP/2, served as one on a connection is: what passes between is HTTP/1.1's words.
import { constants, type OutgoingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import { assertNever } from "../../core/step.ts";
import type { Connection } from "../gateway/arriving.ts";
import type { Entry } from "../gateway/entry.ts";
import { Exchange } from "../gateway/exchange.ts";
import { Framing } from "../gateway/framing.ts";
import type { RequestHead } from "../gateway/head.ts";
import type { Edge, Reception, Serving, Station } from "../gateway/serving.ts";
import { CONNECTIONS_OWN } from "./stream-head.ts";

const NOTHING = Buffer.alloc(0);
/** Up to this a copy is cheaper than memory that cannot be read into again before it was sent. */
const COPIED_BYTES_MAX = 8_192;

export class StreamEdge implements Edge, Connection {
  readonly #stream: ServerHttp2Stream;
  readonly #station: Station;
  #serving: Serving | null = null;

  constructor(stream: ServerHttp2Stream, head: RequestHead, station: Station, reception: Reception) {
    this.#stream = stream;
    this.#station = station;
    const bodyless = stream.endAfterHeaders;
    stream.on("drain", () => this.#serving?.onEdgeDrain());
    stream.once("close", () => {
      const serving = this.#serving;
      this.#serving = null;
      serving?.onEdgeGone();
    });
    this.#enter(reception.enter(head, bodyless), head, bodyless);
  }

  #enter(entry: Entry, head: RequestHead, bodyless: boolean): void {
    switch (entry.kind) {
      case "later":
        return void entry.entry.then((found) => this.#stream.destroyed || this.#enter(found, head, bodyless));
      case "told":
        this.write(entry.text);
        return this.#done(!bodyless);
      case "way":
        return this.#serve(head, bodyless, entry);
      case "refused":
      case "serving":
      case "given away":
        return this.abort();
      default:
        assertNever(entry);
    }
  }

  #serve(head: RequestHead, bodyless: boolean, { way, counts }: Extract<Entry, { kind: "way" }>): void {
    const stream = this.#stream;
    const body = new Framing(
      bodyless ? { kind: "none" } : head.length === null ? { kind: "close" } : { kind: "length", length: head.length },
    );
    const exchange = new Exchange(this, this.#station, { head, body, counts }, way);
    this.#serving = exchange;
    exchange.start(NOTHING, 0);
    if (bodyless) return;
    stream.on("data", (bytes: Buffer) => this.#serving?.onEdgeData(bytes, 0));
    stream.once("end", () => {
      body.over();
      this.#serving?.onEdgeData(NOTHING, 0);
    });
  }

  /** Text: an answer of our own, the whole of it, or the leave to go on. */
  write(data: string | Buffer): boolean {
    if (typeof data !== "string") return this.#stream.write(data);
    if (data.startsWith("HTTP/1.1 100")) this.#stream.additionalHeaders({ ":status": constants.HTTP_STATUS_CONTINUE });
    if (data.startsWith("HTTP/1.1 100") || this.#stream.destroyed) return true;
    const end = data.indexOf("\r\n\r\n") + 4;
    this.#respond(data.slice(0, end - 4));
    return end === data.length || this.#stream.write(data.slice(end), "latin1");
  }

  pass(text: string, bytes: Buffer, { runs, dataBytes }: Framing): boolean {
    const stream = this.#stream;
    if (stream.destroyed) return true;
    if (text !== "") this.#respond(text.slice(0, -4));
    if (dataBytes === 0) return true;
    let flowing = true;
    for (let run = 0; run < runs.length; run += 2) {
      const data = bytes.subarray(runs[run], runs[run + 1]);
      flowing = stream.write(dataBytes > COPIED_BYTES_MAX ? data : Buffer.from(data));
    }
    return flowing;
  }

  #respond(head: string): void {
    if (!this.#stream.destroyed && !this.#stream.headersSent) this.#stream.respond(headersOf(head));
  }

  cork(): void {
    this.#stream.cork();
  }

  uncork(): void {
    this.#stream.uncork();
  }

  /** Larger pieces are handed over as they are, and used until they are sent. */
  get holdsBytes(): boolean {
    return this.#stream.writableLength > 0;
  }

  pauseReading(): void {
    this.#stream.pause();
  }

  resumeReading(): void {
    this.#stream.resume();
  }

  become(serving: Serving): void {
    this.#serving = serving;
  }

  served(_keepAlive: boolean, leftover: Serving | null): void {
    this.#serving = null;
    this.#done(leftover !== null);
  }

  /** unread: nobody wants what still comes of the request. */
  #done(unread: boolean): void {
    const stream = this.#stream;
    if (stream.destroyed) return;
    stream.end();
    if (unread) stream.close(constants.NGHTTP2_NO_ERROR);
  }

  abort(): void {
    this.#serving = null;
    this.#stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  }

  sweep(nowMs: number): void {
    this.#serving?.sweep(nowMs);
  }

  destroy(): void {
    this.#stream.destroy();
  }
}

function headersOf(head: string): OutgoingHttpHeaders {
  const [first = "", ...lines] = head.split("\r\n");
  const headers: Record<string, string | string[]> = { ":status": first.slice(9, 12) };
  for (const line of lines) {
    const colon = line.indexOf(":");
    const name = line.slice(0, colon).toLowerCase();
    if (colon === -1 || CONNECTIONS_OWN.test(name)) continue;
    const value = line.slice(colon + 1).trim();
    const before = headers[name];
    headers[name] = before === undefined ? value : [before, value].flat();
  }
  return headers;
}
