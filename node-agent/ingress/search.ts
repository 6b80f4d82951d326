// One visitor's request in search of an instance: choose as the edge does, ask, and try others where that can do no harm.
import { instanceKey } from "../../contracts/desired.ts";
import type { Endpoint, Route } from "../../contracts/route.ts";
import type { GatewayError } from "../../contracts/ticket.ts";
import { choose } from "../../core/routing/choose.ts";
import { verdictOf } from "../../core/routing/ejections.ts";
import { ROUTING_LIMITS } from "../../core/routing/limits.ts";
import { failureOf, mayRetry } from "../../core/routing/retry.ts";
import { CLOSE } from "../gateway/answers.ts";
import type { RequestHead } from "../gateway/head.ts";
import { endsConnection, type Failed, type Way } from "../gateway/way.ts";
import type { Ingress } from "./ingress.ts";
import { type PageCode, pageText } from "./pages.ts";
import { PeerWay } from "./peer-way.ts";
import type { Taste } from "./tastes.ts";
import type { Visitor } from "./visitor.ts";

export interface Sought {
  readonly route: Route;
  readonly head: RequestHead;
  readonly visitor: Visitor;
  readonly taste: Taste;
  /** Whether it could be sent twice, as far as can be told before its body comes. */
  readonly repeatable: boolean;
}

export type Found = Way | string;

export class Search {
  readonly #ingress: Ingress;
  readonly #sought: Sought;
  #tried: Set<string> | null = null;
  #attempts = 0;
  #told: PageCode = "no_ready_instance";

  constructor(ingress: Ingress, sought: Sought) {
    this.#ingress = ingress;
    this.#sought = sought;
  }

  /** The next to ask, or what the visitor is told, as nobody is left. */
  next(): Found | Promise<Found> {
    const { held, gateways } = this.#ingress;
    const { route, taste, repeatable } = this.#sought;
    while (this.#attempts++ < ROUTING_LIMITS.attemptsMax) {
      const avoids = held.avoids(repeatable, Date.now());
      const wanted = { tried: this.#tried, avoids, load: held.load, only: taste.only, visitor: taste.visitor };
      const choice = choose(route, wanted, (Math.random() * 0x1_0000_0000) | 0, taste.spot);
      if (choice.kind === "none") {
        if (choice.reason === "no_release") this.#told = "no_release";
        break;
      }
      const { endpoint } = choice;
      const place = gateways.placeOf(endpoint.node);
      if (place !== null) {
        const ticket = gateways.ticketFor(route, endpoint, "app", taste.only !== null);
        const wayWith = (token: string): Way =>
          new PeerWay(this.#ingress, { ...this.#sought, endpoint, place, ticket: token, search: this });
        return typeof ticket === "string" ? wayWith(ticket) : ticket.then(wayWith);
      }
      this.#gaveUp(endpoint);
    }
    return this.#page();
  }

  /** An attempt at an endpoint came to nothing: another one, where that can do no harm. */
  failed(endpoint: Endpoint, { code, heard, body, head }: Failed): Found | Promise<Found> {
    const { held } = this.#ingress;
    if (!heard && !endsConnection(code)) held.ejectNode(endpoint, Date.now());
    if (heard && verdictOf(code) !== null) held.ejectInstance(endpoint, Date.now());
    this.#told = heard || endsConnection(code) ? (TOLD[code] ?? "unreachable") : "unreachable";
    this.#gaveUp(endpoint);
    return mayRetry(failureOf(code), head.method, body) ? this.next() : this.#page(endsConnection(code) ? CLOSE : "");
  }

  #gaveUp(endpoint: Endpoint): void {
    this.#tried = (this.#tried ?? new Set<string>()).add(instanceKey(endpoint));
  }

  #page(lines = ""): string {
    const { head, visitor } = this.#sought;
    return pageText(this.#told, visitor.requestId, head.method === "HEAD", lines);
  }
}

/** What a gateway's refusal is to a visitor. */
const TOLD: Partial<Record<GatewayError, PageCode>> = {
  malformed_request: "malformed_request",
  body_too_large: "body_too_large",
  upstream_timeout: "upstream_timeout",
  too_many_connections: "overloaded",
  instance_gone: "no_ready_instance",
};
