// WebSockets that stay open and talk now and then, and how each of them ended: for tests and benchmarks of releases.
import { setTimeout as sleep } from "node:timers/promises";
import WebSocket from "ws";

export interface HeldSocket {
  readonly openedAtMs: number;
  /** What the app said first: its release. */
  version: string | null;
  echoes: number;
  /** When it last heard back, and for how long it had to wait at most. */
  waitedMsMax: number;
  closed: { readonly code: number; readonly atMs: number } | null;
}

export interface HeldSockets {
  readonly sockets: readonly HeldSocket[];
  /** Closes all that are still open. */
  end(): Promise<void>;
}

export interface SocketsWanted {
  readonly port: number;
  readonly hostname: string;
  readonly count: number;
  readonly everyMs?: number;
}

const OPENED_AT_ONCE = 50;

/** Resolves when all are open and have been greeted. */
export async function openSockets({ port, hostname, count, everyMs = 500 }: SocketsWanted): Promise<HeldSockets> {
  const all: { socket: WebSocket; held: HeldSocket; timer: NodeJS.Timeout }[] = [];
  const open = async (): Promise<void> => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/socket`, { headers: { host: hostname } });
    await new Promise<void>((resolve, reject) => {
      let sentAtMs: number | null = null;
      const held: HeldSocket = { openedAtMs: Date.now(), version: null, echoes: 0, waitedMsMax: 0, closed: null };
      const ask = (): void => {
        if (socket.readyState !== WebSocket.OPEN || sentAtMs !== null) return;
        sentAtMs = Date.now();
        socket.send(`at ${sentAtMs}`);
      };
      const timer = setInterval(ask, everyMs);
      socket.on("message", (data) => {
        if (held.version === null) {
          held.version = String(data);
          return resolve();
        }
        held.echoes += 1;
        held.waitedMsMax = Math.max(held.waitedMsMax, Date.now() - (sentAtMs ?? Date.now()));
        sentAtMs = null;
      });
      socket.on("error", reject);
      socket.on("close", (code) => {
        clearInterval(timer);
        // What was never answered has waited too.
        held.waitedMsMax = Math.max(held.waitedMsMax, Date.now() - (sentAtMs ?? Date.now()));
        held.closed = { code, atMs: Date.now() };
      });
      all.push({ socket, held, timer });
    });
  };
  for (let opened = 0; opened < count; opened += OPENED_AT_ONCE) {
    await Promise.all(Array.from({ length: Math.min(OPENED_AT_ONCE, count - opened) }, open));
  }
  return {
    sockets: all.map(({ held }) => held),
    async end() {
      for (const { socket, timer } of all) {
        clearInterval(timer);
        socket.terminate();
      }
      await sleep(0);
    },
  };
}
