// One visitor's request: choose an instance, ask it, and try others where that can do no harm.
import { choose, type Choice } from "../../core/routing/choose.ts";
import { ROUTING_LIMITS } from "../../core/routing/limits.ts";
import { bodyKind, failureOf, mayRetry, type BodyKind, type Failure } from "../../core/routing/retry.ts";
import { instanceKey } from "../../contracts/desired.ts";
import type { Endpoint, Route } from "../../contracts/route.ts";
import { INSTANCE_HEADER, ROUTE_VERSION_HEADER, type GatewayError } from "../../contracts/ticket.ts";
import { Busy } from "./busy.ts";
import type { EdgeEnv } from "./env.ts";
import { fetchInstance, type InstanceResult } from "./fetch-instance.ts";
import type { Visitor } from "./forwarded.ts";
import { page, type PageCode } from "./pages.ts";
import type { RouteBook } from "./routes.ts";
import { cachedTicket, ticketFor } from "./tickets.ts";
import { Watches } from "./watch.ts";

const limits = ROUTING_LIMITS;
const busy = new Busy();
const watches = new Watches();

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

export async function serve(serving: Serving, first: Route): Promise<Response> {
  const { request, visitor, routes, env, keepAlive } = serving;
  const body = request.body === null ? NO_BODY : await readBody(request, request.body);
  const headers = new Headers(request.headers);
  const tried = new Set<string>();
  let route = first;
  let told: PageCode = "no_ready_instance";
  for (let attempts = 0; attempts < limits.attemptsMax; attempts++) {
    const choice = choose(route, { tried, ejected: busy.ejected(Date.now()), inFlight: busy.inFlight }, randomSeed());
    if (choice.kind === "none")
      return page(attempts > 0 ? told : unavailable(route, choice), request, visitor.requestId);
    const { endpoint } = choice;
    tried.add(instanceKey(endpoint));
    const attempt = await ask(serving, route, endpoint, headers, body);
    if (attempt.kind === "answered") {
      if (attempt.routeVersion === null) return attempt.response;
      routes.named(route.app, attempt.routeVersion, env, keepAlive);
      return withoutInternals(attempt.response);
    }
    told = attempt.page;
    if (attempt.refresh) route = (await routes.refresh(route.app, env, keepAlive)) ?? route;
    if (!mayRetry(attempt.failure, request.method, body.kind)) break;
  }
  return page(told, request, visitor.requestId);
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

async function ask(serving: Serving, route: Route, endpoint: Endpoint, headers: Headers, body: Body): Promise<Attempt> {
  const { request, visitor, env, keepAlive } = serving;
  const { instance, generation, node } = endpoint;
  const wish = {
    key: env.TICKET_SIGNING_KEY,
    team: route.team,
    app: route.app,
    instance,
    generation,
    node,
    use: "app",
  } as const;
  const nowMs = Date.now();
  const ticket = cachedTicket(wish, nowMs) ?? (await ticketFor(wish, nowMs));
  const watch = watches.over(endpoint, probe, keepAlive);
  const key = instanceKey(endpoint);
  busy.began(key);
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
    if (result.kind === "unreachable") {
      busy.eject(node, Date.now() + limits.ejectBrieflyMs);
      keepAlive(probe(endpoint));
    }
    return judge(result);
  } finally {
    busy.ended(key);
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

/** Whether the node's gateway answers; ejects the node where it does not, takes it back where it does. */
async function probe({ gatewayUrl, node }: Endpoint): Promise<boolean> {
  try {
    const signal = AbortSignal.timeout(limits.probeTimeoutMs);
    const response = await fetch(`${gatewayUrl}/.berth/health`, { signal });
    await response.body?.cancel();
    if (response.ok) {
      busy.readmit(node);
      return true;
    }
  } catch {
    // Refused, reset or silent: all the same here.
  }
  busy.eject(node, Date.now() + limits.ejectMs);
  return false;
}

function pageOf(code: GatewayError): PageCode {
  switch (code) {
    case "connect_failed":
    case "upstream_reset":
    case "upstream_timeout":
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
