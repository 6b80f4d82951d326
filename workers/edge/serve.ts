// One visitor's request: choose an instance, ask it, and try others where that can do no harm.
import { choose, type Choice, type ChoiceRequest } from "../../core/routing/choose.ts";
import { ROUTING_LIMITS } from "../../core/routing/limits.ts";
import type { Presence } from "../../core/routing/presence.ts";
import { bodyKind, failureOf, mayRetry, type BodyKind, type Failure } from "../../core/routing/retry.ts";
import { instanceKey } from "../../contracts/desired.ts";
import type { Endpoint, Route, RouteRelease } from "../../contracts/route.ts";
import { PREVIEW_PATH } from "../../contracts/override.ts";
import { INSTANCE_HEADER, ROUTE_VERSION_HEADER, type GatewayError } from "../../contracts/ticket.ts";
import type { EdgeEnv } from "./env.ts";
import { fetchInstance, type InstanceRequest, type InstanceResult } from "./fetch-instance.ts";
import type { Visitor } from "./forwarded.ts";
import { ejections, failures, retries, targets, watches } from "./isolate.ts";
import { learn, lookAround } from "./learn.ts";
import { distanceFrom } from "./near.ts";
import { page, type PageCode } from "./pages.ts";
import type { RouteBook } from "./routes.ts";
import { closedTo, namedBy, namesRelease, openPreview, type Named } from "./previews.ts";
import { tasteOf, withCookie } from "./tastes.ts";
import { Late } from "./watch.ts";

const limits = ROUTING_LIMITS;
const load = (endpoint: Endpoint): number => targets.load(endpoint);

export interface Serving {
  readonly request: Request;
  readonly visitor: Visitor;
  /** The version that a preview's hostname names. */
  readonly preview: number | null;
  readonly env: EdgeEnv;
  readonly routes: RouteBook;
  readonly keepAlive: (promise: Promise<unknown>) => void;
}

/** An answer, or what to tell the visitor if nothing better comes, and whether another instance may be asked. */
type Attempt =
  | { readonly kind: "answered"; readonly response: Response; readonly routeVersion: number | null }
  | { readonly kind: "failed"; readonly page: PageCode; readonly failure: Failure; readonly refresh: boolean };

/** startedAtMs: now. The clock of a Worker stands still between its awaits, and reading it is a call into the runtime. */
export async function serve(serving: Serving, first: Route, startedAtMs: number): Promise<Response> {
  const { request, visitor, preview, routes, env, keepAlive } = serving;
  const { requestId } = visitor;
  const key = env.TICKET_SIGNING_KEY;
  if (preview !== null && visitor.path.startsWith(PREVIEW_PATH)) {
    const opened = await openPreview(request, { preview, app: first.app, key, nowMs: startedAtMs });
    return opened ?? page("preview_signed", request, requestId);
  }
  const { headers } = request;
  const named = namesRelease(headers, preview) ? await namedBy(headers, preview, first.app, key, startedAtMs) : null;
  if (named === "invalid") return page("override_invalid", request, requestId);
  const taste = tasteOf(first, headers, named === null ? null : named.version);
  const distance = distanceFrom(request, first, env.REGION_PLACES);
  const content = request.body;
  const declaredBytes = content === null ? null : declaredOf(headers);
  if (content !== null && CARRY_NO_BODY.has(request.method)) return page("body_not_carried", request, requestId);
  if (tooLarge(first, declaredBytes)) return page("body_too_large", request, requestId);
  const body = content === null ? withoutBody(request) : await readBody(request, declaredBytes);
  if (!retries.none) retries.began(first.app);
  let tried: Set<string> | null = null;
  let refreshed = false;
  let route = first;
  let nowMs = content === null ? startedAtMs : Date.now();
  let told: PageCode = "no_ready_instance";
  for (let attempts = 0; attempts < limits.attemptsMax; attempts++) {
    const avoids = ejections.none ? null : ejections.avoids(mayRetry("ambiguous", request.method, body.kind), nowMs);
    const wanted: ChoiceRequest = { tried, avoids, load, only: taste.only, visitor: taste.visitor, distance };
    const choice = choose(route, wanted, randomSeed(), taste.spot);
    if (choice.kind === "none") {
      // A preview may be asked for before KV has heard of its release.
      if (attempts === 0 && choice.reason === "no_release" && !refreshed) {
        refreshed = true;
        attempts--;
        route = (await routes.refreshOnceIn(route.app, limits.recheckMs, env, keepAlive)) ?? route;
        continue;
      }
      if (attempts === 0) return page(unavailable(route, choice, routes, named), request, requestId);
      break;
    }
    const { endpoint, release } = choice;
    const closed = named === null ? null : closedTo(named, release, route);
    if (closed !== null) return page(closed, request, requestId);
    const attempt = await ask(serving, { route, release, endpoint, preview: named !== null }, body, nowMs);
    if (!ejections.none) lookAround(serving, route);
    if (attempt.kind === "answered") {
      if (attempt.routeVersion !== null) routes.named(route.app, attempt.routeVersion, env, keepAlive);
      const response = attempt.routeVersion === null ? attempt.response : withoutInternals(attempt.response);
      return withCookie(response, taste, visitor.proto === "https");
    }
    tried = (tried ?? new Set<string>()).add(instanceKey(endpoint));
    told = attempt.page;
    if (attempt.refresh) route = (await routes.refresh(route.app, env, keepAlive)) ?? route;
    if (!mayRetry(attempt.failure, request.method, body.kind)) break;
    nowMs = Date.now();
    // A move is no failure, and what hung on a node that is gone goes elsewhere once, not again and again: both are always followed.
    if (told !== "instance_moved" && told !== "node_timeout" && !retries.allows(route.app, nowMs)) break;
  }
  if (told !== "malformed_request") failures.tell(route.app, told, requestId, Date.now());
  return page(told, request, requestId);
}

/** A Worker sends these without a body. Tried all the same, it would look as if the gateway could not be reached. */
const CARRY_NO_BODY: ReadonlySet<string> = new Set(["GET", "HEAD"]);

/** init: what is sent, with this body; once only where that is streamed. */
interface Body {
  readonly kind: BodyKind;
  readonly init: InstanceRequest["init"];
}

const withoutBody = (request: Request): Body => ({ kind: "none", init: request });

function declaredOf(headers: Headers): number | null {
  const declared = headers.get("content-length");
  return declared === null ? null : Number(declared);
}

/** By what the visitor declares; what comes in chunks is measured by the gateway, which passes it on. */
function tooLarge({ state }: Route, declaredBytes: number | null): boolean {
  if (declaredBytes === null || state.kind !== "serving") return false;
  return state.releases.every(({ bodyBytesMax }) => bodyBytesMax !== undefined && declaredBytes > bodyBytesMax);
}

async function readBody(request: Request, declaredBytes: number | null): Promise<Body> {
  const kind = bodyKind(true, declaredBytes, limits.bodyBufferBytesMax);
  if (kind !== "buffered") return { kind, init: request };
  const { method, headers } = request;
  return { kind, init: { method, headers, body: await request.arrayBuffer(), redirect: "manual" } };
}

interface To {
  readonly route: Route;
  readonly release: RouteRelease;
  readonly endpoint: Endpoint;
  readonly preview: boolean;
}

async function ask(serving: Serving, to: To, body: Body, sentAtMs: number): Promise<Attempt> {
  const { visitor, env, keepAlive } = serving;
  const { route, endpoint } = to;
  const target = targets.of(route, endpoint);
  const ticket = target.ticket(to.preview, sentAtMs) ?? (await target.newTicket(to, env.TICKET_SIGNING_KEY, sentAtMs));
  if (!ejections.none) ejections.sent(endpoint, sentAtMs);
  const window = target.began(sentAtMs);
  const watch =
    watches.current(endpoint.node, sentAtMs) ??
    watches.begin(endpoint.node, sentAtMs, () => ejections.probe(endpoint, keepAlive), keepAlive);
  try {
    const { path, host } = visitor;
    const sent = { init: body.init, path, host, routeVersion: route.version, visitor };
    const asked = fetchInstance({ endpoint, ticket }, sent);
    // What still hangs when the node is given up ends with the visitor's request.
    let result = await watch.over(asked);
    // After a moment in which this isolate had no time both are there at once: what was answered counts.
    if (result instanceof Late) result = await Promise.race([asked, Promise.resolve(result)]);
    if (result instanceof Late && staysWith(result, to, body))
      result = await patiently(asked, result, () => ejections.probe(endpoint, keepAlive));
    if (result instanceof Late) return { kind: "failed", page: "node_timeout", failure: "ambiguous", refresh: false };
    learn(serving, { ...to, target, sentAtMs, streamed: body.kind === "streamed" }, result);
    return judge(result);
  } finally {
    target.ended(window);
  }
}

/**
 * Where no other node stands, there is nothing to gain by leaving this one: nodes that are late all at once are more likely to be
 * overloaded than gone, and load that is moved about then makes it worse. Nor is there for what may not be sent twice, while the
 * node's host still takes connections: its answer is most likely on its way.
 */
function staysWith({ presence }: Late, { route, endpoint }: To, { kind, init }: Body): boolean {
  if (!ejections.standsBeside(route, endpoint.node, Date.now())) return true;
  return presence === "busy" && !mayRetry("ambiguous", init.method ?? "GET", kind);
}

/** Longer than all probes of a node that is busy take together. */
const PATIENCE_MS = (limits.busyProbes + 2) * (limits.ejectMs + limits.probeTimeoutMs);

/** The answer, if it comes before the node has been silent, or busy, for as many probes in a row as are granted to either. */
async function patiently(asked: Promise<InstanceResult>, late: Late, probe: () => Promise<Presence>) {
  const givenUp = (async (): Promise<Late> => {
    let now = late;
    for (let spent = 0; spent < limits.busyProbes;) {
      await new Promise((resolve) => setTimeout(resolve, limits.ejectMs));
      const presence = await probe();
      if (presence === "answers") spent = 0;
      else {
        now = new Late(presence);
        spent += presence === "busy" ? 1 : limits.busyProbes / limits.lastProbes;
      }
    }
    return now;
  })();
  // A timer of this very request: without one, workerd holds a request that waits for another's probe to hang, and ends it.
  let timer: ReturnType<typeof setTimeout> | undefined;
  const longest = new Promise<Late>((resolve) => (timer = setTimeout(() => resolve(late), PATIENCE_MS)));
  try {
    return await Promise.race([asked, givenUp, longest]);
  } finally {
    clearTimeout(timer);
  }
}

function judge(result: InstanceResult): Attempt {
  switch (result.kind) {
    case "answered":
      return result;
    case "gone":
      return { kind: "failed", page: "instance_moved", failure: "untouched", refresh: true };
    case "unreachable":
      return { kind: "failed", page: "unreachable", failure: "ambiguous", refresh: false };
    case "gateway_error":
      return { kind: "failed", page: pageOf(result.code), failure: failureOf(result.code), refresh: false };
  }
}

function pageOf(code: GatewayError): PageCode {
  switch (code) {
    case "connect_failed":
    case "upstream_reset":
    case "upstream_timeout":
      return code;
    case "malformed_request":
    case "body_too_large":
      return code;
    case "too_many_connections":
      return "overloaded";
    case "instance_gone":
      return "instance_moved";
    case "ticket_missing":
    case "ticket_invalid":
    case "ticket_expired":
      return "internal";
  }
}

type None = Extract<Choice, { kind: "none" }>;

function unavailable(route: Route, choice: None, routes: RouteBook, named: Named | null): PageCode {
  if (choice.reason === "no_release") {
    // Never a 404 by staleness (invariant 9).
    if (routes.isUnconfirmed(route.app)) return "no_ready_instance";
    return (named === null ? null : closedTo(named, null, route)) ?? "no_release";
  }
  if (choice.reason === "exhausted" || route.state.kind === "serving") return "no_ready_instance";
  return route.state.kind === "waking" ? "waking" : route.state.reason;
}

/** The app's answer without the gateway's headers; encoded bodies stay as they are. */
function withoutInternals(response: Response): Response {
  const headers = new Headers(response.headers);
  headers.delete(ROUTE_VERSION_HEADER);
  headers.delete(INSTANCE_HEADER);
  const { status, statusText, webSocket } = response;
  return new Response(response.body, { status, statusText, headers, webSocket, encodeBody: "manual" });
}

const randomSeed = (): number => (Math.random() * 0x1_0000_0000) | 0;
