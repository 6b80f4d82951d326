// `/.berth/logs?tail=N&follow=1`: an instance's log lines from its files on disk, as ndjson, and on as they are written.
import { open, readFile, stat, type FileHandle } from "node:fs/promises";
import type { EndpointInstance } from "../endpoint-file.ts";
import type { Edge, Gateway, Serving } from "./serving.ts";

const READ_BYTES = 64 * 1024;
const NEWLINE = 10;

export class LogReader implements Serving {
  readonly #edge: Edge;
  readonly #gateway: Gateway;
  readonly #instance: EndpointInstance;
  readonly #tailLines: number;
  readonly #follow: boolean;
  #over = false;
  #wake: (() => void) | null = null;

  constructor(edge: Edge, gateway: Gateway, instance: EndpointInstance, query: URLSearchParams) {
    this.#edge = edge;
    this.#gateway = gateway;
    this.#instance = instance;
    const asked = Number(query.get("tail") ?? "100");
    this.#tailLines = Number.isInteger(asked) && asked >= 0 ? Math.min(asked, gateway.limits.logTailLinesMax) : 100;
    this.#follow = query.get("follow") === "1";
  }

  begin(): void {
    const close = this.#gateway.closing ? "connection: close\r\n" : "";
    this.#edge.write(
      `HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\ncache-control: no-store\r\ntransfer-encoding: chunked\r\n${close}\r\n`,
    );
    this.#run().then(
      () => this.#finish(),
      () => {
        if (!this.#over) this.#edge.abort();
        this.#over = true;
      },
    );
  }

  async #run(): Promise<void> {
    let at = await this.#sendTail();
    while (this.#follow && !this.#over && this.#present()) {
      await this.#pause(this.#gateway.limits.logFollowMs);
      at = await this.#sendFrom(at);
    }
  }

  /** The newest lines of both files; answers where in the current one following goes on. */
  async #sendTail(): Promise<Position> {
    const position = await positionOf(this.#instance.logPath);
    const current = await textUpTo(this.#instance.logPath, position.bytes);
    let lines = splitLines(current);
    if (lines.length < this.#tailLines)
      lines = [...splitLines(await textUpTo(`${this.#instance.logPath}.1`, Infinity)), ...lines];
    const tail = this.#tailLines === 0 ? [] : lines.slice(-this.#tailLines);
    if (tail.length > 0) await this.#send(Buffer.from(`${tail.join("\n")}\n`));
    const complete = Buffer.byteLength(current.slice(0, current.lastIndexOf("\n") + 1));
    return { inode: position.inode, bytes: complete };
  }

  async #sendFrom(at: Position): Promise<Position> {
    const now = await positionOf(this.#instance.logPath);
    if (now.inode === at.inode && now.bytes >= at.bytes)
      return { ...at, bytes: await this.#sendFile(this.#instance.logPath, at.bytes) };
    // Rotated: the rest of the old file, then the new one from its beginning.
    const old = await positionOf(`${this.#instance.logPath}.1`);
    if (old.inode === at.inode) await this.#sendFile(`${this.#instance.logPath}.1`, at.bytes);
    return { inode: now.inode, bytes: await this.#sendFile(this.#instance.logPath, 0) };
  }

  /** Sends whole lines from an offset on; answers the offset after them. */
  async #sendFile(path: string, from: number): Promise<number> {
    const file = await openOrNull(path);
    if (file === null) return from;
    try {
      let at = from;
      let rest: Buffer = Buffer.alloc(0);
      for (;;) {
        const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(READ_BYTES), 0, READ_BYTES, at + rest.length);
        if (bytesRead === 0 || this.#over) return at;
        const bytes = Buffer.concat([rest, buffer.subarray(0, bytesRead)]);
        const end = bytes.lastIndexOf(NEWLINE) + 1;
        if (end > 0) await this.#send(bytes.subarray(0, end));
        at += end;
        rest = bytes.subarray(end);
      }
    } finally {
      await file.close();
    }
  }

  async #send(bytes: Buffer): Promise<void> {
    if (this.#over) return;
    this.#edge.write(`${bytes.length.toString(16)}\r\n`);
    this.#edge.write(bytes);
    if (!this.#edge.write("\r\n")) await new Promise<void>((resolve) => (this.#wake = resolve));
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
      setTimeout(resolve, ms);
    });
  }

  #present(): boolean {
    for (const { instance } of this.#gateway.endpoints.instances())
      if (instance === this.#instance.instance) return !this.#gateway.closing;
    return false;
  }

  #finish(): void {
    if (this.#over) return;
    this.#over = true;
    this.#edge.write("0\r\n\r\n");
    this.#edge.served(true, null);
  }

  onEdgeData(_bytes: Buffer, from: number): number {
    return from;
  }

  onEdgeDrain(): void {
    this.#wake?.();
  }

  onEdgeGone(): void {
    this.#over = true;
    this.#wake?.();
  }

  sweep(): void {}
}

interface Position {
  readonly inode: number;
  readonly bytes: number;
}

async function positionOf(path: string): Promise<Position> {
  try {
    const { ino, size } = await stat(path);
    return { inode: ino, bytes: size };
  } catch {
    return { inode: 0, bytes: 0 };
  }
}

/** Log files are bounded by the agent (a few MB), so a tail may read them whole. */
async function textUpTo(path: string, bytes: number): Promise<string> {
  try {
    const content = await readFile(path);
    return content.subarray(0, Math.min(bytes, content.length)).toString("utf8");
  } catch {
    return "";
  }
}

const splitLines = (text: string): string[] =>
  text
    .slice(0, text.lastIndexOf("\n") + 1)
    .split("\n")
    .slice(0, -1);

async function openOrNull(path: string): Promise<FileHandle | null> {
  try {
    return await open(path, "r");
  } catch {
    return null;
  }
}
