// The servers that visitors meet: TLS with HTTP/1.1 and HTTP/2, and both without TLS behind one port. HTTP/1.1 is the gateway's own.
import {
  createServer as createH2,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import { createServer, type Server, type Socket } from "node:net";
import { createSecureContext, TLSSocket } from "node:tls";
import { Arriving, type Connection } from "../gateway/arriving.ts";
import { EdgeConnection } from "../gateway/connection.ts";
import type { IngressCertificates } from "./certificates.ts";
import { type AppSessions, isGrpc, serveGrpc } from "./grpc.ts";
import type { Ingress } from "./ingress.ts";
import type { IngressLimits } from "./limits.ts";
import { VisitorReception } from "./reception.ts";
import { StreamEdge } from "./stream-edge.ts";
import { headOf } from "./stream-head.ts";
import { type Caller, callerOf, visitorOf } from "./visitor.ts";

/** HTTP/2 without TLS begins with a preface of its own (RFC 9113, 3.4); everything else is HTTP/1.1's. */
const PREFACE = "PRI ";

export class VisitorServers {
  readonly secure: Server;
  /** Without TLS, in both versions. */
  readonly plain: Server;
  readonly #ingress: Ingress;
  readonly #apps: AppSessions;
  readonly #limits: IngressLimits;
  readonly #connections = new Set<Connection>();
  readonly #sockets = new Set<Socket>();
  readonly #sessions = new Set<ServerHttp2Session>();
  /** Of connections that are HTTP/2's; it listens nowhere. */
  readonly #h2: Http2Server;
  /** Whose connection is being made a session of HTTP/2. */
  #arrived: Caller = { proto: "http", address: null };

  constructor(ingress: Ingress, apps: AppSessions, certificates: IngressCertificates, limits: IngressLimits) {
    this.#ingress = ingress;
    this.#apps = apps;
    this.#limits = limits;
    this.#h2 = createH2({ settings: { maxConcurrentStreams: limits.streamsPerSessionMax } });
    this.#h2.on("session", (session: ServerHttp2Session) => this.#attend(session));
    this.#h2.on("sessionError", (_error: Error, session: ServerHttp2Session) => session.destroy());
    const open = tlsWith(certificates);
    this.secure = this.#server((raw) => this.#arrive(raw, "https", open));
    this.plain = this.#server((raw) => this.#arrive(raw, "http", open));
  }

  /** How many visitors' connections are open. */
  get open(): number {
    return this.#sockets.size;
  }

  sweep(nowMs: number): void {
    for (const connection of this.#connections) connection.sweep(nowMs);
  }

  /** Sessions take no more requests; what is open ends as it would have. */
  release(): void {
    for (const session of this.#sessions) session.close();
  }

  destroy(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #server(arrive: (raw: Socket) => void): Server {
    const server = createServer({ noDelay: true, keepAlive: true, allowHalfOpen: true }, arrive);
    server.maxConnections = this.#limits.connectionsMax;
    return server;
  }

  #arrive(raw: Socket, proto: Caller["proto"], open: (raw: Socket) => TLSSocket): void {
    const { station } = this.#ingress;
    const caller = callerOf(raw, proto);
    let connection: Connection | null = null;
    const become = (next: Connection | null): void => {
      if (connection !== null) this.#connections.delete(connection);
      connection = next;
      if (next !== null) this.#connections.add(next);
    };
    this.#sockets.add(raw);
    raw.once("close", () => {
      become(null);
      this.#sockets.delete(raw);
    });
    const ready = (socket: Socket, first: Buffer | null): void => {
      const isSecure = socket instanceof TLSSocket;
      // Each port has one meaning.
      if (isSecure !== (proto === "https")) return void raw.destroy();
      const isH2 = isSecure ? socket.alpnProtocol === "h2" : first?.toString("latin1", 0, PREFACE.length) === PREFACE;
      if (isH2) {
        become(null);
        // Its session is attended to before this returns.
        this.#arrived = caller;
        // As tls.Server does for its own: a session of HTTP/2 waits for it.
        Object.assign(socket, { secureConnecting: false });
        return void this.#h2.emit("connection", socket);
      }
      become(new EdgeConnection(socket, station, new VisitorReception(this.#ingress, caller), raw));
      socket.resume();
    };
    become(new Arriving(raw, station, open, ready));
  }

  #attend(session: ServerHttp2Session): void {
    this.#sessions.add(session);
    session.once("close", () => this.#sessions.delete(session));
    session.setTimeout(this.#limits.idleMs, () => session.close());
    const caller = this.#arrived;
    const reception = new VisitorReception(this.#ingress, caller);
    session.on("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) =>
      this.#serve(stream, headers, caller, reception),
    );
  }

  #serve(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, caller: Caller, reception: VisitorReception): void {
    const { station } = this.#ingress;
    stream.on("error", () => undefined);
    const head = headOf(headers, stream.endAfterHeaders, station.limits.headBytesMax);
    if (head === null) return stream.respond({ ":status": 400 }, { endStream: true });
    if (isGrpc(headers)) {
      const call = { stream, headers, visitor: visitorOf(head, caller), lines: head.lines };
      return void serveGrpc(this.#ingress, this.#apps, call).catch(() => stream.destroy());
    }
    const edge = new StreamEdge(stream, head, station, reception);
    this.#connections.add(edge);
    stream.once("close", () => this.#connections.delete(edge));
  }
}

/** Begins TLS, by the certificate of the hostname that is asked for; without one the handshake fails. */
function tlsWith(certificates: IngressCertificates): (raw: Socket) => TLSSocket {
  const none = createSecureContext({ minVersion: "TLSv1.2" });
  return (raw) =>
    new TLSSocket(raw, {
      isServer: true,
      secureContext: none,
      ALPNProtocols: ["h2", "http/1.1"],
      SNICallback: (hostname, done) => {
        const context = certificates.contextFor(hostname);
        if (context === null) done(new Error(`no certificate for ${hostname}`));
        else done(null, context);
      },
    });
}
