// The way to the region's gateways: where they are, peer tickets, raw tunnels, and whether one is there at all.
import { type ClientRequest, request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { isIP } from "node:net";
import type { Duplex } from "node:stream";
import type { NodeId } from "../../contracts/ids.ts";
import { healthPath } from "../../contracts/relay.ts";
import type { Route } from "../../contracts/route.ts";
import { formatEnvelope, GATEWAY_PREFIX, TICKET_HEADER } from "../../contracts/ticket.ts";
import { ROUTING_LIMITS } from "../../core/routing/limits.ts";
import type { Place } from "../gateway/upstream.ts";
import type { Target } from "./held.ts";
import type { IngressLimits } from "./limits.ts";
import type { PeerTickets } from "./peer-tickets.ts";
import type { RegionBook } from "./region-book.ts";

export type Owner = Pick<Route, "app" | "team">;

export class Gateways {
  readonly #book: RegionBook;
  readonly #tickets: PeerTickets;
  readonly #limits: IngressLimits;
  readonly #controlNowMs: () => number;
  /** By the gateway's origin. */
  readonly #places = new Map<string, Place>();
  readonly #looks = new Map<NodeId, Promise<boolean>>();

  constructor(book: RegionBook, tickets: PeerTickets, limits: IngressLimits, controlNowMs: () => number) {
    this.#book = book;
    this.#tickets = tickets;
    this.#limits = limits;
    this.#controlNowMs = controlNowMs;
  }

  /** named: its release was asked for by name. */
  ticketFor({ app, team }: Owner, target: Target, use: "app" | "tcp", named = false): string | Promise<string> {
    const { instance, generation, node } = target;
    return this.#tickets.ticketFor(
      { app, team, instance, generation, node, use, preview: named },
      this.#controlNowMs(),
    );
  }

  /** null: the snapshot does not name the node any more. */
  placeOf(node: NodeId): Place | null {
    const origin = this.#book.gatewayOf(node);
    if (origin === null) return null;
    let place = this.#places.get(origin);
    if (place === undefined) this.#places.set(origin, (place = placeAt(origin)));
    return place;
  }

  /** The keys of all places that the snapshot names; others are forgotten. */
  liveKeys(): ReadonlySet<string> {
    const origins = new Set(this.#book.snapshot?.nodes.map(({ gatewayUrl }) => gatewayUrl));
    for (const origin of this.#places.keys()) if (!origins.has(origin)) this.#places.delete(origin);
    return new Set(this.#places.keys());
  }

  /** A raw connection to the instance: to its own port, or to one that it holds on its node. */
  async tunnel(owner: Owner, target: Target, port: number | null): Promise<Duplex> {
    const ticket = await this.ticketFor(owner, target, "tcp");
    const unsaid = { routeVersion: null, proto: null, requestId: null, address: null, host: null };
    const path = `${GATEWAY_PREFIX}tcp${port === null ? "" : `?port=${port}`}`;
    const headers = {
      connection: "Upgrade",
      upgrade: "berth-tcp",
      [TICKET_HEADER]: formatEnvelope({ ticket, ...unsaid }),
    };
    const sent = this.#request(target.node, path, headers);
    this.#boundDial(sent);
    return new Promise((resolve, reject) => {
      sent.on("upgrade", (_answer, socket: Duplex, head: Buffer) => {
        if (head.length > 0) socket.unshift(head);
        resolve(socket);
      });
      sent.on("response", (answer) => {
        answer.resume();
        reject(new Error(`the gateway answered ${answer.statusCode}`));
      });
      sent.on("error", reject).end();
    });
  }

  /** Whether the node's gateway answers; one question at a time. */
  answers(node: NodeId): Promise<boolean> {
    const known = this.#looks.get(node);
    if (known !== undefined) return known;
    const look = this.#ask(node).finally(() => this.#looks.delete(node));
    this.#looks.set(node, look);
    return look;
  }

  async #ask(node: NodeId): Promise<boolean> {
    // The node's own answer: one that it is reached through lives on without it.
    const sent = this.#request(node, healthPath(node), {});
    const timer = setTimeout(() => sent.destroy(new Error("silent")), ROUTING_LIMITS.probeTimeoutMs);
    return new Promise<boolean>((resolve) => {
      sent.on("response", (answer) => {
        answer.resume();
        resolve(answer.statusCode === 200);
      });
      sent.on("error", () => resolve(false)).end();
    }).finally(() => clearTimeout(timer));
  }

  /** On a connection of its own. Throws for a node that the snapshot does not name any more. */
  #request(node: NodeId, path: string, headers: Record<string, string>): ClientRequest {
    const place = this.placeOf(node);
    if (place === null) throw new Error(`${node} is not in this region's snapshot`);
    const { host, port, servername } = place;
    const at = { host, port, path, headers, agent: false as const };
    return servername === undefined ? httpRequest(at) : httpsRequest({ ...at, servername });
  }

  /** A node without power says nothing: others are to be tried soon. */
  #boundDial(sent: ClientRequest): void {
    sent.once("socket", (socket) => {
      if (!socket.connecting) return;
      const timer = setTimeout(() => socket.destroy(new Error("no connection in time")), this.#limits.dialTimeoutMs);
      for (const event of ["connect", "close"]) socket.once(event, () => clearTimeout(timer));
    });
  }
}

function placeAt(origin: string): Place {
  const url = new URL(origin);
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const secure = url.protocol === "https:";
  const at = { key: origin, host, port: Number(url.port || (secure ? 443 : 80)) };
  // An address is no name of a server (RFC 6066, 3).
  return secure ? { ...at, servername: isIP(host) === 0 ? host : "" } : at;
}
