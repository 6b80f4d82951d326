// One visitor's request: choose an instance, ask it, and try others where that can do no harm.
import { choose, type Choice } from "../../core/routing/choose.ts";
import { verdictOf } from "../../core/routing/ejections.ts";
import { ROUTING_LIMITS } from "../../core/routing/limits.ts";
import { bodyKind, failureOf, mayRetry, type BodyKind, type Failure } from "../../core/routing/retry.ts";
import { instanceKey } from "../../contracts/desired.ts";
import type { Endpoint, Route } from "../../contracts/route.ts";
import { INSTANCE_HEADER, ROUTE_VERSION_HEADER, type GatewayError } from "../../contracts/ticket.ts";
import { Ejections } from "./ejections.ts";
import type { EdgeEnv } from "./env.ts";
import { Failures } from "./failures.ts";
import { fetchInstance, type InstanceResult } from "./fetch-instance.ts";
import type { Visitor } from "./forwarded.ts";
import { page, type PageCode } from "./pages.ts";
import { report, Reports } from "./reports.ts";
import type { RouteBook } from "./routes.ts";
import { Targets } from "./targets.ts";
import { Watches } from "./watch.ts";

const limits = ROUTING_LIMITS;
const targets = new Targets();
const ejections = new Ejections();
const watches = new Watches();
const reports = new Reports();
const failures = new Failures();
const load = (endpoint: Endpoint): number => targets.load(endpoint);

export interface Serving {
  readonly request: Request;
  readonly visitor: Visitor;
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
  const { request, visitor, routes, env, keepAlive } = serving;
  const body = request.body === null ? NO_BODY : await readBody(request, request.body);
  const headers = new Headers(request.headers);
  const repeatable = mayRetry("ambiguous", request.method, body.kind);
  let tried: Set<string> | null = null;
  let route = first;
  let nowMs = body === NO_BODY ? startedAtMs : Date.now();
  let told: PageCode = "no_ready_instance";
  for (let attempts = 0; attempts < limits.attemptsMax; attempts++) {
    const choice = choose(route, { tried, avoids: ejections.avoids(repeatable, nowMs), load }, randomSeed());
    if (choice.kind === "none") {
      if (attempts === 0) return page(unavailable(route, choice), request, visitor.requestId);
      break;
    }
    const { endpoint } = choice;
    const attempt = await ask(serving, route, endpoint, headers, body, nowMs);
    if (!ejections.none) lookAround(serving, route);
    if (attempt.kind === "answered") {
      if (attempt.routeVersion === null) return attempt.response;
      routes.named(route.app, attempt.routeVersion, env, keepAlive);
      return withoutInternals(attempt.response);
    }
    tried = (tried ?? new Set<string>()).add(instanceKey(endpoint));
    told = attempt.page;
    if (attempt.refresh) route = (await routes.refresh(route.app, env, keepAlive)) ?? route;
    if (!mayRetry(attempt.failure, request.method, body.kind)) break;
    nowMs = Date.now();
  }
  if (told !== "malformed_request") failures.tell(route.app, told, visitor.requestId, Date.now());
  return page(told, request, visitor.requestId);
}

/**
 * While anything is held against anybody: nodes of the route that are due are probed, and the App object hears of its instances
 * on nodes whose gateway is dead, whichever app's request found that out.
 */
function lookAround({ env, keepAlive }: Serving, { app, state, atMs }: Route): void {
  if (state.kind !== "serving") return;
  const nowMs = Date.now();
  for (const { endpoints } of state.releases) {
    for (const endpoint of endpoints) {
      const node = ejections.nodeStanding(endpoint.node, atMs, nowMs);
      if (node.kind === "due") keepAlive(ejections.probe(endpoint, keepAlive));
      if (node.kind === "out" && reports.admit(endpoint, node.untilMs, nowMs))
        keepAlive(report(env, app, endpoint, "connect"));
    }
  }
}

interface Body {
  readonly kind: BodyKind;
  readonly content: ReadableStream | ArrayBuffer | null;
}

const NO_BODY: Body = { kind: "none", content: null };

async function readBody(request: Request, stream: ReadableStream): Promise<Body> {
  const declared = request.headers.get("content-length");
  const kind = bodyKind(true, declared === null ? null : Number(declared), limits.bodyBufferBytesMax);
  return { kind, content: kind === "buffered" ? await request.arrayBuffer() : stream };
}

async function ask(
  serving: Serving,
  route: Route,
  endpoint: Endpoint,
  headers: Headers,
  body: Body,
  sentAtMs: number,
): Promise<Attempt> {
  const { request, visitor, env, keepAlive } = serving;
  const target = targets.of(route, endpoint);
  const ticket = target.ticket(sentAtMs) ?? (await target.newTicket(route, endpoint, env.TICKET_SIGNING_KEY, sentAtMs));
  if (!ejections.none) ejections.sent(endpoint, sentAtMs);
  const window = target.began(sentAtMs);
  const watch =
    watches.current(endpoint.node, sentAtMs) ??
    watches.begin(endpoint.node, sentAtMs, () => ejections.probe(endpoint, keepAlive), keepAlive);
  try {
    const asked = fetchInstance(
      { endpoint, ticket },
      {
        method: request.method,
        path: visitor.path,
        host: visitor.host,
        headers,
        body: body.content,
        routeVersion: route.version,
        visitor,
      },
    );
    // What still hangs when the node is given up ends with the visitor's request.
    const result = await watch.over(asked);
    if (result === "node_gone") return { kind: "failed", page: "node_timeout", failure: "ambiguous", refresh: false };
    learn(serving, route, endpoint, result, sentAtMs);
    return judge(result);
  } finally {
    target.ended(window);
  }
}

/** What a result says about the instance and its node. */
function learn(serving: Serving, route: Route, to: Endpoint, result: InstanceResult, sentAtMs: number): void {
  const { env, keepAlive } = serving;
  if (result.kind === "answered" && ejections.none) return;
  const nowMs = Date.now();
  if (result.kind === "unreachable") {
    // Its gateway may be dead, or have closed this one connection: the node is left alone until its probe has told.
    ejections.eject(to, nowMs);
    keepAlive(ejections.probe(to, keepAlive).then((there) => (there ? undefined : lookAround(serving, route))));
    return;
  }
  ejections.answered(to, result.kind === "answered", sentAtMs, nowMs);
  const verdict = result.kind === "gateway_error" ? verdictOf(result.code) : null;
  if (verdict === null) return;
  const { count, untilMs } = ejections.eject(to, nowMs);
  const tells = verdict.reportFrom !== null && count >= verdict.reportFrom;
  if (tells && reports.admit(to, untilMs, nowMs)) keepAlive(report(env, route.app, to, "gateway_5xx"));
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

function unavailable(route: Route, choice: Extract<Choice, { kind: "none" }>): PageCode {
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
