// A wire to a gateway with faults on demand: it passes, refuses, resets, swallows or dawdles. One port for its life.
import { connect, createServer, type Server, type Socket } from "node:net";
import { freePort } from "../../bench/shared/edge-world.ts";

/** refuse: nobody listens. reset: accepted, then RST on the first bytes. swallow: accepted, and nothing ever comes back. */
export type Fault = "pass" | "refuse" | "reset" | "swallow";

export class FaultProxy {
  readonly port: number;
  readonly #to: number;
  readonly #sockets = new Set<Socket>();
  #server: Server | null = null;
  #fault: Fault = "pass";

  private constructor(port: number, to: number) {
    this.port = port;
    this.#to = to;
  }

  static async start(to: number): Promise<FaultProxy> {
    const proxy = new FaultProxy(await freePort(), to);
    await proxy.set("pass");
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** From now on, for open connections too: a wire has no memory. */
  async set(fault: Fault): Promise<void> {
    this.#fault = fault;
    if (fault === "refuse" || fault === "reset") for (const socket of this.#sockets) socket.resetAndDestroy();
    if (fault === "refuse") {
      await this.close();
    } else if (this.#server === null) {
      this.#server = createServer((socket) => this.#accept(socket));
      await new Promise<void>((resolve) => this.#server?.listen(this.port, "127.0.0.1", resolve));
    }
  }

  #accept(visitor: Socket): void {
    const gateway = connect(this.#to, "127.0.0.1");
    for (const [from, to] of [
      [visitor, gateway],
      [gateway, visitor],
    ] as const) {
      this.#sockets.add(from.once("close", () => this.#sockets.delete(from)));
      from.on("error", () => undefined).on("close", () => to.destroy());
      from.on("data", (bytes: Buffer) => {
        if (this.#fault === "pass") to.write(bytes);
        else if (this.#fault === "reset") from.resetAndDestroy();
      });
    }
  }

  async close(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    for (const socket of this.#sockets) socket.destroy();
    if (server !== null) await new Promise((resolve) => server.close(resolve));
  }
}
