// What becomes of a visitor's request: the route of its hostname, the release that it may ask for by name, or a page.
import type { Route } from "../../contracts/route.ts";
import { GATEWAY_PREFIX } from "../../contracts/ticket.ts";
import { SAFE_METHODS } from "../../core/routing/retry.ts";
import { CLOSE } from "../gateway/answers.ts";
import type { Entry } from "../gateway/entry.ts";
import type { RequestHead } from "../gateway/head.ts";
import type { Reception } from "../gateway/serving.ts";
import type { Ingress } from "./ingress.ts";
import { overrideIn, overrideOf } from "./overrides.ts";
import { isPage, type PageCode, pageText, textOf } from "./pages.ts";
import { type Found, Search } from "./search.ts";
import { type Caller, type Visitor, visitorOf } from "./visitor.ts";

/** The route that a request is for, or what its visitor is told instead. */
export function routeFor({ book }: Ingress, { hostname }: Visitor, path: string): Route | PageCode {
  const route = book.routeOf(hostname);
  if (route === null) return "unknown_host";
  return path.startsWith(GATEWAY_PREFIX) ? "reserved_path" : route;
}

/** Why an app without a route to serve by does not; null: it has one. */
export function absenceOf({ state }: Route): PageCode | null {
  if (state.kind === "serving") return null;
  return state.kind === "unavailable" && isPage(state.reason) ? state.reason : "no_ready_instance";
}

/** Of one connection. */
export class VisitorReception implements Reception {
  readonly #ingress: Ingress;
  readonly #caller: Caller;

  constructor(ingress: Ingress, caller: Caller) {
    this.#ingress = ingress;
    this.#caller = caller;
  }

  enter(head: RequestHead, bodyless: boolean): Entry {
    const visitor = visitorOf(head, this.#caller);
    if (head.target === `${GATEWAY_PREFIX}ingress`) return { kind: "told", text: this.#about(head) };
    const route = routeFor(this.#ingress, visitor, head.target);
    if (typeof route === "string") return told(route, head, visitor);
    const override = overrideIn(head.internal);
    if (override !== null) return { kind: "later", entry: this.#named(override, route, head, visitor, bodyless) };
    const absence = absenceOf(route);
    if (absence !== null) return told(absence, head, visitor);
    return this.#searched(route, head, visitor, bodyless, null);
  }

  malformed(status: number, message: string): string {
    const body = JSON.stringify({ type: "about:blank", status, code: "malformed_request", detail: message });
    return textOf(`${status} Bad Request`, "application/problem+json", body, false, CLOSE);
  }

  async #named(token: string, route: Route, head: RequestHead, visitor: Visitor, bodyless: boolean): Promise<Entry> {
    const { endpoints } = this.#ingress.station;
    const only = await overrideOf(token, route.app, endpoints.file?.ticketKeys ?? [], endpoints.controlNowMs());
    if (only === null) return told("override_invalid", head, visitor);
    return this.#searched(route, head, visitor, bodyless, only);
  }

  #searched(route: Route, head: RequestHead, visitor: Visitor, bodyless: boolean, only: number | null): Entry {
    const taste = this.#ingress.tastes.of(route, head.lines, visitor.proto === "https", only);
    const repeatable = bodyless && SAFE_METHODS.has(head.method);
    const found = new Search(this.#ingress, { route, head, visitor, taste, repeatable }).next();
    return found instanceof Promise ? { kind: "later", entry: found.then(entryOf) } : entryOf(found);
  }

  /** For a drill: that this is the ingress, and how old what it knows is. */
  #about({ method }: RequestHead): string {
    const { region = null, version = 0, atMs = 0, baseDomain = null, routes = [] } = this.#ingress.book.snapshot ?? {};
    const body = JSON.stringify({ ingress: true, region, version, atMs, baseDomain, apps: routes.length });
    return textOf("200 OK", "application/json", body, method === "HEAD");
  }
}

const entryOf = (found: Found): Entry =>
  typeof found === "string" ? { kind: "told", text: found } : { kind: "way", way: found, counts: "nowhere" };

const told = (code: PageCode, { method }: RequestHead, { requestId }: Visitor): Entry => ({
  kind: "told",
  text: pageText(code, requestId, method === "HEAD"),
});
