// Agent protocol: enrol, poll, heartbeat, and what a node may ask for. Readers ignore unknown keys.
import { z } from "zod";
import { AgentReport } from "./agent-release.ts";
import { LATENCY_BUCKETS_MS } from "./analysis.ts";
import { DesiredDocument } from "./desired.ts";
import { InstanceFailure } from "./failures.ts";
import { HostPorts } from "./host-ports.ts";
import { AppId, AtMs, CellName, InstanceId, NodeId, NodeName, RegionName, ReleaseId, TeamId } from "./ids.ts";
import { NodeIsolation } from "./node-isolation.ts";
import { NodeNotice } from "./node-notices.ts";
import { atMost, LABELS_MAX, TOO_MANY_LABELS } from "./release.ts";

/**
 * 2: stops strict singletons without a lease, publishes host ports, and runs one-off instances once. 3: beats and polls over one
 * WebSocket too (agent-socket.ts). The control plane works with this and the one before.
 */
export const AGENT_PROTOCOL = 3;
export const isSpoken = (protocol: number): boolean => protocol === AGENT_PROTOCOL || protocol === AGENT_PROTOCOL - 1;
export const unspokenText = (protocol: number): string =>
  `This control plane speaks the agent protocols ${AGENT_PROTOCOL} and ${AGENT_PROTOCOL - 1}, not ${protocol}.`;
/** The first that does what strict singletons, host ports and one-off instances need of an agent: older ones pass over them and say nothing. */
export const FENCING_PROTOCOL = 2;

/** JWT types, issuers, audiences of the node's credential and proof; always pinned by the verifier. */
export const CREDENTIAL_TYP = "berth-node+jwt";
export const PROOF_TYP = "berth-proof+jwt";
export const CONTROL_ISSUER = "berth-control";
export const AGENT_AUDIENCE = "berth-agent-api";
/** `authorization: Berth <credential>` and `berth-proof: <proof JWT>`. */
export const CREDENTIAL_SCHEME = "Berth";
export const PROOF_HEADER = "berth-proof";

/** An OKP public key's `x` (base64url, 32 bytes): Ed25519 for signing, X25519 for sealing. */
export const PublicKeyX = z.string().regex(/^[A-Za-z0-9_-]{43}$/, { message: "must be 32 bytes in base64url" });

/** Claims of the node credential: sub = node, cell, cnf.jkt = RFC 7638 thumbprint of the signing key, iat, exp (seconds). */
export const CredentialClaims = z.object({
  iss: z.literal(CONTROL_ISSUER),
  aud: z.literal(AGENT_AUDIENCE),
  sub: NodeId,
  cell: CellName,
  cnf: z.object({ jkt: z.string() }),
  iat: z.int(),
  exp: z.int(),
});
export type CredentialClaims = z.infer<typeof CredentialClaims>;

/**
 * Claims of a proof (the shape of RFC 9449; the header carries `jwk`): htm method, htu path, bh = base64url SHA-256 of the
 * body, iatMs by the control plane's clock (accepted within ± 30 s), jti nonce, boot = the agent's start, seq rising per boot and lane.
 */
export const ProofClaims = z.object({
  htm: z.string(),
  htu: z.string(),
  bh: z.string(),
  iatMs: z.int(),
  jti: z.string().min(8).max(64),
  boot: z.string().min(8).max(64),
  lane: z.enum(["poll", "heartbeat", "ask", "socket"]),
  seq: z.int().positive(),
});
export type ProofClaims = z.infer<typeof ProofClaims>;

/** What a node has to give, after what the operator keeps back for the host. */
export const NodeCapacity = z.object({
  cpuMilli: z.int().positive(),
  memoryBytes: z.int().positive(),
  diskBytes: z.int().positive(),
  pids: z.int().positive(),
});
export type NodeCapacity = z.infer<typeof NodeCapacity>;

export const RuntimeKind = z.enum(["docker", "process"]);
export type RuntimeKind = z.infer<typeof RuntimeKind>;

/** POST /agent/v1/enrol. No credential yet; the body is proven by `proof` made with the new signing key (lane ask, seq 1). */
export const EnrolRequest = z.object({
  protocol: z.int(),
  token: z.string().min(16).max(256),
  name: NodeName,
  signKey: PublicKeyX,
  sealKey: PublicKeyX,
  region: RegionName,
  failureDomain: z.string().min(1).max(63),
  labels: z
    .record(z.string().max(63), z.string().max(63))
    .refine(atMost(LABELS_MAX), { message: TOO_MANY_LABELS })
    .default({}),
  gatewayUrl: z.url().max(253),
  capacity: NodeCapacity,
  /** Absent: the default, without the port of gatewayUrl. Heartbeats say what has become of it. */
  hostPorts: HostPorts.optional(),
  runtime: RuntimeKind,
  platform: z.string().max(64),
  agentVersion: z.string().max(64),
});
export type EnrolRequest = z.infer<typeof EnrolRequest>;

/** ticketKeys: Ed25519 public JWKs by which the gateway checks tickets. */
export const TicketKey = z.object({ kty: z.literal("OKP"), crv: z.literal("Ed25519"), x: z.string(), kid: z.string() });
export type TicketKey = z.infer<typeof TicketKey>;
export const EnrolResponse = z.object({
  node: NodeId,
  cell: CellName,
  credential: z.string(),
  ticketKeys: z.array(TicketKey),
  nowMs: AtMs,
});
export type EnrolResponse = z.infer<typeof EnrolResponse>;

/** POST /agent/v1/poll → 200 PollResponse, or 204 after at most 25 s. ackRevision: the newest revision stored by the agent. */
export const PollRequest = z.object({ protocol: z.int(), ackRevision: z.int().nonnegative() });
export type PollRequest = z.infer<typeof PollRequest>;
export const PollResponse = z.object({
  revision: z.int().nonnegative(),
  desired: DesiredDocument,
  nowMs: AtMs,
});
export type PollResponse = z.infer<typeof PollResponse>;
/** POST /agent/v1/credential → a fresh credential (also for an expired one, by key proof, unless revoked). */
export const CredentialResponse = z.object({ credential: z.string(), ticketKeys: z.array(TicketKey), nowMs: AtMs });
export type CredentialResponse = z.infer<typeof CredentialResponse>;

/**
 * What the agent sees of an instance. ready: passed readiness (and may get traffic). unready: ran ready, now failing.
 * backoff: ended, will be started again at retryAtMs. failed: will not be started again by itself. stopped: final.
 */
export const ObservedStatus = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("pending") }),
  z.object({ kind: z.literal("pulling"), doneBytes: z.int(), totalBytes: z.int() }),
  z.object({ kind: z.literal("starting") }),
  z.object({ kind: z.literal("ready") }),
  z.object({ kind: z.literal("unready"), failure: InstanceFailure }),
  z.object({ kind: z.literal("backoff"), failure: InstanceFailure, retryAtMs: AtMs }),
  z.object({ kind: z.literal("failed"), failure: InstanceFailure }),
  z.object({ kind: z.literal("stopping") }),
  z.object({ kind: z.literal("stopped"), exitCode: z.int().nullable() }),
]);
export type ObservedStatus = z.infer<typeof ObservedStatus>;

/** restarts: since the instance was placed. digest: what its image resolved to. sinceMs: when this status began (control plane's clock). */
export const ObservedInstance = z.object({
  instance: InstanceId,
  generation: z.int().positive(),
  app: AppId,
  status: ObservedStatus,
  restarts: z.int().nonnegative(),
  digest: z.string().max(128).nullable(),
  sinceMs: AtMs,
});
export type ObservedInstance = z.infer<typeof ObservedInstance>;

/**
 * Cumulative since the instance was placed, never falling, over restarts of agent, gateway and instance. latency: a count per bucket
 * of LATENCY_BUCKETS_MS, and one more for the rest; empty of agents that do not count it, and in metering rows. requests and bytes are what
 * is billed; status and latency leave out those who asked for their release by name (previews, overrides), who are no random share.
 */
export const InstanceCounters = z.object({
  instance: InstanceId,
  generation: z.int().positive(),
  app: AppId,
  team: TeamId,
  release: ReleaseId,
  runningMs: z.number().nonnegative(),
  cpuMs: z.number().nonnegative(),
  memoryByteMs: z.number().nonnegative(),
  requests: z.int().nonnegative(),
  status: z.object({ s1xx: z.int(), s2xx: z.int(), s3xx: z.int(), s4xx: z.int(), s5xx: z.int() }),
  bytesIn: z.int().nonnegative(),
  bytesOut: z.int().nonnegative(),
  latency: z
    .array(z.int().nonnegative())
    .max(LATENCY_BUCKETS_MS.length + 1)
    .default([]),
});
export type InstanceCounters = z.infer<typeof InstanceCounters>;

/** One row per node and five minutes; repeated in every heartbeat until meteringAck reaches its seq. */
export const MeteringRow = z.object({
  seq: z.int().positive(),
  fromMs: AtMs,
  toMs: AtMs,
  instances: z.array(InstanceCounters),
});
export type MeteringRow = z.infer<typeof MeteringRow>;

/**
 * What is wrong with a node as a whole, for as long as it lasts. disk_pressure: nothing is pulled; engine_down: nothing is started;
 * certificate_missing: the node has a name and its gateway cannot serve under it; certificate_expiring: a quarter of its life is
 * left, or less; clock_wrong: its wall clock is off the control plane's, which others' certificates are judged by;
 * not_reachable: it is to be reached through others, and none of those ways stands;
 * isolation_missing: tenants cannot be kept apart and nothing is started; isolation_weak: less keeps them apart than should;
 * identity_cloned: two servers speak as it (said by the control plane alone).
 */
export const CONDITION_KINDS = [
  "disk_pressure",
  "engine_down",
  "gateway_down",
  "certificate_missing",
  "certificate_expiring",
  "clock_wrong",
  "not_reachable",
  "isolation_missing",
  "isolation_weak",
  "identity_cloned",
] as const;
export const NodeCondition = z.object({
  kind: z.enum(CONDITION_KINDS),
  message: z.string().max(500),
  sinceMs: AtMs,
});
export type NodeCondition = z.infer<typeof NodeCondition>;

/** How the edge comes to a node: to itself, through another node to which it keeps a connection, or through Cloudflare's tunnel. */
export const NodeReach = z.enum(["direct", "relay", "cloudflared"]);
export type NodeReach = z.infer<typeof NodeReach>;

/** Of them, those that a control plane of protocol 2 refuses a heartbeat for. */
export const CONDITION_KINDS_SINCE_3: readonly string[] = [
  "certificate_missing",
  "certificate_expiring",
  "clock_wrong",
  "not_reachable",
  "isolation_missing",
  "isolation_weak",
] satisfies NodeCondition["kind"][];

/** A node with more watched instances tells of these many, and of the others in its next heartbeats: 500 kB of a heartbeat's 4 MB. */
export const WATCHED_MAX = 1_000;

/** POST /agent/v1/heartbeat, every 2 s with jitter and at once on a change. observed is complete. */
export const HeartbeatRequest = z.object({
  protocol: z.int(),
  ackRevision: z.int().nonnegative(),
  agentVersion: z.string().max(64),
  observed: z.array(ObservedInstance),
  used: z.object({ cpuMilli: z.number(), memoryBytes: z.number(), diskBytes: z.number() }),
  gatewayReady: z.boolean(),
  watched: z.array(InstanceCounters).max(WATCHED_MAX).default([]),
  metering: z.array(MeteringRow).max(12).default([]),
  conditions: z.array(NodeCondition).max(16).default([]),
  notices: z.array(NodeNotice).max(32).default([]),
  /** Digests and bundle hashes that the node has already, newest use first: placement prefers a node that need not pull. */
  images: z.array(z.string().max(128)).max(200).default([]),
  /** The operator's list without the gateway's own port. Absent: as it was. */
  hostPorts: HostPorts.optional(),
  /** What the agent acts on, where the answer before asked for it (tellDocument). */
  document: DesiredDocument.optional().catch(undefined),
  /** Absent: directly. */
  reach: NodeReach.optional().catch(undefined),
  /** Absent: not known yet, or of an agent or runtime that does not say; it is as it was. */
  isolation: NodeIsolation.optional().catch(undefined),
  /** Absent: of an agent from before upgrades. */
  agent: AgentReport.optional().catch(undefined),
});
export type HeartbeatRequest = z.infer<typeof HeartbeatRequest>;
export const HeartbeatResponse = z.object({
  revision: z.int().nonnegative(),
  nowMs: AtMs,
  leaseTtlMs: z.int().positive(),
  meteringAck: z.int().nonnegative(),
  noticeAck: z.int().nonnegative().default(0),
  /**
   * Whether a lease row for this very heartbeat was committed, so that strict singletons may run on for strictStopMs after the
   * moment (of the node's monotonic clock) at which this heartbeat was sent.
   */
  leaseCommitted: z.boolean().default(false),
  /** A control plane made from a backup does not know all that runs there: the next heartbeat is to carry the agent's document. */
  tellDocument: z.boolean().optional(),
  /** Somebody left the region: the node is to have its snapshot in this version or a newer one, and asks for it at once. */
  snapshot: z.int().positive().optional().catch(undefined),
});
export type HeartbeatResponse = z.infer<typeof HeartbeatResponse>;

/** POST /agent/v1/instances/{instance}/environment {generation} → compact JWEs (ECDH-ES, A256GCM) to the node's X25519 key. */
export const EnvironmentRequest = z.object({ protocol: z.int(), generation: z.int().positive() });
export const EnvironmentResponse = z.object({
  /** JWE of JSON {name: value}. */
  environment: z.string(),
  /** JWE of JSON {username, password, registry}, or null for a public image. */
  pullCredential: z.string().nullable(),
});
export type EnvironmentResponse = z.infer<typeof EnvironmentResponse>;
/** GET /agent/v1/bundles/{hash}?instance= → the gzipped tar. */

/**
 * POST /agent/v1/removal, by a node that is refused as node_revoked: is it so? word: a JWT by a ticket key that the node has
 * (iss, aud, sub = node, jti = the nonce), because what a node stops for good it stops by no unsigned word; null: it belongs here.
 */
export const REMOVAL_TYP = "berth-removal+jwt";
export const RemovalRequest = z.object({ protocol: z.int(), nonce: z.string().min(16).max(64) });
export const RemovalResponse = z.object({ word: z.string().nullable() });
export type RemovalResponse = z.infer<typeof RemovalResponse>;
