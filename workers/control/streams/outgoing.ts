// A streamed answer that lasts: written at the pace of its reader, kept alive by comments, ended when the reader goes.

/** A silent stream leaks: an intermediary forgets it, and nobody notices that the reader has gone. */
export const KEEP_ALIVE_MS = 15_000;

export interface Outgoing {
  readonly readable: ReadableStream<Uint8Array>;
  /** Waits while the reader is slow. False once the reader has gone. */
  write(text: string): Promise<boolean>;
  readonly gone: boolean;
  /** Runs once, when the reader goes or the stream is closed. */
  onEnd(clean: () => void): void;
  close(): Promise<void>;
}

export function outgoing(signal: AbortSignal): Outgoing {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const writer = writable.getWriter();
  const text = new TextEncoder();
  const cleaners: (() => void)[] = [];
  let gone = false;
  const end = () => {
    if (gone) return;
    gone = true;
    for (const clean of cleaners) clean();
  };
  writer.closed.then(end, end);
  signal.addEventListener("abort", () => {
    end();
    writer.abort().catch(() => undefined);
  });
  return {
    readable,
    async write(chunk) {
      if (gone) return false;
      try {
        await writer.write(text.encode(chunk));
      } catch {
        end();
      }
      return !gone;
    },
    get gone() {
      return gone;
    },
    onEnd(clean) {
      if (gone) clean();
      else cleaners.push(clean);
    },
    async close() {
      end();
      await writer.close().catch(() => undefined);
    },
  };
}

/** Something to wait on that others can set off; one that was set off before the wait ends it at once. */
export function bell(): { ring(): void; wait(timeoutMs: number): Promise<void> } {
  let rung = false;
  let wake: (() => void) | null = null;
  return {
    ring() {
      rung = true;
      wake?.();
    },
    async wait(timeoutMs) {
      if (!rung) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, timeoutMs);
          wake = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      }
      rung = false;
      wake = null;
    },
  };
}
