// The endpoint file: all that the gateway knows, written by the agent and read by the gateway, which outlives it.
import { z } from "zod";
import { TicketKey } from "../contracts/agent-protocol.ts";
import { GatewayPolicy } from "../contracts/desired.ts";
import { AppId, InstanceId, NodeId, ReleaseId, TeamId } from "../contracts/ids.ts";

/** Names under the agent's folder that the agent and the gateway share. */
export const ENDPOINT_FILE = "endpoints.json";
export const GATEWAY_SOCKET = "gateway.sock";
/** The certificate (with its chain) and its key, PEM, in one file so that they change together. Absent: plain HTTP. */
export const TLS_FILE = "tls.pem";
export const GATEWAY_PID_FILE = "gateway.pid";
/** With the pid behind it: a gateway that has handed over and drains. */
export const GATEWAY_LEAVING_PREFIX = "gateway.leaving.";
export const LOGS_FOLDER = "logs";
export const LOG_FILE = "current.ndjson";

export const LeaveWindow = z.object({ fromMs: z.number(), untilMs: z.number() });
export type LeaveWindow = z.infer<typeof LeaveWindow>;

/**
 * serving: may get requests. draining: as serving, and long-lived connections may be told to leave. gone: answers 421 to
 * new requests and lets those in flight end; the agent removes the row once the instance is stopped.
 * logPath: the ndjson file of its log lines, absolute; the rotated one is beside it with `.1` at the end.
 */
export const EndpointInstance = z.object({
  instance: InstanceId,
  generation: z.int().positive(),
  app: AppId,
  team: TeamId,
  release: ReleaseId,
  host: z.string(),
  port: z.int().min(1).max(65_535),
  state: z.enum(["starting", "serving", "draining", "gone"]),
  logPath: z.string(),
  /** Absent: the gateway's own limits. */
  http: GatewayPolicy.optional(),
  /** TCP ports of the node that it holds, and is reached at under the same number. */
  hostPorts: z.array(z.int()).optional(),
  /** When its WebSockets are told to leave, each at a moment of its own; by the control plane's clock. */
  leave: LeaveWindow.optional(),
});
export type EndpointInstance = z.infer<typeof EndpointInstance>;

/**
 * controlMinusMonotonicMs: the control plane's milliseconds since the epoch minus this host's CLOCK_MONOTONIC
 * (`Number(process.hrtime.bigint()) / 1e6`), so that tickets expire by the control plane's clock and never by the wall clock.
 * It holds only for the boot that bootId names (/proc/sys/kernel/random/boot_id). routes: newest route version of each app.
 */
export const EndpointFile = z.object({
  node: NodeId,
  ticketKeys: z.array(TicketKey),
  controlMinusMonotonicMs: z.number(),
  bootId: z.string(),
  routes: z.record(z.string(), z.int().nonnegative()),
  instances: z.array(EndpointInstance),
});
export type EndpointFile = z.infer<typeof EndpointFile>;

export { LATENCY_BUCKETS_MS } from "../contracts/analysis.ts";

/** One instance's counters since this gateway process started. latency: a count per bucket, and one more for the rest. */
export const GatewayInstanceCounters = z.object({
  instance: InstanceId,
  generation: z.int().positive(),
  requests: z.int().nonnegative(),
  status: z.object({ s1xx: z.int(), s2xx: z.int(), s3xx: z.int(), s4xx: z.int(), s5xx: z.int() }),
  bytesIn: z.int().nonnegative(),
  bytesOut: z.int().nonnegative(),
  latency: z.array(z.int().nonnegative()),
  open: z.int().nonnegative(),
});
export type GatewayInstanceCounters = z.infer<typeof GatewayInstanceCounters>;

/**
 * Answer of `GET /counters` on the gateway's socket. startId changes when the counters began at zero: with every gateway process
 * that took over from none. version: of its bundle; absent of those from before hand-overs.
 */
export const GatewayCounters = z.object({
  startId: z.string(),
  version: z.string().optional(),
  instances: z.array(GatewayInstanceCounters),
  /** The relays to which this gateway has a connection just now, where it dials any. */
  relays: z.array(NodeId).optional(),
});
export type GatewayCounters = z.infer<typeof GatewayCounters>;

/**
 * Answer of `POST /reload` on the gateway's socket: how many instances it now knows, and the SHA-256 of the certificate that it
 * shows from now on (absent: a gateway from before it spoke TLS). 500 when a file cannot be read.
 */
export const ReloadAnswer = z.object({
  instances: z.int().nonnegative(),
  certificate: z.string().nullable().optional(),
});
export type ReloadAnswer = z.infer<typeof ReloadAnswer>;
/** The logs of an instance that is only starting must be readable too: state `starting` gets no traffic, only use=logs. */
