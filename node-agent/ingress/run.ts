// The ingress process: visitors come here when DNS says so. TLS for the region's hostnames, HTTP/1.1 and HTTP/2, gRPC, raw TCP ports.
import type { Server } from "node:net";
import { join } from "node:path";
import type { CryptoKey } from "jose";
import type { NodeId } from "../../contracts/ids.ts";
import { Endpoints } from "../gateway/endpoints.ts";
import { GATEWAY_LIMITS, type GatewayLimits } from "../gateway/limits.ts";
import type { Station } from "../gateway/serving.ts";
import { UpstreamPool } from "../gateway/upstream.ts";
import { IngressCertificates } from "./certificates.ts";
import { Gateways } from "./gateways.ts";
import { AppSessions } from "./grpc.ts";
import { type ListenFds, openIngressDoor } from "./hand-over.ts";
import { Held } from "./held.ts";
import type { Ingress } from "./ingress.ts";
import { INGRESS_LIMITS, type IngressLimits } from "./limits.ts";
import { PeerTickets } from "./peer-tickets.ts";
import { RegionBook } from "./region-book.ts";
import { VisitorServers } from "./servers.ts";
import { Tastes } from "./tastes.ts";
import { type Log, TcpPorts } from "./tcp-ports.ts";

/** Under the agent's folder: certificates that its agent ordered. */
export const INGRESS_CERTIFICATES = "ingress";

export interface IngressOptions {
  /** The agent's folder. */
  readonly dir: string;
  readonly host: string;
  /** 0 picks a free one. */
  readonly tlsPort: number;
  readonly plainPort: number;
  /** More certificates, given by the operator. */
  readonly certificates: string | null;
  readonly node: NodeId;
  /** The node's identity: what its tickets are signed with. */
  readonly signKey: CryptoKey;
  readonly log: Log;
  readonly limits?: Partial<IngressLimits>;
  /** Of the bundle that it runs from. */
  readonly version: string;
  /** Listening sockets that the ingress before passed on, by port; of others it makes new ones. */
  readonly listenFds?: ListenFds;
  /** Another ingress serves on the same sockets now: close this one, patiently. */
  readonly handedOver?: () => void;
}

export interface RunningIngress {
  readonly tlsPort: number;
  readonly plainPort: number;
  /**
   * Takes no more connections, lets what is open end within limits.drainMs, then resolves. patiently: nobody waits for the ports, so that
   * connections stay for as long as they would have (within limits.handOverDrainMs).
   */
  close(how?: { readonly patiently: boolean }): Promise<void>;
}

/** Serves until closed. Rejects when a port cannot be had. */
export async function runIngress(options: IngressOptions): Promise<RunningIngress> {
  const { dir, host, log, certificates: given } = options;
  const limits: IngressLimits = { ...INGRESS_LIMITS, ...options.limits };
  const ingress = ingressOf(options, limits);
  const { station, book, pool, gateways, held } = ingress;
  const certificates = new IngressCertificates([join(dir, INGRESS_CERTIFICATES), ...[given ?? []].flat()], log);
  const sessions = new AppSessions(limits);
  const fds = options.listenFds ?? new Map<number, number>();
  const ports = new TcpPorts(ingress, host, limits, log, fds);
  const servers = new VisitorServers(ingress, sessions, certificates, limits);
  const look = async (): Promise<void> => {
    if (await station.endpoints.changed()) await station.endpoints.load();
    if (await book.look()) {
      held.prune();
      log.info({ version: book.snapshot?.version }, "the region is served by this snapshot");
    }
    await certificates.look();
    ports.look(new Set([tlsPort, plainPort]));
    pool.prune(gateways.liveKeys(), performance.now());
  };
  const tlsPort = await listen(servers.secure, host, options.tlsPort, fds);
  const plainPort = await listen(servers.plain, host, options.plainPort, fds);
  const sweeping = setInterval(() => {
    station.nowMs = performance.now();
    servers.sweep(station.nowMs);
  }, station.limits.sweepMs);
  const looking = setInterval(() => {
    void look().catch((error: unknown) =>
      log.warn({ error: String(error) }, "what the ingress serves by cannot be read"),
    );
  }, limits.lookMs);
  await look().catch((error: unknown) => log.warn({ error: String(error) }, "nothing to serve by yet"));
  const listening = (): ReadonlyMap<number, Server> =>
    new Map([[tlsPort, servers.secure], [plainPort, servers.plain], ...ports.servers]);
  const door = await openIngressDoor(options, listening);
  log.info({ host, tlsPort, plainPort, certificates: certificates.names }, "the ingress listens");
  return {
    tlsPort,
    plainPort,
    close: async ({ patiently } = { patiently: false }) => {
      station.closing = true;
      if (patiently) station.lameDuckMs = limits.idleMs;
      door.close();
      clearInterval(looking);
      ports.close();
      for (const server of [servers.secure, servers.plain]) server.close();
      // Sessions of HTTP/2 are asked to go on another connection, and end when what is open on them has.
      servers.release();
      const untilMs = performance.now() + (patiently ? limits.handOverDrainMs : limits.drainMs);
      while (servers.open > 0 && performance.now() < untilMs) await new Promise((resolve) => setTimeout(resolve, 50));
      clearInterval(sweeping);
      servers.destroy();
      sessions.close();
      pool.close();
    },
  };
}

function ingressOf({ dir, node, signKey }: IngressOptions, limits: IngressLimits): Ingress {
  const endpoints = new Endpoints(dir);
  const own: GatewayLimits = { ...GATEWAY_LIMITS, ...connectionLimits(limits) };
  const station: Station = {
    ...{ limits: own, endpoints, closing: false, lameDuckMs: limits.lameDuckMs, nowMs: performance.now() },
  };
  const book = new RegionBook(dir);
  const tickets = new PeerTickets(node, signKey, limits);
  const gateways = new Gateways(book, tickets, limits, () => endpoints.controlNowMs());
  // The gateways wait for the apps, and say so if one is silent.
  const policy = { connectTimeoutMs: limits.dialTimeoutMs, firstByteTimeoutMs: Infinity, idleTimeoutMs: Infinity };
  const shared = { held: new Held(), tastes: new Tastes(), pool: new UpstreamPool(own) };
  return { station, book, gateways, policy, ...shared };
}

const connectionLimits = (limits: IngressLimits): Partial<GatewayLimits> => ({
  headTimeoutMs: limits.headTimeoutMs,
  idleConnectionMs: limits.idleMs,
  connectionsMax: limits.connectionsMax,
  upstreamIdleMs: limits.peerIdleMs,
  upstreamIdleUnsafeMs: limits.peerIdleMs,
});

function listen(server: Server, host: string, port: number, fds: ListenFds): Promise<number> {
  const fd = fds.get(port);
  // reusePort: an ingress that was not handed the socket can listen before the one before has stopped.
  const anew = { host, port, reusePort: process.platform === "linux", backlog: 4_096 };
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(fd === undefined ? anew : { fd, backlog: 4_096 }, () => {
      server.off("error", reject);
      resolve((server.address() as { port: number }).port);
    });
  });
}
