// Where a message's body ends: by length (counted), by chunks (llhttp), or with the connection. It sees bytes, moves none.
import type { MessageParser } from "./llhttp.ts";

export type BodyEnd =
  | { readonly kind: "none" }
  | { readonly kind: "length"; readonly length: number }
  /** parser: has read the head, and now belongs to the framing. */
  | { readonly kind: "chunked"; readonly parser: MessageParser }
  | { readonly kind: "close" };

/** Sizes, extensions and trailers between two pieces of data have no use here; more than this of them is an attack. */
const BETWEEN_DATA_BYTES_MAX = 8_192;

/**
 * read() looks at bytes from `from` on and sets: end, up to where they belong to this body; runs, where in them its data
 * lies (two offsets a run; chunk sizes, extensions and trailers are left out); done; bad, when the framing is broken.
 */
export class Framing {
  end = 0;
  runs: readonly number[];
  dataBytes = 0;
  done: boolean;
  bad = false;
  readonly #run = [0, 0];
  readonly #body: BodyEnd;
  #left: number;
  #over = false;
  #betweenDataBytes = 0;

  constructor(body: BodyEnd) {
    this.#body = body;
    this.#left = body.kind === "length" ? body.length : 0;
    this.done = body.kind === "none" || (body.kind === "length" && body.length === 0);
    this.runs = this.#run;
  }

  get endsWithConnection(): boolean {
    return this.#body.kind === "close";
  }

  /** Whether the body leaves in chunks of the gateway's own: the sender's are never handed on. */
  get leavesInChunks(): boolean {
    return this.#body.kind === "chunked" || this.#body.kind === "close";
  }

  /** Of a body that ends with its connection, or its stream: that it has ended. The next read is its last. */
  over(): void {
    this.#over = true;
  }

  read(bytes: Buffer, from: number): void {
    const body = this.#body;
    if (this.done) this.#took(from, from);
    else if (body.kind === "chunked") this.#readChunks(body.parser, bytes, from);
    else if (body.kind === "close") {
      this.#took(from, bytes.length);
      this.done = this.#over;
    } else {
      this.#took(from, Math.min(bytes.length, from + this.#left));
      this.#left -= this.dataBytes;
      this.done = this.#left === 0;
    }
  }

  #took(from: number, to: number): void {
    this.end = to;
    this.dataBytes = to - from;
    this.#run[0] = from;
    this.#run[1] = to;
    this.runs = this.#run;
  }

  #readChunks(parser: MessageParser, bytes: Buffer, from: number): void {
    const state = parser.readChunks(bytes, from);
    this.end = parser.end;
    this.done = state === "complete";
    this.bad = state === "malformed" || !this.#measured(parser.runs, from, parser.end);
    this.runs = parser.runs;
    if (this.done || this.bad) parser.release();
  }

  /** False when there is too much between data. */
  #measured(runs: readonly number[], from: number, to: number): boolean {
    let last = from;
    let longest = 0;
    this.dataBytes = 0;
    for (let run = 0; run < runs.length; run += 2) {
      const [start, end] = [runs[run] as number, runs[run + 1] as number];
      longest = Math.max(longest, this.#betweenDataBytes + start - last);
      this.#betweenDataBytes = 0;
      this.dataBytes += end - start;
      last = end;
    }
    this.#betweenDataBytes += to - last;
    return Math.max(longest, this.#betweenDataBytes) <= BETWEEN_DATA_BYTES_MAX;
  }
}
