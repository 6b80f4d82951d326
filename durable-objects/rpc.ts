// What Workers and objects may ask of each other's objects: one parsed object in, a Result out. Types only.
import type { z } from "zod";
import type { AgentUpgrade } from "../contracts/agent-release.ts";
import type {
  CredentialClaims,
  EnrolRequest,
  HeartbeatRequest,
  HeartbeatResponse,
  InstanceCounters,
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
import type { EnvironmentDraft } from "../contracts/environment.ts";
import type { Release, ReleaseSpec } from "../contracts/release.ts";
import type { RolloutCommand, RolloutPlan, SmokeCheck, TrafficPut } from "../contracts/rollout-plan.ts";
import type { Endpoint, HostRecord, Route } from "../contracts/route.ts";
import type {
  CellRoster,
  CellSummary,
  CellToApp,
  CellUpgradeRequest,
  CellUpgradeView,
  CommitRequest,
  NodeNaming,
  NodeProof,
  RelayAnswer,
  ReserveAnswer,
  ReserveRequest,
  UpdateRequest,
} from "../core/messages.ts";
import type { Granted, Held, HoldingReport } from "../core/app/types.ts";
import type { SealedItem, SealedPage } from "../core/app/sealed.ts";
import type { CopyPage, DumpInput, LoadInput } from "../core/restore/types.ts";
import type { Verdict } from "../core/sign-in/throttle.ts";
import type { ChangeUpgrade, StartUpgrade } from "../core/upgrade/types.ts";

/** Who did it, and under which key: the App object answers the same key with the same answer (invariant 13). */
export interface Asked {
  /** `user:<id>`, `token:<id>`, `node:<id>` or `system`. */
  readonly actor: string;
  readonly idempotencyKey: string | null;
  /** What the key is held against instead of the input, where the input differs at each try (freshly sealed values). */
  readonly requestHash?: string;
  /** By keys from before: under which an earlier try may be kept. */
  readonly olderHashes?: readonly string[];
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

/** An object's state, out of it and into an empty one. Nobody but the operator's backup asks for it. */
export interface CopyRpc {
  /** In pages, of the moment at which the first was asked for. `conflict`: that copy is no longer held, begin again. */
  dump(input: DumpInput): Promise<Result<CopyPage>>;
  /** In pages; all is stored with the last. Refused with `conflict` where something is stored that is not of this backup. */
  load(input: LoadInput): Promise<Result<null>>;
}

export interface AppRpc extends CopyRpc {
  create(input: Asked & AppIdentity & { replicas: number }): Promise<Result<App>>;
  read(input: { withInstances?: boolean }): Promise<Result<App>>;
  acceptRelease(
    input: Asked &
      Granted & {
        spec: ReleaseSpec;
        replicas?: number;
        message?: string;
        deadlineMs?: number;
        plan?: RolloutPlan;
        /** Whether the team has pull credentials for the image's registry (the credential itself stays in Postgres). */
        privateImage: boolean;
      },
  ): Promise<Result<Accepted & Held>>;
  rollback(input: Asked & Granted & { version?: number }): Promise<Result<Accepted & Held>>;
  scale(input: Asked & Granted & { replicas: number }): Promise<Result<Accepted & Held>>;
  restart(input: Asked): Promise<Result<Accepted>>;
  changeEnvironment(
    input: Asked & Granted & { set: Record<string, Sealed>; unset: readonly string[] },
  ): Promise<Result<Accepted & Held>>;
  /** ifRevision: only while the rollout's revision is that (precondition_failed). Repeating what ended it is fine. */
  controlRollout(
    input: Asked & { rollout: RolloutId; command: RolloutCommand; ifRevision?: number; reason?: string },
  ): Promise<Result<Rollout>>;
  setTraffic(input: Asked & Granted & TrafficPut): Promise<Result<Accepted & Held>>;
  setMaintenance(input: Asked & { on: boolean }): Promise<Result<App>>;
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
  /** What it holds sealed, for wrapping anew; and that done, where a value is still what was read. */
  readSealed(input: { after: string | null }): Promise<Result<SealedPage>>;
  /** What the next release would carry; of the variables named, what is stored. */
  readDraft(input: { names: readonly string[] }): Promise<Result<EnvironmentDraft>>;
  rewrap(input: { items: readonly (SealedItem & { fresh: Sealed })[] }): Promise<Result<{ changed: number }>>;
  /** From a Cell, at least once, in order: rows of one cell have rising seq; the answer acknowledges. */
  deliver(input: { cell: CellName; ackedSeq?: number; messages: readonly CellToApp[] }): Promise<{ ackSeq: number }>;
  /** From the verifier Worker: which instances answered through the edge's own code (invariant 21). */
  verified(input: {
    rollout: RolloutId;
    /** smoke: it answered, but not as the smoke check wants. */
    results: readonly { instance: InstanceId; generation: number; ok: boolean; message: string; smoke?: boolean }[];
  }): Promise<Result<null>>;
  /** From a Cell, of instances of a watched app: cumulative, unordered, and some may be lost. */
  counted(input: { cell: CellName; items: readonly InstanceCounters[] }): Promise<null>;
  /** From edges, limited in rate there: they could not reach an instance of the route, or its gateway could not. */
  reportUnreachable(input: {
    instance: InstanceId;
    generation: number;
    kind: "connect" | "gateway_5xx";
    atMs: number;
  }): Promise<Result<null>>;
  /** How much it holds of its team's quota. seen: the newest grant in Postgres; an older one that is still on its way counts no more. */
  holding(input: { seen: number }): Promise<Result<HoldingReport>>;
  /** Whoever finds work overdue pokes (cron sweep, tests). */
  poke(): Promise<Result<{ nextAtMs: number | null }>>;
  // fetch(upgrade) on `/events`: a hibernating socket that gets `{"lastSeq": n}` on connect and whenever there are more events.
}

export interface CellRpc extends CopyRpc {
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
      /** The node gets a credential that ends then: its living socket is good until then too. */
      renewedUntilMs?: number;
    },
  ): Promise<Result<{ sealKey: string; team: null; placed?: DesiredInstance | null; naming?: NodeNaming | null }>>;
  /** What the node's DNS records say now; gatewayUrl: where its gateway is reached, null for as before. */
  nameNode(input: { node: NodeId; naming: NodeNaming; gatewayUrl: string | null }): Promise<Result<null>>;
  /** Of a node that cannot be reached, and holds connections to these: to whom it should, and through whom the edge comes. */
  relay(input: { node: NodeId; held: readonly NodeId[] }): Promise<Result<RelayAnswer>>;
  /** Finds room for the slots, all or some; holds it for leaseMs. The same key gives the same answer. */
  reserve(input: ReserveRequest): Promise<Result<ReserveAnswer>>;
  /** Turns reservations into desired instances and bumps the nodes' revisions. routeVersion: see DesiredDocument.routes. */
  commit(input: CommitRequest): Promise<Result<null>>;
  /** Changes intents, drops instances (they stop), and tells nodes the app's newest route version. seq rises per app. */
  update(input: UpdateRequest): Promise<Result<null>>;
  listNodes(): Promise<Result<{ items: Node[] }>>;
  readNode(input: { node: NodeId }): Promise<Result<Node>>;
  summary(): Promise<Result<CellSummary>>;
  /** Its part of the region's snapshot. */
  roster(): Promise<Result<CellRoster>>;
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
  /** The region's snapshot of that version lacks somebody whom the one before had: this cell's nodes are to have it within seconds. */
  needSnapshot(input: { version: number }): Promise<Result<null>>;
  /** From the Region: which agent is wanted here and on how many nodes; answers how far it is. */
  upgrade(input: CellUpgradeRequest): Promise<Result<CellUpgradeView>>;
  poke(): Promise<Result<{ nextAtMs: number | null }>>;
  // fetch(upgrade) on `/poll?node=…&jkt=…&boot=…&seq=…&ack=…`: admits, and answers with a hibernating socket that gets one
  // PollResponse-shaped message ({revision, desired}); 403 with a Failure where it was not admitted. On `/socket?…&expires=…` the
  // same with the agent's own socket (contracts/agent-socket.ts), good until its credential expires.
}

export interface RegionRpc extends CopyRpc {
  /** Picks (or opens) the cell for a new node; the same node always gets the same cell. */
  assign(input: { node: NodeId; region: RegionName }): Promise<Result<{ cell: CellName }>>;
  /** From a Cell: the node enrolled there. A place that nobody claims within placeUnclaimedMs may go to another node. */
  claim(input: { node: NodeId; cell: CellName }): Promise<Result<null>>;
  /** From a Cell: the node was removed, its place may go to another. The node itself keeps its cell, where it is refused. */
  release(input: { node: NodeId }): Promise<Result<null>>;
  /** itemsJson: a CellSummary[], as text: made once per change, and copied many times faster than objects are. */
  cells(): Promise<Result<{ itemsJson: string }>>;
  report(input: { summary: CellSummary }): Promise<Result<null>>;
  /**
   * The region's newest snapshot (version 0: none yet). turn: whoever asks is to look whether there is a newer one to be made; one at a
   * time, or whoever insists.
   */
  snapshot(input: { insist: boolean }): Promise<Result<{ version: number; digest: string; turn: boolean }>>;
  /** Stored under that version, by the key of its digest. False: another of that version or a later one was stored before. */
  snapshotMade(input: { version: number; digest: string }): Promise<Result<{ newest: boolean }>>;
  /** Brings the region's nodes over to an agent, stage by stage. The same attempt again is the same upgrade. */
  startUpgrade(input: StartUpgrade): Promise<Result<AgentUpgrade>>;
  changeUpgrade(input: ChangeUpgrade): Promise<Result<AgentUpgrade>>;
  /** The one under way, or the last one. */
  readUpgrade(): Promise<Result<AgentUpgrade | null>>;
  poke(): Promise<Result<{ nextAtMs: number | null }>>;
}

/** On the guarded itty-durable class, addressed by the hostname. */
export interface HostRpc extends CopyRpc {
  /** revision: of a custom domain, as Postgres numbers the changes of its holder; an older one than known is refused (`conflict`). */
  claim(input: HostRecord & { revision?: number }): Promise<Result<HostRecord>>;
  resolve(input: { hostname: string }): Promise<Result<HostRecord | null>>;
  release(input: { hostname: string; app: AppId; revision?: number }): Promise<Result<null>>;
}

export type RateTaken = { allowed: boolean; granted: number; remaining: number; resetAtMs: number };

/** On the guarded itty-durable class, addressed by the customer, the address or the account. */
export interface RateLimitRpc {
  /** cost: of one request or of several together. allowed: any of it, as control Workers of before read it. */
  take(input: { limitPerMinute: number; cost: number }): Promise<Result<RateTaken>>;
  /** Before a password is looked at; counts as a failure until endSignIn says that it was none. */
  beginSignIn(input: {
    of: "address" | "account";
    id: string;
    from: string | null;
    failuresMax?: number;
  }): Promise<SignInVerdict>;
  /** known: the address, where the password was right. */
  endSignIn(input: { id: string; known: string | null }): Promise<void>;
}

/** known: the account was signed in to from there before. */
export type SignInVerdict = Verdict & { readonly known: boolean };

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
    /** Statuses that pass; absent: any answer does. */
    smoke?: SmokeCheck;
  }): Promise<void>;
}
export interface GatewayProbeRpc {
  /** A second opinion on a silent node: does its gateway (and no other) answer `/.berth/health` within 1 s? */
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
