// Bytes of a stream, as lines of bounded length.
import type { Readable } from "node:stream";
import { StringDecoder } from "node:string_decoder";

/** A line longer than lineBytesMax is handed over in pieces, so that no program can make us hold its output. */
export class LineSplitter {
  readonly #decoder = new StringDecoder("utf8");
  readonly #lineBytesMax: number;
  readonly #onLine: (line: string) => void;
  #rest = "";

  constructor(lineBytesMax: number, onLine: (line: string) => void) {
    this.#lineBytesMax = lineBytesMax;
    this.#onLine = onLine;
  }

  write(chunk: Buffer): void {
    const lines = (this.#rest + this.#decoder.write(chunk)).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) this.#emit(line.endsWith("\r") ? line.slice(0, -1) : line);
    while (this.#rest.length > this.#lineBytesMax) {
      this.#onLine(this.#rest.slice(0, this.#lineBytesMax));
      this.#rest = this.#rest.slice(this.#lineBytesMax);
    }
  }

  /** The last line may have no end. */
  end(): void {
    const rest = this.#rest + this.#decoder.end();
    this.#rest = "";
    if (rest !== "") this.#emit(rest);
  }

  #emit(line: string): void {
    if (line.length <= this.#lineBytesMax) return this.#onLine(line);
    for (let at = 0; at < line.length; at += this.#lineBytesMax) this.#onLine(line.slice(at, at + this.#lineBytesMax));
  }
}

export async function splitLines(
  stream: Readable,
  lineBytesMax: number,
  onLine: (line: string) => void,
): Promise<void> {
  const splitter = new LineSplitter(lineBytesMax, onLine);
  for await (const chunk of stream) splitter.write(chunk as Buffer);
  splitter.end();
}
