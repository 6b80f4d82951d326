// Free ports for processes: below the kernel's ephemeral range, so that no outgoing connection takes one in between.
import { createServer } from "node:net";

const LOWEST = 20_000;
const HIGHEST = 32_000;
const TRIES_MAX = 200;
/** A port stays unused this long after its instance, so that what was meant for one app never reaches another. */
const QUARANTINE_MS = 120_000;

export class Ports {
  readonly #taken = new Set<number>();

  /** Of an instance that was adopted. */
  hold(port: number): void {
    this.#taken.add(port);
  }

  async take(): Promise<number> {
    for (let tries = 0; tries < TRIES_MAX; tries += 1) {
      const port = LOWEST + Math.floor(Math.random() * (HIGHEST - LOWEST));
      if (this.#taken.has(port)) continue;
      this.#taken.add(port);
      if (await isFree(port)) return port;
      this.#taken.delete(port);
    }
    throw new Error("no free port was found");
  }

  release(port: number): void {
    setTimeout(() => this.#taken.delete(port), QUARANTINE_MS).unref();
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ port, host: "127.0.0.1", exclusive: true }, () => server.close(() => resolve(true)));
  });
}
