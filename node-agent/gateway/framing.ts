// Where a message's body ends: by length, by chunks, or with the connection. Pure and incremental; it sees bytes, moves none.

/**
 * read() looks at bytes from `from` on and sets: end, up to where they belong to this body; forwardEnd, up to where they
 * are to be handed on (trailers are not); tail, what to write after them; done; bad, when the framing is broken.
 */
export class Framing {
  end = 0;
  forwardEnd = 0;
  tail = "";
  done: boolean;
  bad = false;
  readonly #kind: "none" | "length" | "chunked" | "close";
  /** Bytes left of the body, or of the current chunk with its CRLF. */
  #left: number;
  #state: "size" | "extension" | "size_lf" | "data" = "size";
  #trailing = false;
  #sawCr = false;
  #lineEmpty = true;
  #digits = 0;
  #lineBytes = 0;

  constructor(kind: "none" | "length" | "chunked" | "close", length = 0) {
    this.#kind = kind;
    this.#left = length;
    this.done = kind === "none" || (kind === "length" && length === 0);
  }

  get endsWithConnection(): boolean {
    return this.#kind === "close";
  }

  read(bytes: Uint8Array, from: number): void {
    this.tail = "";
    if (this.done) {
      this.end = this.forwardEnd = from;
    } else if (this.#kind === "close") {
      this.end = this.forwardEnd = bytes.length;
    } else if (this.#kind === "length") {
      this.end = this.forwardEnd = Math.min(bytes.length, from + this.#left);
      this.#left -= this.end - from;
      this.done = this.#left === 0;
    } else this.#readChunks(bytes, from);
  }

  #readChunks(bytes: Uint8Array, from: number): void {
    let at = from;
    this.forwardEnd = from;
    while (at < bytes.length && !this.done && !this.bad) {
      if (this.#trailing) {
        this.#trailerByte(bytes[at++] as number);
      } else if (this.#state === "data") {
        const taken = Math.min(bytes.length - at, this.#left);
        this.#checkChunkEnd(bytes, at, taken);
        at += taken;
        this.#left -= taken;
        if (this.#left === 0) this.#state = "size";
        this.forwardEnd = at;
      } else {
        this.#sizeByte(bytes[at++] as number);
        this.forwardEnd = at;
      }
    }
    this.end = at;
    if (!this.done) return;
    // The usual end, no trailers and in one piece, is handed on as it came.
    if (this.forwardEnd === at - 2) this.forwardEnd = at;
    else this.tail = "\r\n";
  }

  /** The last two of a chunk's bytes must be CR LF. */
  #checkChunkEnd(bytes: Uint8Array, at: number, taken: number): void {
    const crAt = at + this.#left - 2;
    if (crAt >= at && crAt < at + taken && bytes[crAt] !== 13) this.bad = true;
    if (crAt + 1 >= at && crAt + 1 < at + taken && bytes[crAt + 1] !== 10) this.bad = true;
  }

  #sizeByte(byte: number): void {
    if (this.#state === "size_lf") {
      if (byte !== 10) this.bad = true;
      if (this.#left === 0) this.#trailing = true;
      this.#state = "data";
      this.#left += 2;
      this.#digits = 0;
      this.#lineBytes = 0;
    } else if (this.#state === "extension") {
      if (byte === 13) this.#state = "size_lf";
      else if ((byte < 32 && byte !== 9) || ++this.#lineBytes > LINE_BYTES_MAX) this.bad = true;
    } else {
      const digit = hexDigit(byte);
      if (digit !== -1) {
        this.#left = this.#left * 16 + digit;
        if (++this.#digits > SIZE_DIGITS_MAX) this.bad = true;
      } else if (this.#digits === 0) this.bad = true;
      else if (byte === 13) this.#state = "size_lf";
      else if (byte === 59) this.#state = "extension";
      else this.bad = true;
    }
  }

  /** After the last chunk: field lines (dropped), then an empty line. */
  #trailerByte(byte: number): void {
    if (++this.#lineBytes > LINE_BYTES_MAX) this.bad = true;
    if (this.#sawCr) {
      if (byte !== 10) this.bad = true;
      else if (this.#lineEmpty) this.done = true;
      this.#sawCr = false;
      this.#lineEmpty = true;
    } else if (byte === 13) this.#sawCr = true;
    else if (byte === 10) this.bad = true;
    else this.#lineEmpty = false;
  }
}

/** Extensions and trailers have no use here; more than this is an attack. */
const LINE_BYTES_MAX = 8_192;
/** 2^48 - 1: no body is longer, and a number holds it exactly. */
const SIZE_DIGITS_MAX = 12;

function hexDigit(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48;
  const lower = byte | 32;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
}
