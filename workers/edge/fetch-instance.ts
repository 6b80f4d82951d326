// One request to one instance through its node's gateway, and what became of it as a tagged result. Decides no retry.
import type { Endpoint } from "../../contracts/route.ts";
import {
  GATEWAY_ERROR_HEADER,
  GATEWAY_ERRORS,
  HOST_HEADER,
  ROUTE_VERSION_HEADER,
  TICKET_HEADER,
  type GatewayError,
} from "../../contracts/ticket.ts";

export interface InstanceRequest {
  readonly method: string;
  /** Path and query, beginning with a slash. */
  readonly path: string;
  /** The Host the app is to see. */
  readonly host: string;
  /** Free of clients' `berth-` headers; those to the gateway are set here, on this very object. */
  readonly headers: Headers;
  readonly body?: BodyInit | null;
  readonly signal?: AbortSignal;
  /** What the caller knows: the gateway then says a version only if it knows a newer one. Absent: it always says. */
  readonly routeVersion?: number;
}

/**
 * answered: the app's own answer. gone: this gateway no longer has the instance. gateway_error: the gateway's answer about
 * the app. unreachable: nothing came back; whether anything arrived there cannot be known from within a Worker.
 * routeVersion: the newest the node knows, null where it did not say.
 */
export type InstanceResult =
  | { readonly kind: "answered"; readonly response: Response; readonly routeVersion: number | null }
  | { readonly kind: "gone"; readonly routeVersion: number | null }
  | {
      readonly kind: "gateway_error";
      readonly code: GatewayError;
      readonly response: Response;
      readonly routeVersion: number | null;
    }
  | { readonly kind: "unreachable"; readonly message: string };

export async function fetchInstance(
  to: { readonly endpoint: Pick<Endpoint, "gatewayUrl">; readonly ticket: string },
  request: InstanceRequest,
): Promise<InstanceResult> {
  const { headers } = request;
  headers.set(TICKET_HEADER, to.ticket);
  headers.set(HOST_HEADER, request.host);
  if (request.routeVersion !== undefined) headers.set(ROUTE_VERSION_HEADER, String(request.routeVersion));
  let response: Response;
  try {
    response = await fetch(to.endpoint.gatewayUrl + request.path, {
      method: request.method,
      headers,
      body: request.body ?? null,
      redirect: "manual",
      signal: request.signal ?? null,
    });
  } catch (error) {
    return { kind: "unreachable", message: error instanceof Error ? error.message : String(error) };
  }
  const named = response.headers.get(ROUTE_VERSION_HEADER);
  const routeVersion = named !== null && /^\d{1,15}$/.test(named) ? Number(named) : null;
  const code = response.headers.get(GATEWAY_ERROR_HEADER);
  if (code === null) return { kind: "answered", response, routeVersion };
  if (code === "instance_gone") {
    await response.body?.cancel();
    return { kind: "gone", routeVersion };
  }
  if (isGatewayError(code)) return { kind: "gateway_error", code, response, routeVersion };
  return { kind: "gateway_error", code: "upstream_reset", response, routeVersion };
}

function isGatewayError(code: string): code is GatewayError {
  return (GATEWAY_ERRORS as readonly string[]).includes(code);
}
