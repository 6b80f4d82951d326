// The gateway process: the node's one public port. Outlives the agent; knows only the endpoint file and its own socket.
import { createServer, type Server, type Socket } from "node:net";
import { openAgentSocket } from "./agent-socket.ts";
import { EdgeConnection } from "./connection.ts";
import { Counters } from "./counters.ts";
import { Endpoints } from "./endpoints.ts";
import { GATEWAY_LIMITS, type GatewayLimits } from "./limits.ts";
import type { Gateway } from "./serving.ts";
import { TicketDesk } from "./tickets.ts";
import { addressKey, UpstreamPool } from "./upstream.ts";

export interface GatewayOptions {
  /** The agent's folder: endpoint file, socket, logs. */
  readonly dir: string;
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  readonly log: { info(fields: object, message: string): void; warn(fields: object, message: string): void };
  readonly limits?: Partial<GatewayLimits>;
}

export interface RunningGateway {
  readonly port: number;
  /** Takes no more connections, lets open requests end (within limits.drainMs), then resolves. */
  close(): Promise<void>;
}

/** Listens until closed. Rejects when the port cannot be had. Signals are the caller's affair. */
export async function runGateway({ dir, host, port, log, limits }: GatewayOptions): Promise<RunningGateway> {
  const all: GatewayLimits = { ...GATEWAY_LIMITS, ...limits };
  const gateway: Gateway = {
    limits: all,
    endpoints: new Endpoints(dir),
    tickets: new TicketDesk(all),
    counters: new Counters(all.countersKeptMs),
    pool: new UpstreamPool(all),
    closing: false,
    nowMs: performance.now(),
  };
  const reload = reloader(gateway);
  await reload().catch((error: unknown) => log.warn({ error: String(error) }, "no endpoint file yet"));
  const connections = new Set<EdgeConnection>();
  const server = createServer({ noDelay: true, keepAlive: true, allowHalfOpen: true }, (socket) =>
    accept(socket, gateway, connections),
  );
  server.maxConnections = all.connectionsMax;
  // reusePort: the next gateway process can listen before this one has stopped.
  await listen(server, { host, port, reusePort: process.platform === "linux", backlog: 4_096 });
  const agentSocket = await openAgentSocket(dir, gateway.counters, reload);
  const sweeping = setInterval(() => sweep(gateway, connections), all.sweepMs);
  const checking = setInterval(() => void reloadIfChanged(gateway, reload, log), all.fileCheckMs);
  const bound = (server.address() as { port: number }).port;
  log.info({ host, port: bound, instances: gateway.endpoints.size }, "gateway listens");
  return {
    port: bound,
    close: async () => {
      gateway.closing = true;
      clearInterval(checking);
      agentSocket.close();
      server.close();
      await drained(connections, all.drainMs);
      for (const connection of connections) connection.destroy();
      clearInterval(sweeping);
      gateway.pool.close();
    },
  };
}

function accept(socket: Socket, gateway: Gateway, connections: Set<EdgeConnection>): void {
  const connection = new EdgeConnection(socket, gateway);
  connections.add(connection);
  socket.once("close", () => connections.delete(connection));
}

function sweep(gateway: Gateway, connections: Set<EdgeConnection>): void {
  gateway.nowMs = performance.now();
  for (const connection of connections) connection.sweep(gateway.nowMs);
  const live = new Set<string>();
  for (const instance of gateway.endpoints.instances()) if (instance.state !== "gone") live.add(addressKey(instance));
  gateway.pool.prune(live, gateway.nowMs);
  gateway.counters.prune((instance) => live.has(addressKey(instance)), gateway.nowMs);
}

/** Loads run one after the other, so that an older file never overwrites a newer one in memory. */
function reloader(gateway: Gateway): () => Promise<number> {
  let last: Promise<unknown> = Promise.resolve();
  return () => {
    const next = last.then(async () => {
      const file = await gateway.endpoints.load();
      await gateway.tickets.trust({ node: file.node, keys: file.ticketKeys });
      return gateway.endpoints.size;
    });
    last = next.catch(() => undefined);
    return next;
  };
}

async function reloadIfChanged(
  gateway: Gateway,
  reload: () => Promise<number>,
  log: GatewayOptions["log"],
): Promise<void> {
  if (!(await gateway.endpoints.changed())) return;
  await reload().catch((error: unknown) => log.warn({ error: String(error) }, "the endpoint file cannot be read"));
}

async function drained(connections: ReadonlySet<EdgeConnection>, withinMs: number): Promise<void> {
  const untilMs = performance.now() + withinMs;
  while (connections.size > 0 && performance.now() < untilMs) await new Promise((resolve) => setTimeout(resolve, 50));
}

function listen(
  server: Server,
  at: { host: string; port: number; reusePort: boolean; backlog: number },
): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(at, () => resolve());
  });
}
