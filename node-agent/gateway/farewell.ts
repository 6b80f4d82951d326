// The end of a WebSocket whose instance is leaving: at a moment of its own it is closed with 1012 (service restart, RFC 6455),
// by a frame of the gateway's between two of the app's. What the app sends after it goes nowhere.
import type { LeaveWindow } from "../endpoint-file.ts";

/** Final frame, opcode 8, two bytes: 1012. Servers do not mask. */
const CLOSE_FRAME = Buffer.from([0x88, 2, 1012 >> 8, 1012 & 0xff]);
const OPCODE_CLOSE = 8;

export class Farewell {
  /** Where in the window: all at once would come back all at once. */
  readonly #fraction = Math.random();
  readonly #frames = new FrameEnds();
  #said: "nothing" | "as soon as a frame ends" | "leave" = "nothing";
  /** When it was said, by the clock that `look` was given. */
  saidAtMs: number | null = null;

  /** What of the app's bytes is handed on. */
  pass(bytes: Buffer): Buffer | null {
    if (this.#said === "leave") return null;
    const end = this.#frames.read(bytes);
    if (this.#said === "nothing" || end === -1 || this.#frames.closed) return bytes;
    this.#said = "leave";
    return Buffer.concat([bytes.subarray(0, end), CLOSE_FRAME]);
  }

  /** What to say to the visitor now, if anything. window: when visitors of this instance are to leave, if they are. */
  look(window: LeaveWindow | undefined, controlNowMs: number, nowMs: number): Buffer | null {
    if (this.#said !== "nothing" || window === undefined || this.#frames.closed) return null;
    if (controlNowMs < window.fromMs + this.#fraction * (window.untilMs - window.fromMs)) return null;
    this.saidAtMs = nowMs;
    this.#said = this.#frames.between ? "leave" : "as soon as a frame ends";
    return this.#said === "leave" ? CLOSE_FRAME : null;
  }
}

/** Follows the frames of one direction without looking into them: where they end, and whether the last one said close. */
class FrameEnds {
  closed = false;
  /** Of a frame's head: two bytes, then the length's, then the mask's. */
  readonly #head = new Uint8Array(14);
  #headBytes = 0;
  #left = 0;

  get between(): boolean {
    return this.#headBytes === 0 && this.#left === 0;
  }

  /** Reads on; the first place in bytes, from 0 to its length, where no frame is under way. -1: there is none. */
  read(bytes: Buffer): number {
    let first = this.between ? 0 : -1;
    for (let at = 0; at < bytes.length;) {
      if (this.#left > 0) {
        const taken = Math.min(this.#left, bytes.length - at);
        this.#left -= taken;
        at += taken;
      } else this.#readHead(bytes[at++] as number);
      if (first === -1 && this.between) first = at;
    }
    return first;
  }

  #readHead(byte: number): void {
    this.#head[this.#headBytes++] = byte;
    if (this.#headBytes < 2) return;
    const [opcode, short] = [(this.#head[0] as number) & 15, (this.#head[1] as number) & 127];
    const lengthBytes = short === 127 ? 8 : short === 126 ? 2 : 0;
    if (this.#headBytes < 2 + lengthBytes + ((this.#head[1] as number) >= 128 ? 4 : 0)) return;
    let length = lengthBytes === 0 ? short : 0;
    for (let at = 2; at < 2 + lengthBytes; at += 1) length = length * 256 + (this.#head[at] as number);
    this.#headBytes = 0;
    this.#left = length;
    if (opcode === OPCODE_CLOSE) this.closed = true;
  }
}
