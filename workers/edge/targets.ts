// What this isolate has at hand about each endpoint, so that a request costs one look-up: its key, its ticket, its load.
import { instanceKey } from "../../contracts/desired.ts";
import type { Endpoint, Route } from "../../contracts/route.ts";
import { ROUTING_LIMITS } from "../../core/routing/limits.ts";
import { makeTicket } from "./tickets.ts";

const limits = ROUTING_LIMITS;
/** About 1 KB each, most of it the ticket. */
const TARGETS_MAX = 10_000;

export class Target {
  readonly key: string;
  #ticket: string | null = null;
  #renewAtMs = 0;
  #open = 0;
  #windowEndsMs = 0;

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

  /** The ticket at hand, or null where a new one must be made. */
  ticket(nowMs: number): string | null {
    return nowMs < this.#renewAtMs ? this.#ticket : null;
  }

  async newTicket(route: Route, { instance, generation, node }: Endpoint, key: string, nowMs: number): Promise<string> {
    const { app, team } = route;
    const made = await makeTicket({ key, team, app, instance, generation, node, use: "app" }, nowMs);
    this.#ticket = made.token;
    this.#renewAtMs = made.renewAtMs;
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
