// llhttp, the parser inside Node, as the WebAssembly build that undici ships: one message per parser, strict in everything.
// It is fed bytes and notes offsets; what the fields mean is decided in head.ts, where the body goes in framing.ts.
import wasm from "undici/lib/llhttp/llhttp-wasm.js";

/** What the build exports and is used here; numbers are addresses in its memory, or codes. */
interface Llhttp {
  readonly memory: WebAssembly.Memory;
  _initialize(): void;
  malloc(bytes: number): number;
  llhttp_alloc(type: number): number;
  llhttp_free(parser: number): void;
  llhttp_reset(parser: number): void;
  llhttp_resume(parser: number): void;
  llhttp_execute(parser: number, at: number, bytes: number): number;
  llhttp_get_error_pos(parser: number): number;
  llhttp_get_error_reason(parser: number): number;
}

const TYPE = { request: 1, answer: 2 } as const;
const OK = 0;
const INVALID_VERSION = 9;
const PAUSED = 21;
const PAUSED_H2_UPGRADE = 23;
const REFUSED = 24;
/** Bytes are copied into the build's memory this many at a time: enough for nearly every head. */
const PIECE_BYTES = 16 * 1024;
/** HAProxy takes 101, Node 2,000; each costs two calls and two offsets. */
const FIELDS_MAX = 512;
/** Parsers kept for reuse; the rest is left to the garbage collector. */
const SPARE_MAX = 256;

export type MessageKind = keyof typeof TYPE;
export type HeadState = "incomplete" | "complete" | "too_large" | "malformed";

/** The parser whose bytes are being looked at, and what turns an address into an offset in its text (or in its bytes). */
let running: MessageParser;
let shift = 0;

const { exports } = new WebAssembly.Instance(new WebAssembly.Module(wasm), {
  env: {
    wasm_on_message_begin: () => 0,
    wasm_on_url: (_parser, at = 0, bytes = 0) => running.noteStart(at + shift, bytes),
    wasm_on_status: (_parser: number, at: number, bytes: number) => running.noteStart(at + shift, bytes),
    wasm_on_header_field: (_parser: number, at: number, bytes: number) => running.noteField(at + shift, bytes, 0),
    wasm_on_header_value: (_parser: number, at: number, bytes: number) => running.noteField(at + shift, bytes, 2),
    wasm_on_headers_complete: (_parser, status = 0) => running.noteStatus(status),
    wasm_on_body: (_parser: number, at: number, bytes: number) => running.noteBody(at + shift, bytes),
    wasm_on_message_complete: () => PAUSED,
  },
});
const llhttp = exports as unknown as Llhttp;
llhttp._initialize();
const piece = llhttp.malloc(PIECE_BYTES);
let memory = Buffer.from(llhttp.memory.buffer);

/** A parser that was dropped in the middle of a message, with its connection, gives its memory back when it is collected. */
const dropped = new FinalizationRegistry((address: number) => llhttp.llhttp_free(address));
const spare: { readonly [Kind in MessageKind]: MessageParser[] } = { request: [], answer: [] };

/** offset: of bytes[at] in what the noted offsets count in. Answers llhttp's code. */
function execute(
  parser: MessageParser,
  address: number,
  bytes: Buffer,
  at: number,
  length: number,
  offset: number,
): number {
  if (memory.buffer !== llhttp.memory.buffer) memory = Buffer.from(llhttp.memory.buffer);
  bytes.copy(memory, piece, at, at + length);
  running = parser;
  shift = offset - piece;
  return llhttp.llhttp_execute(address, piece, length);
}

export class MessageParser {
  readonly #kind: MessageKind;
  readonly #address: number;
  /** The head read so far, as latin1. */
  text = "";
  /** In text: the target of a request, the reason of an answer. */
  startFrom = 0;
  startTo = 0;
  /** Of a complete answer's head. */
  status = 0;
  /** In text, four a field: name from and to, value from and to. Only the first `noted` are of this message. */
  readonly fields: number[] = [];
  noted = 0;
  /** After a complete head, or a body's last byte: where in the bytes it ended. */
  end = 0;
  /** Of a body: runs of data in the bytes just read, two a run: from and to. */
  runs: number[] = [];
  #code = OK;
  #inBody = false;
  #tooMany = false;

  private constructor(kind: MessageKind) {
    this.#kind = kind;
    this.#address = llhttp.llhttp_alloc(TYPE[kind]);
    dropped.register(this, this.#address);
  }

  static take(kind: MessageKind): MessageParser {
    return spare[kind].pop() ?? new MessageParser(kind);
  }

  /** Ready for the next message. Its user must forget it: it will parse somebody else's. */
  release(): void {
    this.reset();
    if (spare[this.#kind].length < SPARE_MAX) spare[this.#kind].push(this);
  }

  reset(): void {
    llhttp.llhttp_reset(this.#address);
    this.text = "";
    this.startFrom = this.startTo = 0;
    this.noted = 0;
    this.#inBody = this.#tooMany = false;
  }

  /** Reads on in a head. Complete: text ends with its empty line, and the message goes on at `end`. */
  readHead(bytes: Buffer, from: number, bytesMax: number): HeadState {
    this.end = from;
    for (let at = from; at < bytes.length;) {
      const length = Math.min(bytes.length - at, PIECE_BYTES);
      const code = (this.#code = execute(this, this.#address, bytes, at, length, this.text.length));
      if (code !== OK && code !== PAUSED) return this.#tooMany ? "too_large" : "malformed";
      this.end = code === OK ? at + length : at + llhttp.llhttp_get_error_pos(this.#address) - piece;
      this.text += bytes.toString("latin1", at, this.end);
      if (this.text.length > bytesMax) return "too_large";
      if (code === PAUSED) return "complete";
      at = this.end;
    }
    return "incomplete";
  }

  /** Reads on in a body in chunks, after a complete head that announced one. Fills runs; anything but data is left out. */
  readChunks(bytes: Buffer, from: number): "incomplete" | "complete" | "malformed" {
    if (!this.#inBody) llhttp.llhttp_resume(this.#address);
    this.#inBody = true;
    this.end = from;
    this.runs.length = 0;
    for (let at = from; at < bytes.length;) {
      const length = Math.min(bytes.length - at, PIECE_BYTES);
      const code = (this.#code = execute(this, this.#address, bytes, at, length, at));
      if (code !== OK && code !== PAUSED) return "malformed";
      this.end = code === OK ? at + length : at + llhttp.llhttp_get_error_pos(this.#address) - piece;
      if (code === PAUSED) return "complete";
      at = this.end;
    }
    return "incomplete";
  }

  /** After "malformed": what is wrong with it, in llhttp's words. */
  get reason(): string {
    if (this.#code === PAUSED_H2_UPGRADE) return "HTTP/2 is not spoken here";
    const from = llhttp.llhttp_get_error_reason(this.#address);
    return memory.toString("latin1", from, memory.indexOf(0, from));
  }

  get wrongVersion(): boolean {
    return this.#code === INVALID_VERSION || this.#code === PAUSED_H2_UPGRADE;
  }

  noteStatus(status: number): number {
    this.status = status;
    return PAUSED;
  }

  noteStart(from: number, bytes: number): number {
    if (this.startTo === 0) this.startFrom = from;
    this.startTo = from + bytes;
    return OK;
  }

  /** Names and values alternate; one that was cut between two reads is told in parts. kind: 0 of a name, 2 of a value. */
  noteField(from: number, bytes: number, kind: 0 | 2): number {
    // Trailers are read to their end and thrown away.
    if (this.#inBody) return OK;
    const { fields, noted } = this;
    if ((noted & 2) === kind) {
      if (noted === 4 * FIELDS_MAX) {
        this.#tooMany = true;
        return REFUSED;
      }
      fields[noted] = from;
      fields[noted + 1] = from + bytes;
      this.noted = noted + 2;
    } else if (fields[noted - 1] === from) fields[noted - 1] = from + bytes;
    else return REFUSED;
    return OK;
  }

  noteBody(from: number, bytes: number): number {
    const { runs } = this;
    if (runs.length > 0 && runs[runs.length - 1] === from) runs[runs.length - 1] = from + bytes;
    else runs.push(from, from + bytes);
    return OK;
  }
}
