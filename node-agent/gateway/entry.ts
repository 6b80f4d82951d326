// What a request finds at this gateway, by its path and its ticket: an app, an app's log, a node behind this one, or a refusal.
import type { NodeId } from "../../contracts/ids.ts";
import { HEALTH_NODE, RELAY_PATH, RELAY_UPGRADE } from "../../contracts/relay.ts";
import { GATEWAY_PREFIX, type GatewayError, type TicketClaims } from "../../contracts/ticket.ts";
import type { EndpointInstance } from "../endpoint-file.ts";
import { RelayWay } from "../relay/relay-way.ts";
import { RelayedTunnel } from "../relay/relayed-tunnel.ts";
import { ownAnswer } from "./answers.ts";
import type { Carrier } from "./arriving.ts";
import type { RequestHead } from "./head.ts";
import { LogReader } from "./logs.ts";
import { RawTunnel } from "./raw-tunnel.ts";
import type { Edge, Gateway, Serving, ToServe } from "./serving.ts";
import type { TicketVerdict } from "./tickets.ts";
import { AppWay, type Way } from "./way.ts";

export type Entry =
  | { readonly kind: "refused"; readonly code: GatewayError; readonly message: string; readonly version: number }
  /** Answered right here; text: the whole answer. */
  | { readonly kind: "told"; readonly text: string }
  | { readonly kind: "way"; readonly way: Way; readonly counts: ToServe["counts"] }
  | { readonly kind: "serving"; readonly open: (edge: Edge) => Serving }
  /** Another protocol is spoken on this very connection from now on. */
  | { readonly kind: "given away"; readonly to: (socket: Carrier) => void }
  | { readonly kind: "later"; readonly entry: Promise<Entry> };

/** bodyless: no body comes with it. */
export function entryOf(gateway: Gateway, head: RequestHead, bodyless: boolean): Entry {
  const { tickets, endpoints, limits } = gateway;
  if (head.target.startsWith(GATEWAY_PREFIX)) {
    const [path, query = ""] = head.target.split("?", 2);
    if (path === `${GATEWAY_PREFIX}health`) return healthOf(gateway, head, new URLSearchParams(query).get(HEALTH_NODE));
    if (path === RELAY_PATH && head.relay !== null) return { kind: "later", entry: admitted(gateway, head.relay) };
  }
  const ticket = head.envelope?.ticket ?? "";
  if (ticket === "") return refused("ticket_missing", "a ticket is required");
  const controlNowMs = endpoints.controlNowMs();
  const known = tickets.known(ticket, controlNowMs);
  if (known !== null) return judged(gateway, known, head, bodyless);
  if (ticket.length > limits.ticketBytesMax) return refused("ticket_invalid", "the ticket is too long");
  const verified = tickets.verify(ticket, controlNowMs);
  return { kind: "later", entry: verified.then((verdict) => judged(gateway, verdict, head, bodyless)) };
}

function judged(gateway: Gateway, verdict: TicketVerdict, head: RequestHead, bodyless: boolean): Entry {
  if (verdict.kind === "refused") return refused(verdict.code, verdict.why);
  const { claims } = verdict;
  if (verdict.kind === "elsewhere") return passedOn(gateway, claims, head, bodyless);
  const found = gateway.endpoints.find(claims);
  if (found.kind === "foreign") return refused("ticket_invalid", "the ticket is not for this instance's team and app");
  if (found.kind === "gone") return gone(gateway, claims);
  const { instance } = found;
  if (claims.use === "logs") return logsOf(gateway, instance, head, bodyless);
  if (claims.use === "tcp") return tcpOf(gateway, claims, instance, { head, bodyless });
  return appOf(gateway, claims, instance, head);
}

function tcpOf(
  gateway: Gateway,
  claims: TicketClaims,
  instance: EndpointInstance,
  { head: { target, method }, bodyless }: { head: RequestHead; bodyless: boolean },
): Entry {
  const [path, query] = target.split("?", 2);
  const port = Number(new URLSearchParams(query).get("port") ?? instance.port);
  const isIts = port === instance.port || instance.hostPorts?.includes(port) === true;
  if (path !== `${GATEWAY_PREFIX}tcp` || method !== "GET" || !bodyless || !isIts)
    return refused("ticket_invalid", "a ticket for tcp opens GET /.berth/tcp to a port of its instance only");
  if (instance.state === "gone" || instance.state === "starting") return gone(gateway, claims);
  if (gateway.counters.of(instance).open >= gateway.limits.openPerInstanceMax)
    return refused("too_many_connections", "the instance has too many open requests");
  return { kind: "serving", open: (edge) => new RawTunnel(edge, gateway, instance, port) };
}

function appOf(gateway: Gateway, claims: TicketClaims, instance: EndpointInstance, head: RequestHead): Entry {
  if ((claims.use !== "app" && claims.use !== "verify") || head.target.startsWith(GATEWAY_PREFIX))
    return refused("ticket_invalid", `a ticket for ${claims.use} does not open this path`);
  if (instance.state === "gone" || instance.state === "starting") return gone(gateway, claims);
  if (gateway.counters.of(instance).open >= gateway.limits.openPerInstanceMax)
    return refused("too_many_connections", "the instance has too many open requests");
  const bodyBytesMax = instance.http?.bodyBytesMax ?? Infinity;
  if (head.length !== null && head.length > bodyBytesMax)
    return refused("body_too_large", `the body may have at most ${bodyBytesMax} bytes`);
  const counts = claims.use === "verify" ? "nowhere" : claims.preview === true ? "billed" : "everywhere";
  return { kind: "way", way: new AppWay(gateway, instance, counts !== "nowhere"), counts };
}

function logsOf(gateway: Gateway, instance: EndpointInstance, head: RequestHead, bodyless: boolean): Entry {
  const [path, query] = head.target.split("?", 2);
  if (path !== `${GATEWAY_PREFIX}logs` || head.method !== "GET" || !bodyless)
    return refused("ticket_invalid", "a ticket for logs opens GET /.berth/logs only");
  return { kind: "serving", open: (edge) => new LogReader(edge, gateway, instance, new URLSearchParams(query)) };
}

/** node: another one than this is asked itself, if it is reached through this one. */
function healthOf(gateway: Gateway, head: RequestHead, node: string | null): Entry {
  const own = gateway.endpoints.file?.node ?? null;
  if (node === null || own === null || node === own)
    return { kind: "told", text: ownAnswer("200 OK", "", { status: "ok", node: own }, head.method === "HEAD") };
  return (
    through(gateway, node as NodeId, null) ??
    refused("connect_failed", "no node of that name has a connection to this one")
  );
}

/** To a node that is reached through this one, if it is. It judges the ticket itself, as if the edge had come to it. */
function passedOn(gateway: Gateway, { aud: node, use }: TicketClaims, head: RequestHead, bodyless: boolean): Entry {
  const { tunnels } = gateway.relay;
  const raw = use === "tcp" ? head : null;
  if (raw !== null && !bodyless)
    return refused("ticket_invalid", "a ticket for tcp opens a request without a body only");
  const way = through(gateway, node, raw);
  if (way !== null) return way;
  if (!tunnels.isExpected(node)) return refused("ticket_invalid", "the ticket is for another node's gateway");
  const awaited = tunnels.soon(node).then(() => through(gateway, node, raw));
  const away = refused("connect_failed", "the node has no connection to its relay just now");
  return { kind: "later", entry: awaited.then((entry) => entry ?? away) };
}

/** raw: whose head asks for bytes both ways, not for an answer. */
function through(gateway: Gateway, node: NodeId, raw: RequestHead | null): Entry | null {
  const { tunnels } = gateway.relay;
  const tunnel = tunnels.of(node);
  if (tunnel === null) return null;
  if (tunnel.tally.open >= gateway.limits.openPerInstanceMax)
    return refused("too_many_connections", "the node behind this relay has too many open requests");
  if (raw !== null) return { kind: "serving", open: (edge) => new RelayedTunnel(edge, gateway, tunnel, raw) };
  return { kind: "way", way: new RelayWay(gateway, tunnels, tunnel), counts: "nowhere" };
}

async function admitted({ relay }: Gateway, header: string): Promise<Entry> {
  const admission = await relay.admit(header);
  if (admission.kind === "refused") return refused("ticket_invalid", admission.why);
  const adopt = (socket: Carrier): void => {
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${RELAY_UPGRADE}\r\n\r\n`);
    relay.adopt(admission.node, socket);
  };
  return { kind: "given away", to: adopt };
}

function gone(gateway: Gateway, { app }: TicketClaims): Entry {
  const version = gateway.endpoints.routeVersion(app);
  return refused("instance_gone", "the instance is not on this node any more", version);
}

const refused = (code: GatewayError, message: string, version = 0): Entry => ({
  kind: "refused",
  code,
  message,
  version,
});
