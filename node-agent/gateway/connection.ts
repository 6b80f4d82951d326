// One connection, from the edge or from a visitor: cuts it into requests, asks what becomes of each, and hands it to what serves it.
import type { GatewayError } from "../../contracts/ticket.ts";
import { assertNever } from "../../core/step.ts";
import type { Carrier, Connection } from "./arriving.ts";
import { writeInBatch } from "./batch.ts";
import { Discard, errorAnswer } from "./answers.ts";
import { writeBody } from "./body-out.ts";
import type { Entry } from "./entry.ts";
import { Exchange } from "./exchange.ts";
import type { Framing } from "./framing.ts";
import { readRequestHead, type RequestHead } from "./head.ts";
import { requestFraming } from "./heads-out.ts";
import { MessageParser } from "./llhttp.ts";
import type { Edge, Reception, Serving, Station } from "./serving.ts";

const NOTHING = Buffer.alloc(0);

/** A request whose head has been read. Its body, or the next request, goes on in bytes from `from` on. */
interface Asked {
  readonly head: RequestHead;
  readonly body: Framing;
  readonly bytes: Buffer;
  readonly from: number;
}

export class EdgeConnection implements Edge, Connection {
  readonly #socket: Carrier;
  /** What carries the socket: itself, or what TLS runs over. */
  readonly #raw: Carrier;
  readonly #listeners: readonly (readonly [string, (bytes: Buffer) => void])[];
  readonly #station: Station;
  readonly #reception: Reception;
  #serving: Serving | null = null;
  /** What becomes of a request is being found out. */
  #waiting = false;
  /** The last answer has been given: nothing that still comes is looked at. */
  #over = false;
  /** Another protocol is spoken on it, and not by this. */
  isGivenAway = false;
  /** Bytes, not text, were written, and have perhaps not all been sent. */
  #sendsBytes = false;
  /** While a head is incomplete. */
  #parser: MessageParser | null = null;
  /** Bytes that belong to no request yet. */
  #pending: Buffer = NOTHING;
  #idleSinceMs: number;
  /** When the first bytes of a head came whose end has not come yet. */
  #headSinceMs: number | null = null;

  constructor(socket: Carrier, station: Station, reception: Reception, raw: Carrier = socket) {
    this.#socket = socket;
    this.#raw = raw;
    this.#station = station;
    this.#reception = reception;
    this.#idleSinceMs = station.nowMs;
    const gone = (): void => this.#onGone();
    this.#listeners = [
      ["data", (bytes) => this.#onData(bytes)],
      ["drain", () => this.#serving?.onEdgeDrain()],
      ["end", () => (this.#serving?.onEdgeEnd === undefined ? gone() : this.#serving.onEdgeEnd())],
      ["error", gone],
      ["close", gone],
    ];
    for (const [event, listener] of this.#listeners) socket.on(event, listener);
  }

  #onData(bytes: Buffer): void {
    if (this.#over) return;
    if (this.#serving !== null) {
      const end = this.#serving.onEdgeData(bytes, 0);
      if (end === bytes.length) return;
      if (this.#over) return;
      bytes = bytes.subarray(end);
    }
    this.#pending = this.#pending.length === 0 ? bytes : Buffer.concat([this.#pending, bytes]);
    if (this.#serving !== null || this.#waiting) {
      // The next request, before this one's answer: it waits, and no more than one head's worth of it.
      if (this.#pending.length > this.#station.limits.headBytesMax) this.#socket.pause();
      return;
    }
    this.#next();
  }

  /** Serves what is pending, request after request, until one is under way or a head is incomplete. */
  #next(): void {
    while (this.#pending.length > 0 && this.#serving === null && !this.#waiting && !this.#over) {
      const bytes = this.#pending;
      this.#pending = NOTHING;
      const parser = this.#parser ?? MessageParser.take("request");
      const head = readRequestHead(parser, bytes, 0, this.#station.limits.headBytesMax);
      if (head.kind === "incomplete") {
        this.#parser = parser;
        this.#headSinceMs ??= this.#station.nowMs;
        return;
      }
      this.#parser = null;
      this.#headSinceMs = null;
      if (head.kind === "malformed") {
        parser.release();
        return this.#malformed(head.status, head.message);
      }
      const from = parser.end;
      const asked = { head, body: requestFraming(head, parser), bytes, from };
      this.#enter(this.#reception.enter(head, asked.body.done), asked);
    }
  }

  #enter(entry: Entry, asked: Asked): void {
    switch (entry.kind) {
      case "later":
        return this.#wait(entry.entry, asked);
      case "refused":
        return this.#refuse(asked, entry);
      case "told":
        return this.#answer(asked, entry.text);
      case "way": {
        const exchange = new Exchange(this, this.#station, { ...asked, counts: entry.counts }, entry.way);
        this.#serving = exchange;
        return this.#keep(asked.bytes, exchange.start(asked.bytes, asked.from));
      }
      case "serving": {
        const serving = (this.#serving = entry.open(this));
        this.#keep(asked.bytes, asked.from);
        return serving.begin?.();
      }
      case "given away":
        return this.#giveAway(asked, entry.to);
      default:
        assertNever(entry);
    }
  }

  /** Nothing is served until it is known what becomes of this request. */
  #wait(coming: Promise<Entry>, asked: Asked): void {
    this.#waiting = true;
    this.#socket.pause();
    void coming.then((entry) => {
      this.#waiting = false;
      if (this.#over || this.#socket.destroyed) return;
      const later = this.#pending;
      this.#pending = NOTHING;
      this.#enter(entry, later.length === 0 ? asked : { ...asked, bytes: Buffer.concat([asked.bytes, later]) });
      if (this.#waiting || this.isGivenAway) return;
      this.#socket.resume();
      this.#next();
    });
  }

  /** The connection is no visitor's any more. */
  #giveAway(asked: Asked, to: (socket: Carrier) => void): void {
    if (!asked.body.done || asked.from < asked.bytes.length || this.#station.closing) {
      const message = "not now, or not so: nothing may come before the answer";
      return this.#refuse(asked, { code: "malformed_request", message, version: 0 });
    }
    this.#over = true;
    this.isGivenAway = true;
    for (const [event, listener] of this.#listeners) this.#socket.off(event, listener);
    to(this.#socket);
  }

  #keep(bytes: Buffer, from: number): void {
    if (from < bytes.length && !this.#over) this.#pending = from === 0 ? bytes : bytes.subarray(from);
  }

  #refuse(asked: Asked, { code, message, version }: { code: GatewayError; message: string; version: number }): void {
    this.#answer(asked, errorAnswer(code, message, version, asked.head.method === "HEAD"));
  }

  /** An answer of the gateway's own, after which the request's body is thrown away. */
  #answer({ head, body, bytes, from }: Asked, answer: string): void {
    this.write(answer);
    if (body.done) {
      if (head.close || this.#station.closing) this.#hangUp();
      else this.#keep(bytes, from);
      return;
    }
    const discard = new Discard(this, this.#station, body, !head.close);
    this.#serving = discard;
    this.#keep(bytes, discard.onEdgeData(bytes, from));
  }

  #malformed(status: number, message: string): void {
    this.write(this.#reception.malformed(status, message));
    this.#hangUp();
  }

  /** After what was written, no more: neither a request nor an answer. */
  #hangUp(): void {
    this.#over = true;
    this.#pending = NOTHING;
    this.#idleSinceMs = this.#station.nowMs;
    this.#socket.end();
    if (this.#socket.isPaused()) this.#socket.resume();
  }

  write(data: string | Buffer): boolean {
    if (typeof data === "string") return writeInBatch(this.#socket, data);
    this.#sendsBytes = true;
    return this.#socket.write(data);
  }

  cork(): void {
    this.#socket.cork();
  }

  uncork(): void {
    this.#socket.uncork();
  }

  pass(text: string, bytes: Buffer, framing: Framing): boolean {
    return writeBody(this, text, bytes, framing);
  }

  get holdsBytes(): boolean {
    return this.#sendsBytes && (this.#sendsBytes = this.#socket.writableLength > 0);
  }

  pauseReading(): void {
    this.#socket.pause();
  }

  resumeReading(): void {
    this.#socket.resume();
  }

  become(serving: Serving): void {
    this.#serving = serving;
  }

  served(keepAlive: boolean, leftover: Serving | null): void {
    this.#serving = leftover;
    this.#idleSinceMs = this.#station.nowMs;
    if (!keepAlive || (this.#station.closing && leftover === null)) return this.#hangUp();
    if (this.#socket.isPaused()) this.#socket.resume();
    if (leftover === null && this.#pending.length > 0) queueMicrotask(() => this.#next());
  }

  abort(): void {
    this.#over = true;
    this.#serving = null;
    this.#raw.resetAndDestroy();
    if (this.#raw !== this.#socket) this.#socket.destroy();
  }

  #onGone(): void {
    const serving = this.#serving;
    this.#serving = null;
    this.#over = true;
    serving?.onEdgeGone();
    this.#pending = NOTHING;
    if (!this.#socket.destroyed) this.#socket.destroySoon();
  }

  sweep(nowMs: number): void {
    const { limits, closing, lameDuckMs } = this.#station;
    if (this.#serving !== null) return this.#serving.sweep(nowMs);
    if (this.#waiting || this.isGivenAway) return;
    const idleMs = nowMs - this.#idleSinceMs;
    if (this.#over) {
      if (idleMs > limits.lingerMs) this.#socket.destroy();
      return;
    }
    const headLate = this.#headSinceMs !== null && nowMs - this.#headSinceMs > limits.headTimeoutMs;
    if (headLate || idleMs > limits.idleConnectionMs) this.#socket.destroy();
    else if (closing && idleMs > lameDuckMs) this.#socket.destroySoon();
  }

  destroy(): void {
    this.#socket.destroy();
  }
}
