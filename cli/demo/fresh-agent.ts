// Connections that are kept for the next request, but never until the server closes them.
import { Agent } from "node:http";
import type { Duplex } from "node:stream";

/** workerd closes what was idle for 5 s. A request that crosses that is lost, and a browser would send it again. */
const IDLE_MS = 3_000;

/** Looks at each connection's age itself: where this process was held up, a timer would come after the requests that were due. */
export class FreshAgent extends Agent {
  readonly #freeSinceMs = new WeakMap<Duplex, number>();

  constructor(maxSockets: number) {
    super({ keepAlive: true, maxSockets, timeout: IDLE_MS });
    this.on("free", (socket: Duplex) => this.#freeSinceMs.set(socket, performance.now()));
  }

  /** Before each request. */
  dropIdle(): void {
    const oldestMs = performance.now() - IDLE_MS;
    for (const sockets of Object.values(this.freeSockets)) {
      for (const socket of [...(sockets ?? [])]) {
        if ((this.#freeSinceMs.get(socket) ?? 0) < oldestMs) socket.destroy();
      }
    }
  }
}
