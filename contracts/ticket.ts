// The gateway ticket and the headers between edge and gateway.
import { z } from "zod";
import { AppId, InstanceId, NodeId, TeamId } from "./ids.ts";

export const TICKET_TYP = "berth-ticket+jwt";
export const TICKET_ISSUER = "berth";
export const TICKET_TTL_MS_MAX = 60_000;

/**
 * A JWT (EdDSA, typ `berth-ticket+jwt`, iss `berth`, aud = node id, sub = instance id); iat and exp in seconds, exp - iat ≤ 60.
 * preview: its release was asked for by name, so that this is no random visitor: billed, and not shown to the release's judge. Beside
 * `use` and not one of its own, because gateways of the version before refuse a use that they do not know.
 */
export const TicketClaims = z.object({
  iss: z.literal(TICKET_ISSUER),
  aud: NodeId,
  sub: InstanceId,
  team: TeamId,
  app: AppId,
  gen: z.int().positive(),
  use: z.enum(["app", "verify", "logs", "metrics", "exec", "tcp"]),
  preview: z.boolean().optional(),
  iat: z.int(),
  exp: z.int(),
});
export type TicketClaims = z.infer<typeof TicketClaims>;

/**
 * The one request header from edge to gateway, all in one because each header costs a Worker microseconds: the ticket, and
 * about the visitor what the gateway writes into the app's request. Separated by spaces; `-` where nothing is said:
 * `<JWT> <route version the edge knows> <http|https> <x-request-id> <visitor's address> <host>`. The JWT alone will do.
 * The edge overwrites a client's copy; the gateway removes every `berth-` header before the app.
 */
export const TICKET_HEADER = "berth-ticket";
export interface TicketEnvelope {
  readonly ticket: string;
  readonly routeVersion: number | null;
  readonly proto: string | null;
  readonly requestId: string | null;
  readonly address: string | null;
  /** The Host that the visitor named, port included; the gateway gives it to the app (a Worker's fetch sets its own). */
  readonly host: string | null;
}
export const formatEnvelope = (at: TicketEnvelope): string =>
  `${at.ticket} ${at.routeVersion ?? "-"} ${at.proto ?? "-"} ${at.requestId ?? "-"} ${at.address ?? "-"} ${at.host ?? "-"}`;
export function parseEnvelope(value: string): TicketEnvelope {
  const [ticket = "", version = "-", proto, requestId, address, host] = value.split(" ", 6);
  return {
    ticket,
    routeVersion: /^\d{1,15}$/.test(version) ? Number(version) : null,
    proto: saidOrNull(proto),
    requestId: saidOrNull(requestId),
    address: saidOrNull(address),
    host: saidOrNull(host),
  };
}
const saidOrNull = (part: string | undefined): string | null =>
  part === undefined || part === "-" || part === "" ? null : part;
/**
 * Answer headers, gateway → edge; the edge removes them before the visitor. A request that names the route version the
 * edge knows gets them only if the gateway knows a newer one, so that ordinary answers pass the edge untouched.
 */
export const ROUTE_VERSION_HEADER = "berth-route-version";
export const INSTANCE_HEADER = "berth-instance";
/** Set on answers that the gateway itself made, with a GatewayError; absent on the app's own answers. */
export const GATEWAY_ERROR_HEADER = "berth-gateway-error";
export const GATEWAY_ERRORS = [
  "ticket_missing",
  "ticket_invalid",
  "ticket_expired",
  "instance_gone",
  "connect_failed",
  "upstream_reset",
  "upstream_timeout",
  "too_many_connections",
  "malformed_request",
  "body_too_large",
] as const;
export type GatewayError = (typeof GATEWAY_ERRORS)[number];
/** Given to the app: which request this is; made by the edge where the client sent none. */
export const REQUEST_ID_HEADER = "x-request-id";

/** Paths under this prefix, with a ticket for that use, are the gateway's own: `/.berth/logs?tail=100&follow=1`, `/.berth/health` (no ticket). */
export const GATEWAY_PREFIX = "/.berth/";

/** One line of `/.berth/logs` (application/x-ndjson). */
export const LogLine = z.object({
  atMs: z.int(),
  stream: z.enum(["stdout", "stderr", "berth"]),
  line: z.string(),
});
export type LogLine = z.infer<typeof LogLine>;
