// Bodies as they leave the gateway: data as it came, uncopied where it is large; chunks are the gateway's own.
import type { Framing } from "./framing.ts";

/** A connection to write to. Strings are latin1. */
export interface Sink {
  /** False: wait for its drain. */
  write(data: string | Buffer): boolean;
  cork(): void;
  uncork(): void;
}

/** Up to this, head and body are joined as one string: cheaper than two buffers, and one packet. */
const JOINED_BYTES_MAX = 8_192;

/** Writes `first` (a head, or nothing) and what framing has just read of bytes. False: wait for the sink's drain. */
export function writeBody(to: Sink, first: string, bytes: Buffer, framing: Framing): boolean {
  const { runs, dataBytes } = framing;
  if (first === "" && dataBytes === bytes.length && !framing.leavesInChunks) return to.write(bytes);
  let before = first;
  let after = "";
  if (framing.leavesInChunks) {
    if (dataBytes > 0) {
      before += `${dataBytes.toString(16)}\r\n`;
      after = "\r\n";
    }
    if (framing.done) after += LAST_CHUNK;
  }
  if (dataBytes <= JOINED_BYTES_MAX) {
    let text = before;
    for (let run = 0; run < runs.length; run += 2) text += bytes.toString("latin1", runs[run], runs[run + 1]);
    text += after;
    return text === "" || to.write(text);
  }
  to.cork();
  if (before !== "") to.write(before);
  let flowing = true;
  for (let run = 0; run < runs.length; run += 2) flowing = to.write(bytes.subarray(runs[run], runs[run + 1]));
  if (after !== "") flowing = to.write(after);
  to.uncork();
  return flowing;
}

export const LAST_CHUNK = "0\r\n\r\n";
