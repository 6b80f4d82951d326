// To whom a visitor's exchange goes on: one instance, through its node's gateway, with a ticket of this node's own.
import type { Endpoint } from "../../contracts/route.ts";
import { formatEnvelope, GATEWAY_ERROR_HEADER, type GatewayError, TICKET_HEADER } from "../../contracts/ticket.ts";
import { ROUTING_LIMITS } from "../../core/routing/limits.ts";
import type { AnswerHead, RequestHead } from "../gateway/head.ts";
import { CLOSING_LINE, requestText } from "../gateway/heads-out.ts";
import type { Onward, Place, Upstream } from "../gateway/upstream.ts";
import type { Failed, Tally, Way, WayPolicy } from "../gateway/way.ts";
import type { Ingress } from "./ingress.ts";
import { type Found, type Search, type Sought } from "./search.ts";
import { cookieLine } from "./tastes.ts";
import { headerIn } from "./visitor.ts";

export interface Target extends Sought {
  readonly endpoint: Endpoint;
  readonly place: Place;
  readonly ticket: string;
  readonly search: Search;
}

export class PeerWay implements Way {
  readonly tally: Tally;
  readonly http: WayPolicy;
  readonly keepsBodies = true;
  readonly #ingress: Ingress;
  readonly #target: Target;
  readonly #sentAtMs = Date.now();
  #looks = 0;

  constructor(ingress: Ingress, target: Target) {
    this.#ingress = ingress;
    this.#target = target;
    this.tally = ingress.held.openAt(target.endpoint);
    this.http = ingress.policy;
    ingress.held.sent(target.endpoint, this.#sentAtMs);
  }

  take(idleMs: number, nowMs: number): Onward {
    return this.#ingress.pool.take(this.#target.place, idleMs, nowMs);
  }

  dial(): Onward {
    return this.#ingress.pool.dial(this.#target.place);
  }

  put(onward: Onward, nowMs: number): void {
    this.#ingress.pool.put(onward as Upstream, nowMs);
  }

  requestText(head: RequestHead): string {
    const { ticket, route, visitor } = this.#target;
    const { proto, requestId, address, host } = visitor;
    const envelope = formatEnvelope({ ticket, routeVersion: route.version, proto, requestId, address, host });
    return requestText(head, host, `${TICKET_HEADER}: ${envelope}\r\n`);
  }

  answerLines(_head: RequestHead, answer: AnswerHead, tookMs: number | null): string {
    if (tookMs === null) return "";
    const cookie = cookieLine(this.#target.taste, answer.lines);
    return this.#ingress.station.closing ? cookie + CLOSING_LINE : cookie;
  }

  leave(): undefined {
    return undefined;
  }

  heard({ internal }: AnswerHead): GatewayError | null {
    const refusal = internal === "" ? null : (headerIn(internal, GATEWAY_ERROR_HEADER) as GatewayError | null);
    this.#ingress.held.answered(this.#target.endpoint, refusal === null, this.#sentAtMs, Date.now());
    return refusal;
  }

  failed(how: Failed): Found | Promise<Found> {
    return this.#target.search.failed(this.#target.endpoint, how);
  }

  /** Without a head for a while the gateway is asked whether it is there at all: a node without power holds nobody for long. */
  awaits(onward: Onward, forMs: number): void {
    if (forMs < (this.#looks + 1) * ROUTING_LIMITS.suspectAfterMs) return;
    this.#looks += 1;
    void this.#ingress.gateways.answers(this.#target.endpoint.node).then((there) => {
      if (there || onward.user === null) return;
      const upstream = onward as Upstream;
      // Not once more on a fresh connection to the same node.
      upstream.reused = false;
      upstream.socket.destroy(new Error("the node is gone"));
    });
  }
}
