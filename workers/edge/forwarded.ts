// The headers that a request leaves the edge with: who the visitor is, what they named, and nothing of their claims to be us.
import {
  GATEWAY_ERROR_HEADER,
  HOST_HEADER,
  INSTANCE_HEADER,
  REQUEST_ID_HEADER,
  ROUTE_VERSION_HEADER,
  TICKET_HEADER,
} from "../../contracts/ticket.ts";

/** Those that mean something to a gateway. Every other `berth-` header of a client ends at the gateway. */
const INTERNAL = [TICKET_HEADER, HOST_HEADER, ROUTE_VERSION_HEADER, INSTANCE_HEADER, GATEWAY_ERROR_HEADER];
const REQUEST_ID = /^[\w.:-]{8,128}$/;

export interface Visitor {
  readonly requestId: string;
  /** As the visitor wrote it, port included. */
  readonly host: string;
}

export function visitorOf(request: Request): Visitor {
  const asked = request.headers.get(REQUEST_ID_HEADER);
  return {
    requestId: asked !== null && REQUEST_ID.test(asked) ? asked : crypto.randomUUID(),
    host: request.headers.get("host") ?? new URL(request.url).host,
  };
}

export function forwardedHeaders(request: Request, { requestId, host }: Visitor): Headers {
  const headers = new Headers(request.headers);
  for (const name of INTERNAL) headers.delete(name);
  headers.set(REQUEST_ID_HEADER, requestId);
  headers.set("x-forwarded-proto", request.url.startsWith("https:") ? "https" : "http");
  headers.set("x-forwarded-host", host);
  headers.delete("forwarded");
  // Cloudflare sets the address and nobody can forge it. A local workerd has none: what a proxy before it said stays.
  const address = headers.get("cf-connecting-ip");
  if (address !== null) {
    headers.set("x-forwarded-for", address);
    headers.set("x-real-ip", address);
  }
  // A Worker's fetch would ask for compression by itself, and the visitor would get what they cannot read.
  if (!headers.has("accept-encoding")) headers.set("accept-encoding", "identity");
  return headers;
}

/** Path and query of an absolute URL, as it was sent. */
export function pathOf(url: string): string {
  const slash = url.indexOf("/", url.indexOf("://") + 3);
  return slash === -1 ? "/" : url.slice(slash);
}

/** The host's name without its port, in lower case, without a final dot. */
export function hostnameOf(host: string): string {
  const name = host.replace(/:\d+$/, "").toLowerCase();
  return name.endsWith(".") ? name.slice(0, -1) : name;
}
