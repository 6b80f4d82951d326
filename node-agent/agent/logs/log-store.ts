// Log lines of instances on this node's disk: one bounded, rotated ndjson file each, which the gateway serves.
import { appendFile, mkdir, open, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { LogLine } from "../../../contracts/ticket.ts";
import type { AgentLimits } from "../../../core/converge/limits.ts";
import { LOG_FILE, LOGS_FOLDER } from "../../endpoint-file.ts";

/** Lines are gathered for this long, so that a chatty program costs few writes. */
const FLUSH_MS = 20;
/** What may wait in memory per instance; beyond it lines are dropped and counted. */
const WAITING_BYTES_MAX = 1024 * 1024;
const TAIL_BYTES = 256 * 1024;

export class LogStore {
  readonly #dir: string;
  readonly #limits: AgentLimits;
  readonly #files = new Map<string, LogFile>();

  constructor(dir: string, limits: AgentLimits) {
    this.#dir = join(dir, LOGS_FOLDER);
    this.#limits = limits;
  }

  pathOf(instance: string): string {
    return join(this.#dir, instance, LOG_FILE);
  }

  append(instance: string, line: LogLine): void {
    this.#file(instance).append(line);
  }

  /** What the platform has to say about an instance, among its own lines. */
  note(instance: string, atMs: number, line: string): void {
    this.append(instance, { atMs, stream: "berth", line });
  }

  /** The last line that came from the instance itself, and how many there are of that millisecond; null without any. */
  async lastOf(instance: string): Promise<{ atMs: number; linesAtThatMs: number } | null> {
    const path = this.pathOf(instance);
    const lines = [...(await readTail(`${path}.1`)), ...(await readTail(path))].filter(
      ({ stream }) => stream !== "berth",
    );
    const atMs = lines.reduce((newest, line) => Math.max(newest, line.atMs), -1);
    return atMs < 0 ? null : { atMs, linesAtThatMs: lines.filter((line) => line.atMs === atMs).length };
  }

  async remove(instance: string): Promise<void> {
    await this.#files.get(instance)?.flush();
    this.#files.delete(instance);
    await rm(join(this.#dir, instance), { recursive: true, force: true });
  }

  async flush(): Promise<void> {
    await Promise.all([...this.#files.values()].map((file) => file.flush()));
  }

  #file(instance: string): LogFile {
    let file = this.#files.get(instance);
    if (file === undefined) {
      file = new LogFile(join(this.#dir, instance), this.#limits);
      this.#files.set(instance, file);
    }
    return file;
  }
}

class LogFile {
  readonly #folder: string;
  readonly #path: string;
  readonly #limits: AgentLimits;
  #waiting: string[] = [];
  #waitingBytes = 0;
  #dropped = 0;
  #bytes: number | null = null;
  #timer: NodeJS.Timeout | null = null;
  #writing: Promise<void> = Promise.resolve();

  constructor(folder: string, limits: AgentLimits) {
    this.#folder = folder;
    this.#path = join(folder, LOG_FILE);
    this.#limits = limits;
  }

  append({ atMs, stream, line }: LogLine): void {
    const text = `${JSON.stringify({ atMs, stream, line: line.slice(0, this.#limits.logLineBytesMax) })}\n`;
    if (this.#waitingBytes + text.length > WAITING_BYTES_MAX) {
      this.#dropped += 1;
      return;
    }
    this.#waiting.push(text);
    this.#waitingBytes += text.length;
    this.#timer ??= setTimeout(() => void this.flush(), FLUSH_MS);
  }

  flush(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#writing = this.#writing.then(() => this.#write()).catch(() => undefined);
    return this.#writing;
  }

  async #write(): Promise<void> {
    if (this.#dropped > 0) {
      const line = `${this.#dropped} lines were dropped: they came faster than the disk takes them`;
      this.#waiting.push(`${JSON.stringify({ atMs: Date.now(), stream: "berth", line })}\n`);
      this.#dropped = 0;
    }
    if (this.#waiting.length === 0) return;
    if (this.#bytes === null) {
      await mkdir(this.#folder, { recursive: true, mode: 0o700 });
      this.#bytes = (await stat(this.#path).catch(() => null))?.size ?? 0;
    }
    const lines = this.#waiting;
    this.#waiting = [];
    this.#waitingBytes = 0;
    for (let at = 0; at < lines.length;) at = await this.#writeSome(lines, at);
  }

  /** As many lines as fit in the current file, and at least one; the index of the next. */
  async #writeSome(lines: readonly string[], from: number): Promise<number> {
    const room = this.#limits.logFileBytesMax - (this.#bytes ?? 0);
    let bytes = 0;
    let to = from;
    for (; to < lines.length; to += 1) {
      const size = Buffer.byteLength(lines[to] as string);
      if (bytes + size > room) break;
      bytes += size;
    }
    if (to === from) {
      await rename(this.#path, `${this.#path}.1`).catch(() => undefined);
      this.#bytes = 0;
      if (Buffer.byteLength(lines[from] as string) > this.#limits.logFileBytesMax) return from + 1;
      return from;
    }
    await appendFile(this.#path, lines.slice(from, to).join(""), { mode: 0o600 });
    this.#bytes = (this.#bytes ?? 0) + bytes;
    return to;
  }
}

/** Whole lines from the end of a file; none when it is not there. */
async function readTail(path: string): Promise<LogLine[]> {
  const file = await open(path, "r").catch(() => null);
  if (file === null) return [];
  try {
    const { size } = await file.stat();
    const from = Math.max(0, size - TAIL_BYTES);
    const buffer = Buffer.alloc(size - from);
    await file.read(buffer, 0, buffer.length, from);
    return buffer
      .toString("utf8")
      .split("\n")
      .flatMap((text) => {
        try {
          return [LogLine.parse(JSON.parse(text))];
        } catch {
          return []; // The first line may be cut, and the last one may never have been finished.
        }
      });
  } finally {
    await file.close();
  }
}
