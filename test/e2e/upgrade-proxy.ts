// What may stand between an agent and its control plane: it passes, knows no upgrades, drops WebSockets, or lets them go silent.
import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { connect, type AddressInfo, type Socket } from "node:net";

/**
 * older: 404 to the path of sockets, as a control plane from before them says. deaf: an upgrade becomes a plain request, as with
 * proxies that know none. silent: open sockets and new ones swallow everything, and nobody hears of it.
 */
export type Way = "pass" | "older" | "deaf" | "silent";

export class UpgradeProxy {
  way: Way = "pass";
  /** Requests by path, without what became a socket; and sockets that came about. */
  readonly requests: { path: string; atMs: number }[] = [];
  sockets = 0;
  readonly #to: number;
  readonly #server: Server;
  readonly #open = new Set<Socket>();

  private constructor(to: number) {
    this.#to = to;
    this.#server = createServer((asked, answer) => this.#pass(asked, answer));
    this.#server.on("upgrade", (asked: IncomingMessage, visitor: Socket) => this.#upgrade(asked, visitor));
  }

  static async start(to: number): Promise<UpgradeProxy> {
    const proxy = new UpgradeProxy(to);
    await new Promise<void>((resolve) => proxy.#server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Sockets that are open, as far as anybody can see. */
  get living(): number {
    return this.#open.size;
  }

  /** Requests to this path since then. */
  since(atMs: number, path: string): number {
    return this.requests.filter((each) => each.atMs >= atMs && each.path === path).length;
  }

  /** Ends every open socket without a word. */
  cut(): void {
    for (const socket of this.#open) socket.resetAndDestroy();
  }

  async close(): Promise<void> {
    this.cut();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #pass(asked: IncomingMessage, answer: ServerResponse): void {
    const [path = ""] = (asked.url ?? "").split("?");
    this.requests.push({ path, atMs: performance.now() });
    const onward = request(
      { host: "127.0.0.1", port: this.#to, path: asked.url, method: asked.method, headers: asked.headers },
      (answered) => {
        answer.writeHead(answered.statusCode ?? 502, answered.headers);
        answered.pipe(answer);
      },
    );
    onward.on("error", () => answer.destroy());
    answer.on("close", () => onward.destroy());
    asked.pipe(onward);
  }

  #upgrade(asked: IncomingMessage, visitor: Socket): void {
    visitor.on("error", () => undefined);
    if (this.way === "older") return void visitor.end("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
    const headers = Object.entries(asked.headers).filter(
      ([name]) => this.way !== "deaf" || !/^(upgrade|connection)$/.test(name),
    );
    const lines = headers.map(([name, value]) => `${name}: ${String(value)}\r\n`).join("");
    const onward = connect(this.#to, "127.0.0.1", () => {
      onward.write(`${asked.method} ${asked.url} HTTP/1.1\r\n${lines}\r\n`);
    });
    onward.on("error", () => visitor.destroy());
    if (this.way !== "deaf") {
      this.sockets += 1;
      this.#open.add(visitor);
    }
    for (const [from, to] of [
      [visitor, onward],
      [onward, visitor],
    ] as const) {
      from.on("data", (bytes: Buffer) => {
        if (this.way !== "silent") to.write(bytes);
      });
      // The server's sockets are half-open by nature: an end of one side is none of the other by itself.
      from.on("end", () => from.destroy());
      from.on("close", () => {
        this.#open.delete(visitor);
        to.destroy();
      });
    }
  }
}
