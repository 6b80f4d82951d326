// Raw TCP: the ports that instances of the region hold on their nodes, served here too and handed to whoever holds them.
import { closeSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { instanceKey } from "../../contracts/desired.ts";
import type { SnapshotPort } from "../../contracts/snapshot.ts";
import { ROUTING_LIMITS } from "../../core/routing/limits.ts";
import type { IngressLimits } from "./limits.ts";
import type { ListenFds } from "./hand-over.ts";
import type { Ingress } from "./ingress.ts";
import { join } from "./tunnels.ts";

export interface Log {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

export class TcpPorts {
  readonly #ingress: Ingress;
  readonly #host: string;
  readonly #limits: IngressLimits;
  readonly #log: Log;
  readonly #servers = new Map<number, Server>();
  readonly #fds: Map<number, number>;
  /** Ports that were said to be out of reach already. */
  readonly #told = new Set<string>();

  /** fds: of sockets that the ingress before passed on. */
  constructor(ingress: Ingress, host: string, limits: IngressLimits, log: Log, fds: ListenFds) {
    this.#fds = new Map(fds);
    this.#ingress = ingress;
    this.#host = host;
    this.#limits = limits;
    this.#log = log;
  }

  /** own: ports that the ingress itself serves. A port of two apps is nobody's here: there is no telling whom a visitor means. */
  look(own: ReadonlySet<number>): void {
    const wanted = new Map<number, SnapshotPort>();
    const shared = new Set<number>();
    for (const each of this.#ingress.book.ports) {
      if (wanted.has(each.port)) shared.add(each.port);
      wanted.set(each.port, each);
    }
    for (const port of shared) {
      wanted.delete(port);
      this.#tell(`${port}`, "two apps of the region hold this port on different nodes: it is not served here");
    }
    for (const [port, server] of this.#servers) {
      if (wanted.has(port)) continue;
      server.close();
      this.#servers.delete(port);
    }
    for (const port of wanted.keys()) if (!this.#servers.has(port) && !own.has(port)) this.#listen(port);
    if (this.#ingress.book.snapshot !== null) this.#closeUnused(own);
  }

  /** What was handed on and is nobody's any more by the snapshot: held open, it would take visitors in whom nobody attends to. */
  #closeUnused(own: ReadonlySet<number>): void {
    for (const [port, fd] of this.#fds) {
      this.#fds.delete(port);
      if (!own.has(port)) closeSync(fd);
    }
  }

  /** Those that listen. */
  get servers(): [number, Server][] {
    return [...this.#servers].filter(([, server]) => server.listening);
  }

  close(): void {
    for (const server of this.#servers.values()) server.close();
  }

  /** One that is taken on this node is most likely held by an instance right here, which serves its visitors itself. */
  #listen(port: number): void {
    const server = createServer(
      // Half open: a visitor who has said all may wait for the answer.
      { noDelay: true, keepAlive: true, pauseOnConnect: true, allowHalfOpen: true },
      (socket) => void this.#serve(port, socket),
    );
    server.maxConnections = this.#limits.connectionsMax;
    server.on("error", (error) => {
      this.#servers.delete(port);
      this.#tell(`${port}`, error.message);
    });
    server.on("listening", () => this.#log.info({ port }, "a TCP port of the region is served"));
    this.#servers.set(port, server);
    const fd = this.#fds.get(port);
    this.#fds.delete(port);
    server.listen(fd === undefined ? { host: this.#host, port } : { fd });
  }

  async #serve(port: number, socket: Socket): Promise<void> {
    const { book, held, gateways } = this.#ingress;
    socket.on("error", () => socket.destroy());
    const found = book.ports.find((each) => each.port === port);
    const left = [...(found?.endpoints ?? [])];
    for (let attempts = 0; found !== undefined && attempts < ROUTING_LIMITS.attemptsMax; attempts++) {
      const avoids = held.avoids(true, Date.now());
      const fit = avoids === null ? left : left.filter((each) => !avoids(each));
      const among = fit.length > 0 ? fit : left;
      // The least busy, and of equals anyone: connections last, so that counting them is worth the look.
      const target = among.sort((a, b) => held.load(a) - held.load(b) || Math.random() - 0.5)[0];
      if (target === undefined) break;
      left.splice(
        left.findIndex((each) => instanceKey(each) === instanceKey(target)),
        1,
      );
      try {
        const upstream = await gateways.tunnel(found, target, port);
        const tally = held.openAt(target);
        tally.open += 1;
        return join(socket, upstream, () => (tally.open -= 1));
      } catch {
        held.ejectInstance(target, Date.now());
      }
    }
    socket.resetAndDestroy();
  }

  #tell(about: string, message: string): void {
    const text = `${about} ${message}`;
    if (this.#told.has(text)) return;
    this.#told.add(text);
    this.#log.warn({ port: Number(about) }, message);
  }
}
