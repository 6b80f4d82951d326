// A process' raw output: it writes to a file by itself, so that it needs no agent; the agent reads along and keeps the file short.
import { open, stat, truncate } from "node:fs/promises";
import { join } from "node:path";
import type { LogFollower, OnLine } from "../runtime.ts";
import { LineSplitter } from "../../logs/line-splitter.ts";
import { pause } from "../../link/pause.ts";

export const OUTPUT_FILES = { stdout: "stdout.log", stderr: "stderr.log" } as const;

/** Looked at this often; no reader waits for a line more urgently. */
const LOOK_MS = 100;
const CHUNK_BYTES = 256 * 1024;

/**
 * Follows both files. Where reading had got to is known by the file's own length: what was read is cut off once it is
 * longer than fileBytesMax (the process appends, so its next line lands at the new end).
 */
export function followOutput(
  folder: string,
  fromStart: boolean,
  limits: { fileBytesMax: number; lineBytesMax: number },
  onLine: OnLine,
): LogFollower {
  const abort = new AbortController();
  const streams = (["stdout", "stderr"] as const).map((stream) => {
    const splitter = new LineSplitter(limits.lineBytesMax, (line) => onLine({ atMs: Date.now(), stream, line }));
    return followFile(join(folder, OUTPUT_FILES[stream]), fromStart, limits.fileBytesMax, splitter, abort.signal);
  });
  const stop = async () => {
    abort.abort();
    await Promise.all(streams);
  };
  // Files are read to their end in either case.
  return { finish: stop, stop };
}

async function followFile(
  path: string,
  fromStart: boolean,
  fileBytesMax: number,
  splitter: LineSplitter,
  signal: AbortSignal,
): Promise<void> {
  let offset = fromStart ? 0 : await sizeOf(path);
  const buffer = Buffer.alloc(CHUNK_BYTES);
  for (let last = false; ;) {
    last = signal.aborted;
    offset = await readOn(path, Math.min(offset, await sizeOf(path)), buffer, splitter).catch(() => offset);
    if (offset > fileBytesMax) {
      await truncate(path, 0).catch(() => undefined);
      offset = 0;
    }
    if (last) break;
    await pause(LOOK_MS, signal);
  }
  splitter.end();
}

/** Reads to the end of the file; the new offset. */
async function readOn(path: string, from: number, buffer: Buffer, splitter: LineSplitter): Promise<number> {
  if (from >= (await sizeOf(path))) return from;
  const file = await open(path, "r");
  try {
    for (let offset = from; ;) {
      const { bytesRead } = await file.read(buffer, 0, buffer.length, offset);
      if (bytesRead === 0) return offset;
      splitter.write(buffer.subarray(0, bytesRead));
      offset += bytesRead;
    }
  } finally {
    await file.close();
  }
}

/** The last lines of both files, stderr last: that is where programs say why they end. */
export async function tailOutput(folder: string, lines: number, lineBytesMax: number): Promise<string[]> {
  const found: string[] = [];
  for (const name of Object.values(OUTPUT_FILES)) {
    const splitter = new LineSplitter(lineBytesMax, (line) => found.push(line));
    const path = join(folder, name);
    const from = Math.max(0, (await sizeOf(path)) - lines * 1_024);
    await readOn(path, from, Buffer.alloc(CHUNK_BYTES), splitter).catch(() => undefined);
    splitter.end();
  }
  return found.slice(-lines);
}

async function sizeOf(path: string): Promise<number> {
  return (await stat(path).catch(() => null))?.size ?? 0;
}
