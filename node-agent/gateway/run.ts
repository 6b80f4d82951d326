// The gateway process: the node's one public port. Outlives the agent; knows only the endpoint file and its own socket.
import { join } from "node:path";
import { createServer, type Server, type Socket } from "node:net";
import type { ReloadAnswer } from "../endpoint-file.ts";
import { openAgentSocket } from "./agent-socket.ts";
import { malformedAnswer } from "./answers.ts";
import { Arriving, type Carrier, type Connection } from "./arriving.ts";
import { EdgeConnection } from "./connection.ts";
import { Counters } from "./counters.ts";
import { Endpoints } from "./endpoints.ts";
import { entryOf } from "./entry.ts";
import { type HandOver, type Next, startNext, tellCounters } from "./hand-over.ts";
import { GATEWAY_LIMITS, type GatewayLimits } from "./limits.ts";
import { Peers } from "./peers.ts";
import type { Gateway } from "./serving.ts";
import { RelayDesk } from "../relay/relay-desk.ts";
import { TicketDesk } from "./tickets.ts";
import { TlsDesk } from "./tls.ts";
import { placeOf, UpstreamPool } from "./upstream.ts";

export interface GatewayOptions {
  /** The agent's folder: endpoint file, socket, logs. */
  readonly dir: string;
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  readonly log: { info(fields: object, message: string): void; warn(fields: object, message: string): void };
  readonly limits?: Partial<GatewayLimits>;
  /** Of the bundle that it runs from. */
  readonly version: string;
  /** The listening socket that the gateway before passed on; absent: a new one on host and port. */
  readonly listenFd?: number;
  /** Another gateway serves on the same socket now: close this one, patiently. */
  readonly handedOver?: () => void;
}

export interface RunningGateway {
  readonly port: number;
  readonly counters: Counters;
  /**
   * Takes no more connections, lets open requests end (within limits.drainMs), then resolves. patiently: nobody waits for the port,
   * so connections stay for as long as they would have (within limits.handOverDrainMs).
   */
  close(how?: { readonly patiently: boolean }): Promise<void>;
}

/** Listens until closed. Rejects when the port cannot be had. Signals are the caller's affair. */
export async function runGateway(options: GatewayOptions): Promise<RunningGateway> {
  const { dir, host, port, log, limits, version, listenFd, handedOver } = options;
  const all: GatewayLimits = { ...GATEWAY_LIMITS, ...limits };
  const endpoints = new Endpoints(dir);
  const peers = new Peers(dir);
  const connections = new Set<Connection>();
  const relay = relayOf(options, all, endpoints, (carrier) => serveOn(carrier, gateway, connections));
  const gateway: Gateway = {
    limits: all,
    endpoints,
    peers,
    relay,
    tickets: new TicketDesk(all, peers),
    counters: new Counters(all.countersKeptMs),
    pool: new UpstreamPool(all),
    tls: new TlsDesk(dir),
    reception: { enter: (head, bodyless) => entryOf(gateway, head, bodyless), malformed: malformedAnswer },
    closing: false,
    lameDuckMs: all.lameDuckMs,
    nowMs: performance.now(),
  };
  const reload = reloader(gateway);
  await relay.recall();
  await reload().catch((error: unknown) => log.warn({ error: String(error) }, "no endpoint file yet"));
  const server = createServer({ noDelay: true, keepAlive: true, allowHalfOpen: true }, (socket) =>
    accept(socket, gateway, connections),
  );
  server.maxConnections = all.connectionsMax;
  // reusePort: a gateway that was not handed the socket can listen before the one before has stopped.
  const anew = { host, port, reusePort: process.platform === "linux", backlog: 4_096 };
  await listen(server, listenFd === undefined ? anew : { fd: listenFd, backlog: 4_096 });
  const { counters } = gateway;
  let next: Promise<Next> | null = null;
  const handOver = async (to: HandOver): Promise<void> => {
    if (next !== null) throw new Error("another gateway takes over already");
    const flags = ([fd]: readonly number[]): string[] => ["--listen-fd", String(fd)];
    const handing = { what: "gateway", logPath: join(dir, "gateway.log"), servers: [server], flags };
    next = startNext(to, handing).then((child) => tellCounters(child, counters));
    try {
      await next;
    } catch (error) {
      next = null;
      throw error;
    }
    handedOver?.();
  };
  const agentSocket = await openAgentSocket(dir, { counters, version, reload, handOver, relays: () => relay.held });
  const sweeping = setInterval(() => sweep(gateway, connections), all.sweepMs);
  const checking = setInterval(() => void reloadIfChanged(gateway, reload, log), all.fileCheckMs);
  const bound = (server.address() as { port: number }).port;
  log.info({ host, port: bound, instances: gateway.endpoints.size }, "gateway listens");
  return {
    port: bound,
    counters,
    close: async ({ patiently } = { patiently: false }) => {
      gateway.closing = true;
      if (patiently) gateway.lameDuckMs = all.idleConnectionMs;
      agentSocket.close();
      server.close();
      relay.release();
      await drained(connections, patiently ? all.handOverDrainMs : all.drainMs);
      clearInterval(checking);
      for (const connection of connections) connection.destroy();
      clearInterval(sweeping);
      await (await next)?.tellLast();
      gateway.pool.close();
      relay.destroy();
    },
  };
}

function relayOf(
  { dir, log }: GatewayOptions,
  limits: GatewayLimits,
  endpoints: Endpoints,
  arrived: (carrier: Carrier) => void,
): RelayDesk {
  return new RelayDesk({
    ...{ dir, limits, log, arrived },
    controlNowMs: () => endpoints.controlNowMs(),
    trust: () => endpoints.file && { node: endpoints.file.node, keys: endpoints.file.ticketKeys },
  });
}

function serveOn(carrier: Carrier, gateway: Gateway, connections: Set<Connection>): void {
  const connection = new EdgeConnection(carrier, gateway, gateway.reception);
  connections.add(connection);
  carrier.once("close", () => connections.delete(connection));
}

/** Without a certificate the first bytes are HTTP's, and nothing stands between. */
function accept(raw: Socket, gateway: Gateway, connections: Set<Connection>): void {
  let connection: Connection;
  const serve = (socket: Socket): void => {
    connections.delete(connection);
    connection = new EdgeConnection(socket, gateway, gateway.reception, raw);
    connections.add(connection);
    socket.resume();
  };
  connection = gateway.tls.serves
    ? new Arriving(raw, gateway, (arrived) => gateway.tls.open(arrived), serve)
    : new EdgeConnection(raw, gateway, gateway.reception);
  connections.add(connection);
  raw.once("close", () => connections.delete(connection));
}

function sweep(gateway: Gateway, connections: Set<Connection>): void {
  gateway.nowMs = performance.now();
  for (const connection of connections) connection.sweep(gateway.nowMs);
  const live = new Set<string>();
  for (const instance of gateway.endpoints.instances()) if (instance.state !== "gone") live.add(placeOf(instance).key);
  gateway.pool.prune(live, gateway.nowMs);
  gateway.relay.tunnels.prune(performance.now());
  gateway.counters.prune((instance) => live.has(placeOf(instance).key), gateway.nowMs);
}

/** Loads run one after the other, so that an older file never overwrites a newer one in memory. */
function reloader(gateway: Gateway): () => Promise<ReloadAnswer> {
  let last: Promise<unknown> = Promise.resolve();
  return () => {
    const next = last.then(async () => {
      // A faulty certificate, or list of peers, keeps no instance from the edge.
      const faults: unknown[] = [];
      await gateway.tls.load().catch((error: unknown) => faults.push(error));
      const file = await gateway.endpoints.load();
      await gateway.peers.load().then(
        (gone) => gateway.tickets.distrust(gone),
        (error: unknown) => faults.push(error),
      );
      await gateway.tickets.trust({ node: file.node, keys: file.ticketKeys });
      await gateway.relay.load().catch((error: unknown) => faults.push(error));
      if (faults.length > 0) throw faults[0];
      return { instances: gateway.endpoints.size, certificate: gateway.tls.fingerprint };
    });
    last = next.catch(() => undefined);
    return next;
  };
}

async function reloadIfChanged(
  gateway: Gateway,
  reload: () => Promise<unknown>,
  log: GatewayOptions["log"],
): Promise<void> {
  const { endpoints, tls, peers, relay } = gateway;
  const looks = await Promise.all([endpoints.changed(), tls.changed(), peers.changed(), relay.changed()]);
  if (!looks.includes(true)) return;
  await reload().catch((error: unknown) =>
    log.warn({ error: String(error) }, "the endpoint, TLS or peers file cannot be read"),
  );
}

async function drained(connections: ReadonlySet<Connection>, withinMs: number): Promise<void> {
  const untilMs = performance.now() + withinMs;
  const visited = (): boolean => [...connections].some(({ isGivenAway }) => isGivenAway !== true);
  while (visited() && performance.now() < untilMs) await new Promise((resolve) => setTimeout(resolve, 50));
}

function listen(
  server: Server,
  at: { backlog: number } & ({ host: string; port: number; reusePort: boolean } | { fd: number }),
): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(at, () => resolve());
  });
}
