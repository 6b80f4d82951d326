// gRPC: HTTP/2 to the app itself, trailers and all, over a raw tunnel through its node's gateway.
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from "node:http2";
import { instanceKey } from "../../contracts/desired.ts";
import { choose } from "../../core/routing/choose.ts";
import { ROUTING_LIMITS } from "../../core/routing/limits.ts";
import type { Owner } from "./gateways.ts";
import type { Target } from "./held.ts";
import type { Ingress } from "./ingress.ts";
import type { IngressLimits } from "./limits.ts";
import { absenceOf, routeFor } from "./reception.ts";
import type { Visitor } from "./visitor.ts";

export const isGrpc = (headers: IncomingHttpHeaders): boolean =>
  headers["content-type"]?.startsWith("application/grpc") === true;

/** gRPC's own words for what a visitor of a page would be told (grpc-status 14: unavailable, 12: unimplemented). */
const UNAVAILABLE = "14";
const UNIMPLEMENTED = "12";

/** One session per instance, shared by all who come. */
export class AppSessions {
  readonly #limits: IngressLimits;
  readonly #sessions = new Map<string, Promise<ClientHttp2Session>>();

  constructor(limits: IngressLimits) {
    this.#limits = limits;
  }

  of({ gateways }: Ingress, owner: Owner, target: Target): Promise<ClientHttp2Session> {
    const key = instanceKey(target);
    const known = this.#sessions.get(key);
    if (known !== undefined) return known;
    const opening = gateways.tunnel(owner, target, null).then((socket) => {
      const session = connect("http://app", { createConnection: () => socket });
      session.setTimeout(this.#limits.sessionIdleMs, () => session.close());
      // What fails on it is told to its streams.
      session.on("error", () => undefined);
      session.on("goaway", () => this.#sessions.delete(key));
      session.once("close", () => this.#sessions.delete(key));
      return session;
    });
    this.#sessions.set(key, opening);
    opening.catch(() => this.#sessions.delete(key));
    return opening;
  }

  close(): void {
    for (const opening of this.#sessions.values())
      void opening.then(
        (session) => session.destroy(),
        () => undefined,
      );
  }
}

export interface Call {
  readonly stream: ServerHttp2Stream;
  readonly headers: IncomingHttpHeaders;
  readonly visitor: Visitor;
  /** Its header lines, as of any request. */
  readonly lines: string;
}

export async function serveGrpc(ingress: Ingress, sessions: AppSessions, call: Call): Promise<void> {
  const { held, tastes } = ingress;
  const { stream, headers, visitor, lines } = call;
  const route = routeFor(ingress, visitor, headers[":path"] ?? "/");
  if (typeof route === "string") return refuse(stream, route === "unknown_host" ? UNIMPLEMENTED : UNAVAILABLE, route);
  const absence = absenceOf(route);
  if (absence !== null) return refuse(stream, UNAVAILABLE, absence);
  const taste = tastes.of(route, lines, visitor.proto === "https", null);
  const tried = new Set<string>();
  for (let attempts = 0; attempts < ROUTING_LIMITS.attemptsMax; attempts++) {
    const wanted = { tried, avoids: held.avoids(true, Date.now()), visitor: taste.visitor, load: held.load };
    const choice = choose(route, wanted, (Math.random() * 0x1_0000_0000) | 0, taste.spot);
    if (choice.kind === "none") break;
    const { endpoint: target } = choice;
    tried.add(instanceKey(target));
    try {
      // Only the opening of the tunnel is tried elsewhere: what was sent on it may have been acted upon.
      const session = await sessions.of(ingress, route, target);
      const tally = held.openAt(target);
      tally.open += 1;
      stream.once("close", () => (tally.open -= 1));
      return pass(session, call);
    } catch {
      held.ejectInstance(target, Date.now());
    }
  }
  refuse(stream, UNAVAILABLE, "no ready instance");
}

function pass(session: ClientHttp2Session, { stream, headers, visitor }: Call): void {
  const { host, proto, address, requestId } = visitor;
  const onwards = Object.entries(headers).filter(([name]) => !/^(?::|berth-|x-forwarded-)/.test(name));
  const sent = session.request({
    ...Object.fromEntries(onwards),
    ...{ ":method": headers[":method"], ":path": headers[":path"], ":authority": host, ":scheme": "http" },
    ...{ "x-forwarded-proto": proto, "x-forwarded-for": address ?? "", "x-forwarded-host": host },
    "x-request-id": requestId,
  });
  handBack(sent, stream);
  stream.on("close", () => sent.close(stream.rstCode));
  stream.pipe(sent);
}

function handBack(sent: ClientHttp2Stream, stream: ServerHttp2Stream): void {
  let trailers: IncomingHttpHeaders = {};
  sent.on("response", (answer) => {
    if (stream.destroyed) return;
    stream.respond(answer, { waitForTrailers: true });
    sent.pipe(stream);
  });
  sent.on("trailers", (told) => (trailers = told));
  stream.on("wantTrailers", () => stream.sendTrailers(trailers));
  sent.on("error", () => {
    if (stream.headersSent) stream.close(constants.NGHTTP2_INTERNAL_ERROR);
    else refuse(stream, UNAVAILABLE, "the app broke off");
  });
}

export function refuse(stream: ServerHttp2Stream, status: string, message: string): void {
  if (stream.destroyed || stream.headersSent) return;
  const said = { "content-type": "application/grpc", "grpc-status": status, "grpc-message": message };
  stream.respond({ ":status": 200, ...said }, { endStream: true });
}
