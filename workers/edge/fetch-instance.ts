// One request to one instance through its node's gateway, and what became of it as a tagged result. Decides no retry.
import type { Endpoint } from "../../contracts/route.ts";
import {
  GATEWAY_ERROR_HEADER,
  GATEWAY_ERRORS,
  ROUTE_VERSION_HEADER,
  TICKET_HEADER,
  formatEnvelope,
  type GatewayError,
} from "../../contracts/ticket.ts";

/** redirect: what an app answers is passed on, whatever it is; of a request that came in it is so already. */
type Init = Request | (RequestInit & { readonly headers: Headers; readonly redirect: "manual" });

export interface InstanceRequest {
  /**
   * Method, headers and body. The ticket's header is set on these very headers; the gateway drops whatever else begins with `berth-`.
   * A Request whole costs a Worker less than its parts: each name and each value of a list is a call into the runtime.
   */
  readonly init: Init;
  /** Path and query, beginning with a slash. */
  readonly path: string;
  /** The Host the app is to see. */
  readonly host: string;
  /** What the caller knows: the gateway then says a version only if it knows a newer one. Absent: it always says. */
  readonly routeVersion?: number;
  /** For x-request-id and x-forwarded-*; absent where no visitor is behind the request. */
  readonly visitor?: { readonly requestId: string; readonly proto: "http" | "https"; readonly address: string | null };
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
  const { init, visitor } = request;
  const envelope = {
    ticket: to.ticket,
    routeVersion: request.routeVersion ?? null,
    proto: visitor?.proto ?? null,
    requestId: visitor?.requestId ?? null,
    address: visitor?.address ?? null,
    host: request.host,
  };
  init.headers.set(TICKET_HEADER, formatEnvelope(envelope));
  let response: Response;
  try {
    response = await fetch(to.endpoint.gatewayUrl + request.path, init);
  } catch (error) {
    return { kind: "unreachable", message: error instanceof Error ? error.message : String(error) };
  }
  const named = response.headers.get(ROUTE_VERSION_HEADER);
  const routeVersion = named !== null && /^\d{1,15}$/.test(named) ? Number(named) : null;
  // A gateway's own answers are all errors: an ordinary one is not looked at twice.
  const code = response.status < 400 ? null : response.headers.get(GATEWAY_ERROR_HEADER);
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
