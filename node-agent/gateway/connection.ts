// One connection from the edge: cuts it into requests, admits each by its ticket, and hands it to what serves it.
import type { Socket } from "node:net";
import type { GatewayError, TicketClaims } from "../../contracts/ticket.ts";
import { GATEWAY_ERROR_HEADER, GATEWAY_PREFIX } from "../../contracts/ticket.ts";
import type { EndpointInstance } from "../endpoint-file.ts";
import { Discard, errorAnswer, ownAnswer } from "./answers.ts";
import { Exchange } from "./exchange.ts";
import { parseRequestHead, type RequestHead } from "./head.ts";
import { requestFraming } from "./heads-out.ts";
import { LogReader } from "./logs.ts";
import type { Edge, Gateway, Serving } from "./serving.ts";
import type { TicketVerdict } from "./tickets.ts";

const NOTHING = Buffer.alloc(0);

export class EdgeConnection implements Edge {
  readonly #socket: Socket;
  readonly #gateway: Gateway;
  #serving: Serving | null = null;
  #verifying = false;
  /** Bytes that belong to no request yet. */
  #pending: Buffer = NOTHING;
  #idleSinceMs: number;
  /** When the first bytes of a head came whose end has not come yet. */
  #headSinceMs: number | null = null;

  constructor(socket: Socket, gateway: Gateway) {
    this.#socket = socket;
    this.#gateway = gateway;
    this.#idleSinceMs = gateway.nowMs;
    socket.on("data", (bytes) => this.#onData(bytes));
    socket.on("drain", () => this.#serving?.onEdgeDrain());
    socket.on("end", () => this.#onGone());
    socket.on("error", () => this.#onGone());
    socket.on("close", () => this.#onGone());
  }

  #onData(bytes: Buffer): void {
    if (this.#serving !== null) {
      const end = this.#serving.onEdgeData(bytes, 0);
      if (end === bytes.length) return;
      bytes = bytes.subarray(end);
    }
    this.#pending = this.#pending.length === 0 ? bytes : Buffer.concat([this.#pending, bytes]);
    if (this.#serving !== null || this.#verifying) {
      // The next request, before this one's answer: it waits, and no more than one head's worth of it.
      if (this.#pending.length > this.#gateway.limits.headBytesMax) this.#socket.pause();
      return;
    }
    this.#next();
  }

  /** Serves what is pending, request after request, until one is under way or a head is incomplete. */
  #next(): void {
    while (this.#pending.length > 0 && this.#serving === null && !this.#verifying && !this.#socket.destroyed) {
      const bytes = this.#pending;
      const end = bytes.indexOf("\r\n\r\n", 0, "latin1");
      if ((end === -1 ? bytes.length : end) > this.#gateway.limits.headBytesMax)
        return this.#malformed(431, "the head is too large");
      if (end === -1) {
        this.#headSinceMs ??= this.#gateway.nowMs;
        return;
      }
      this.#headSinceMs = null;
      const head = parseRequestHead(bytes.toString("latin1", 0, end));
      if (head.kind === "malformed") return this.#malformed(head.status, head.message);
      this.#pending = NOTHING;
      this.#admit(head, bytes, end + 4);
    }
  }

  #admit(head: RequestHead, bytes: Buffer, from: number): void {
    const { tickets, endpoints, limits } = this.#gateway;
    if (head.target.startsWith(GATEWAY_PREFIX) && head.target.split("?", 1)[0] === `${GATEWAY_PREFIX}health`) {
      const health = ownAnswer(
        "200 OK",
        "",
        { status: "ok", node: endpoints.file?.node ?? null },
        head.method === "HEAD",
      );
      return this.#answer(head, bytes, from, health);
    }
    const ticket = head.envelope?.ticket ?? "";
    if (ticket === "") return this.#refuse(head, bytes, from, "ticket_missing", "a ticket is required");
    const controlNowMs = endpoints.controlNowMs();
    const known = tickets.known(ticket, controlNowMs);
    if (known !== null) return this.#judge(known, head, bytes, from);
    if (ticket.length > limits.ticketBytesMax)
      return this.#refuse(head, bytes, from, "ticket_invalid", "the ticket is too long");
    this.#verifying = true;
    this.#socket.pause();
    void tickets.verify(ticket, controlNowMs).then((verdict) => {
      this.#verifying = false;
      if (this.#socket.destroyed) return;
      const later = this.#pending;
      this.#pending = NOTHING;
      this.#judge(verdict, head, later.length === 0 ? bytes : Buffer.concat([bytes, later]), from);
      this.#socket.resume();
      this.#next();
    });
  }

  #judge(verdict: TicketVerdict, head: RequestHead, bytes: Buffer, from: number): void {
    if (verdict.kind === "refused") return this.#refuse(head, bytes, from, verdict.code, verdict.why);
    const found = this.#gateway.endpoints.find(verdict.claims);
    if (found.kind === "foreign")
      return this.#refuse(head, bytes, from, "ticket_invalid", "the ticket is not for this instance's team and app");
    if (found.kind === "gone") return this.#refuseGone(verdict.claims, head, bytes, from);
    if (verdict.claims.use === "logs") return this.#serveLogs(found.instance, head, bytes, from);
    return this.#serveApp(verdict.claims, found.instance, head, bytes, from);
  }

  #serveApp(claims: TicketClaims, instance: EndpointInstance, head: RequestHead, bytes: Buffer, from: number): void {
    if ((claims.use !== "app" && claims.use !== "verify") || head.target.startsWith(GATEWAY_PREFIX))
      return this.#refuse(head, bytes, from, "ticket_invalid", `a ticket for ${claims.use} does not open this path`);
    if (instance.state === "gone" || instance.state === "starting") return this.#refuseGone(claims, head, bytes, from);
    if (this.#gateway.counters.of(instance).open >= this.#gateway.limits.openPerInstanceMax)
      return this.#refuse(head, bytes, from, "too_many_connections", "the instance has too many open requests");
    const exchange = new Exchange(this, this.#gateway, head, instance);
    this.#serving = exchange;
    this.#keep(bytes, exchange.start(bytes, from));
  }

  #serveLogs(instance: EndpointInstance, head: RequestHead, bytes: Buffer, from: number): void {
    const [path, query] = head.target.split("?", 2);
    if (path !== `${GATEWAY_PREFIX}logs` || head.method !== "GET" || !requestFraming(head).done)
      return this.#refuse(head, bytes, from, "ticket_invalid", "a ticket for logs opens GET /.berth/logs only");
    const reader = new LogReader(this, this.#gateway, instance, new URLSearchParams(query ?? ""));
    this.#serving = reader;
    this.#keep(bytes, from);
    reader.start();
  }

  #keep(bytes: Buffer, from: number): void {
    if (from < bytes.length) this.#pending = from === 0 ? bytes : bytes.subarray(from);
  }

  #refuseGone(claims: TicketClaims, head: RequestHead, bytes: Buffer, from: number): void {
    const version = this.#gateway.endpoints.routeVersion(claims.app);
    this.#refuse(head, bytes, from, "instance_gone", "the instance is not on this node any more", version);
  }

  #refuse(head: RequestHead, bytes: Buffer, from: number, code: GatewayError, message: string, version = 0): void {
    this.#answer(head, bytes, from, errorAnswer(code, message, version, head.method === "HEAD"));
  }

  /** An answer of the gateway's own, after which the request's body is thrown away. */
  #answer(head: RequestHead, bytes: Buffer, from: number, answer: string): void {
    this.write(answer);
    const framing = requestFraming(head);
    if (framing.done) {
      this.#keep(bytes, from);
      if (head.close || this.#gateway.closing) this.#socket.end();
      return;
    }
    const discard = new Discard(this, this.#gateway, framing);
    this.#serving = discard;
    this.#keep(bytes, discard.onEdgeData(bytes, from));
  }

  #malformed(status: number, message: string): void {
    const lines = `connection: close\r\n${GATEWAY_ERROR_HEADER}: malformed_request\r\n`;
    this.write(ownAnswer(`${status} Bad Request`, lines, { code: "malformed_request", message }, false));
    this.#pending = NOTHING;
    this.#socket.destroySoon();
  }

  write(data: string | Buffer): boolean {
    return typeof data === "string" ? this.#socket.write(data, "latin1") : this.#socket.write(data);
  }

  writeBoth(first: string, second: Buffer): boolean {
    this.#socket.cork();
    this.#socket.write(first, "latin1");
    const flowing = this.#socket.write(second);
    this.#socket.uncork();
    return flowing;
  }

  pauseReading(): void {
    this.#socket.pause();
  }

  resumeReading(): void {
    this.#socket.resume();
  }

  served(keepAlive: boolean, leftover: Serving | null): void {
    this.#serving = leftover;
    this.#idleSinceMs = this.#gateway.nowMs;
    if (!keepAlive || (this.#gateway.closing && leftover === null)) return this.#socket.destroySoon();
    if (this.#socket.isPaused()) this.#socket.resume();
    if (leftover === null && this.#pending.length > 0) queueMicrotask(() => this.#next());
  }

  abort(): void {
    this.#serving = null;
    this.#socket.resetAndDestroy();
  }

  #onGone(): void {
    const serving = this.#serving;
    this.#serving = null;
    serving?.onEdgeGone();
    this.#pending = NOTHING;
    if (!this.#socket.destroyed) this.#socket.destroySoon();
  }

  sweep(nowMs: number): void {
    const { limits, closing } = this.#gateway;
    if (this.#serving !== null) return this.#serving.sweep(nowMs);
    if (this.#verifying) return;
    const idleMs = nowMs - this.#idleSinceMs;
    const headLate = this.#headSinceMs !== null && nowMs - this.#headSinceMs > limits.headTimeoutMs;
    if (headLate || idleMs > limits.idleConnectionMs) this.#socket.destroy();
    else if (closing && idleMs > limits.lameDuckMs) this.#socket.destroySoon();
  }

  destroy(): void {
    this.#socket.destroy();
  }
}
