// What this isolate has at hand about each endpoint, so that a request costs one look-up: its key, its ticket, its load.
import { instanceKey } from "../../contracts/desired.ts";
import type { Endpoint, Route } from "../../contracts/route.ts";
import { ROUTING_LIMITS } from "../../core/routing/limits.ts";
import { makeTicket, type Ticket } from "./tickets.ts";

const limits = ROUTING_LIMITS;
/** About 1 KB each, most of it the ticket. */
const TARGETS_MAX = 10_000;

interface TicketWish {
  readonly route: Route;
  readonly endpoint: Endpoint;
  readonly preview: boolean;
}

export class Target {
  readonly key: string;
  #ticket: Ticket | null = null;
  /** For who asked for its release by name. */
  #previewTicket: Ticket | null = null;
  #open = 0;
  #windowEndsMs = 0;
  #errorsInRow = 0;

  constructor(key: string) {
    this.key = key;
  }

  get load(): number {
    return this.#open;
  }

  /** Answers the window that the request is counted in, which `ended` wants back. */
  began(nowMs: number): number {
    if (nowMs >= this.#windowEndsMs) {
      this.#open = 0;
      this.#windowEndsMs = nowMs + limits.loadWindowMs;
    }
    this.#open++;
    return this.#windowEndsMs;
  }

  ended(window: number): void {
    if (window === this.#windowEndsMs) this.#open--;
  }

  /** Counts the app's answers of 500 and more since its last better one. */
  answered(failed: boolean): number {
    this.#errorsInRow = failed ? this.#errorsInRow + 1 : 0;
    return this.#errorsInRow;
  }

  /** The ticket at hand, or null where a new one must be made. */
  ticket(preview: boolean, nowMs: number): string | null {
    const ticket = preview ? this.#previewTicket : this.#ticket;
    return ticket !== null && nowMs < ticket.renewAtMs ? ticket.token : null;
  }

  async newTicket({ route, endpoint, preview }: TicketWish, key: string, nowMs: number): Promise<string> {
    const { app, team } = route;
    const { instance, generation, node } = endpoint;
    const made = await makeTicket({ key, team, app, instance, generation, node, use: "app", preview }, nowMs);
    if (preview) this.#previewTicket = made;
    else this.#ticket = made;
    return made.token;
  }
}

/** By endpoint as it stands in a route, and across newer routes by what a ticket for it would say. */
export class Targets {
  readonly #known = new WeakMap<Endpoint, Target>();
  readonly #byName = new Map<string, Target>();

  of(route: Route, endpoint: Endpoint): Target {
    return this.#known.get(endpoint) ?? this.#find(route, endpoint);
  }

  load(endpoint: Endpoint): number {
    return this.#known.get(endpoint)?.load ?? 0;
  }

  #find({ team, app }: Route, endpoint: Endpoint): Target {
    const key = instanceKey(endpoint);
    const name = `${key} ${endpoint.node} ${app} ${team}`;
    let target = this.#byName.get(name);
    if (target === undefined) {
      target = new Target(key);
      if (this.#byName.size >= TARGETS_MAX) this.#byName.delete(this.#byName.keys().next().value as string);
      this.#byName.set(name, target);
    }
    this.#known.set(endpoint, target);
    return target;
  }
}
