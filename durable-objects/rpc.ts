// What Workers and objects may ask of each other's objects: one parsed object in, a Result out. Types only.
import type { z } from "zod";
import type {
  CredentialClaims,
  EnrolRequest,
  HeartbeatRequest,
  HeartbeatResponse,
} from "../contracts/agent-protocol.ts";
import type { Accepted, App, Instance, Node, NodeInstance, Rebalance, Rollout } from "../contracts/api.ts";
import type { DesiredInstance } from "../contracts/desired.ts";
import type { BerthEvent } from "../contracts/events.ts";
import type { Result } from "../contracts/failures.ts";
import type {
  AppId,
  CellName,
  InstanceId,
  NodeId,
  ProjectId,
  RegionName,
  RolloutId,
  TeamId,
} from "../contracts/ids.ts";
import type { Release, ReleaseSpec } from "../contracts/release.ts";
import type { Endpoint, HostRecord, Route } from "../contracts/route.ts";
import type {
  CellSummary,
  CellToApp,
  CommitRequest,
  ReserveAnswer,
  ReserveRequest,
  UpdateRequest,
} from "../core/messages.ts";

/** Who did it, and under which key: the App object answers the same key with the same answer (invariant 13). */
export interface Asked {
  /** `user:<id>`, `token:<id>`, `node:<id>` or `system`. */
  readonly actor: string;
  readonly idempotencyKey: string | null;
  /** What the key is held against instead of the input, where the input differs at each try (freshly sealed values). */
  readonly requestHash?: string;
}

/** The facts of Postgres that an App object holds a copy of, handed over at every call that may create it. */
export interface AppIdentity {
  readonly app: AppId;
  readonly team: TeamId;
  readonly project: ProjectId;
  readonly name: string;
  readonly hostnames: readonly string[];
  readonly regions: readonly RegionName[];
}

/** A sealed value: a flattened JWE as JSON text. Opaque to everything but workers/control/secrets. */
export type Sealed = string;

export interface AppRpc {
  create(input: Asked & AppIdentity & { replicas: number }): Promise<Result<App>>;
  read(input: { withInstances?: boolean }): Promise<Result<App>>;
  acceptRelease(
    input: Asked & {
      spec: ReleaseSpec;
      replicas?: number;
      message?: string;
      deadlineMs?: number;
      /** Whether the team has pull credentials for the image's registry (the credential itself stays in Postgres). */
      privateImage: boolean;
    },
  ): Promise<Result<Accepted>>;
  rollback(input: Asked & { version?: number }): Promise<Result<Accepted>>;
  scale(input: Asked & { replicas: number }): Promise<Result<Accepted>>;
  restart(input: Asked): Promise<Result<Accepted>>;
  changeEnvironment(
    input: Asked & { set: Record<string, Sealed>; unset: readonly string[] },
  ): Promise<Result<Accepted>>;
  cancelRollout(input: Asked & { rollout: RolloutId }): Promise<Result<Rollout>>;
  destroy(input: Asked): Promise<Result<App>>;
  listReleases(input: { beforeVersion?: number; limit: number }): Promise<Result<{ items: Release[]; more: boolean }>>;
  readRollout(input: { rollout: RolloutId }): Promise<Result<Rollout>>;
  listRollouts(input: { limit: number }): Promise<Result<{ items: Rollout[] }>>;
  listInstances(input: { all?: boolean }): Promise<Result<{ items: Instance[] }>>;
  /** The edge's only question. */
  route(): Promise<Result<Route>>;
  /** Events after a seq, oldest first; the SSE Worker reads them whenever its socket to the object says there are more. */
  listEvents(input: { afterSeq: number; limit: number }): Promise<Result<{ items: BerthEvent[]; lastSeq: number }>>;
  /** The sealed environment for an instance, only if it is placed on that node in that generation. */
  environment(input: {
    instance: InstanceId;
    generation: number;
    node: NodeId;
  }): Promise<
    Result<{ team: TeamId; app: AppId; sealed: Record<string, Sealed>; privateImage: boolean; spec: ReleaseSpec }>
  >;
  /** From a Cell, at least once, in order: rows of one cell have rising seq; the answer acknowledges. */
  deliver(input: { cell: CellName; messages: readonly CellToApp[] }): Promise<{ ackSeq: number }>;
  /** From the verifier Worker: which instances answered through the edge's own code (invariant 21). */
  verified(input: {
    rollout: RolloutId;
    results: readonly { instance: InstanceId; generation: number; ok: boolean; message: string }[];
  }): Promise<Result<null>>;
  /** From edges, limited in rate there: they could not reach an instance of the route, or its gateway could not. */
  reportUnreachable(input: {
    instance: InstanceId;
    generation: number;
    kind: "connect" | "gateway_5xx";
    atMs: number;
  }): Promise<Result<null>>;
  /** Whoever finds work overdue pokes (cron sweep, tests). */
  poke(): Promise<Result<{ nextAtMs: number | null }>>;
  // fetch(upgrade) on `/events`: a hibernating socket that gets `{"lastSeq": n}` on connect and whenever there are more events.
}

export interface CellRpc {
  enrol(input: {
    node: NodeId;
    cell: CellName;
    jkt: string;
    request: EnrolRequest;
    operator: string;
  }): Promise<Result<{ revision: number; leaseTtlMs: number }>>;
  /** Revocation and replay (boot, lane, seq) are judged here, before anything else. */
  heartbeat(input: NodeProof & { request: HeartbeatRequest; gatewayHost?: string }): Promise<Result<HeartbeatResponse>>;
  /** For every other agent request: is this node known, not revoked, and the proof fresh? */
  admit(
    input: NodeProof & {
      /** Asked about: `placed` is what this node's document says of it, null where it is not in there. */
      instance?: InstanceId;
    },
  ): Promise<Result<{ sealKey: string; team: null; placed?: DesiredInstance | null }>>;
  /** Finds room for the slots, all or some; holds it for leaseMs. The same key gives the same answer. */
  reserve(input: ReserveRequest): Promise<Result<ReserveAnswer>>;
  /** Turns reservations into desired instances and bumps the nodes' revisions. routeVersion: see DesiredDocument.routes. */
  commit(input: CommitRequest): Promise<Result<null>>;
  /** Changes intents, drops instances (they stop), and tells nodes the app's newest route version. seq rises per app. */
  update(input: UpdateRequest): Promise<Result<null>>;
  listNodes(): Promise<Result<{ items: Node[] }>>;
  readNode(input: { node: NodeId }): Promise<Result<Node>>;
  summary(): Promise<Result<CellSummary>>;
  /** No new instances for this node; what runs there stays. */
  cordon(input: { node: NodeId; actor: string }): Promise<Result<Node>>;
  /** Takes placements again; calls off a drain, and this node's part in a rebalance. */
  uncordon(input: { node: NodeId; actor: string }): Promise<Result<Node>>;
  /** Cordons the node and has its Apps move everything away, start-first. readNode tells how far it is and what holds it. */
  drain(input: { node: NodeId; actor: string }): Promise<Result<Node>>;
  /** Takes the node out for good. Refused with `conflict`, naming what runs there, unless forced. */
  remove(input: { node: NodeId; actor: string; force: boolean }): Promise<Result<Node>>;
  nodeInstances(input: { node: NodeId }): Promise<Result<{ items: NodeInstance[] }>>;
  /** What emptying under-used nodes of this cell would gain; execute: do it too. */
  rebalance(input: { actor: string; execute: boolean }): Promise<Result<Rebalance>>;
  /** The security path: removes the node at once, whatever runs there. */
  revoke(input: { node: NodeId; actor: string }): Promise<Result<null>>;
  poke(): Promise<Result<{ nextAtMs: number | null }>>;
  // fetch(upgrade) on `/poll?node=…&jkt=…&boot=…&seq=…&ack=…`: admits, and answers with a hibernating socket that gets one
  // PollResponse-shaped message ({revision, desired}); 403 with a Failure where it was not admitted.
}

export interface NodeProof {
  readonly node: NodeId;
  readonly jkt: string;
  readonly boot: string;
  readonly lane: "poll" | "heartbeat" | "ask";
  readonly seq: number;
}

export interface RegionRpc {
  /** Picks (or opens) the cell for a new node; the same node always gets the same cell. */
  assign(input: { node: NodeId; region: RegionName }): Promise<Result<{ cell: CellName }>>;
  /** From a Cell: the node was removed, its place may go to another. The node itself keeps its cell, where it is refused. */
  release(input: { node: NodeId }): Promise<Result<null>>;
  cells(): Promise<Result<{ items: CellSummary[] }>>;
  report(input: { summary: CellSummary }): Promise<Result<null>>;
}

/** On the guarded itty-durable class, addressed by the hostname. */
export interface HostRpc {
  claim(input: HostRecord): Promise<Result<HostRecord>>;
  resolve(input: { hostname: string }): Promise<Result<HostRecord | null>>;
  release(input: { hostname: string; app: AppId }): Promise<Result<null>>;
}

/** On the guarded itty-durable class, addressed by the customer. A fixed UTC minute, persisted before it answers. */
export interface RateLimitRpc {
  take(input: {
    limitPerMinute: number;
    cost: number;
  }): Promise<Result<{ allowed: boolean; remaining: number; resetAtMs: number }>>;
}

/** Named entrypoints of the control Worker that the objects call through ctx.exports (no object ever waits on the internet). */
export interface OutboxSinkRpc {
  /** One SQL transaction; in order, once in effect. lastSeq: what Postgres has now (events up to it may be forgotten). */
  accept(input: { source: string; events: readonly BerthEvent[] }): Promise<Result<{ lastSeq: number }>>;
}
export interface VerifierRpc {
  /** Asks each instance through the edge's own ticket and fetch code and reports to App.verified. Never throws. */
  verify(input: {
    app: AppId;
    rollout: RolloutId;
    route: Route;
    instances: readonly InstanceId[];
    path: string;
  }): Promise<void>;
}
export interface GatewayProbeRpc {
  /** A second opinion on a silent node: does its gateway answer `/.berth/health` within 1 s? */
  probe(input: { cell: CellName; node: NodeId; gatewayUrl: string }): Promise<{ answered: boolean }>;
}

export interface InstanceProbeRpc {
  /**
   * A second opinion on instances that edges reported: asks each as the edge does. ok: it answered, or its gateway did and
   * waits for it. Never throws.
   */
  probe(input: {
    app: AppId;
    team: TeamId;
    name: string;
    targets: readonly { readonly endpoint: Endpoint; readonly path: string }[];
  }): Promise<{ results: { instance: InstanceId; generation: number; ok: boolean; message: string }[] }>;
}

/** What the credential said, after the Worker verified it. */
export type AgentCaller = Pick<z.infer<typeof CredentialClaims>, "sub" | "cell"> & NodeProof;
