// The public API's shapes that are not a release, an event or a failure. Strict where written, plain where read.
import { z } from "zod";
import { NodeCapacity, NodeCondition, ObservedStatus, RuntimeKind } from "./agent-protocol.ts";
import { Code, Email, Password } from "./account.ts";
import { InstanceFailure, Refusal } from "./failures.ts";
import { HostPorts } from "./host-ports.ts";
import { NodeIsolation } from "./node-isolation.ts";
import {
  AppId,
  AtMs,
  CellName,
  DnsLabel,
  InstanceId,
  JoinTokenId,
  NodeId,
  ProjectId,
  RegionName,
  ReleaseId,
  RolloutId,
  TeamId,
  UserId,
} from "./ids.ts";
import { Force, RolloutPlan, waitsMsOf } from "./rollout-plan.ts";
import { Rollout, WeightOf } from "./rollout.ts";
import { ShownReach } from "./relay.ts";
import { Release, ReleaseSpec, Resources } from "./release.ts";

export * from "./account.ts";
export * from "./rollout.ts";

/** A page of a list. cursor is opaque; null on the last page. Query: `limit` 1 to 100 (default 50), `cursor`. */
export const page = <Item extends z.ZodType>(item: Item) =>
  z.object({ items: z.array(item), nextCursor: z.string().nullable() });
export const PageQuery = z.strictObject({
  limit: z.coerce.number().int().min(1).max(100).default(50),
  cursor: z.string().max(512).optional(),
});

export const Team = z.object({ id: TeamId, slug: DnsLabel, name: z.string(), role: z.string(), createdAtMs: AtMs });
export type Team = z.infer<typeof Team>;
export const TeamCreate = z.strictObject({ slug: DnsLabel, name: z.string().min(1).max(100) });
export const Project = z.object({ id: ProjectId, team: TeamId, name: DnsLabel, createdAtMs: AtMs });
export type Project = z.infer<typeof Project>;
export const ProjectCreate = z.strictObject({ name: DnsLabel });

export const SignUp = z.strictObject({ email: Email, password: Password, name: z.string().min(1).max(100) });
/** code: where the account asks for one (`second_factor_required`). */
export const SignIn = z.strictObject({ email: Email, password: Password, code: Code.optional() });
/** POST /v1/setup: once per installation, with the secret the operator deployed. Makes the first user, an operator. */
export const Setup = z.strictObject({ setupToken: z.string().min(16).max(256), email: Email, password: Password });
/** token: a bearer for `authorization: Bearer …`; shown once. */
export const Session = z.object({
  token: z.string(),
  expiresAtMs: AtMs,
  user: z.object({ id: UserId, email: z.string(), name: z.string(), operator: z.boolean() }),
  team: Team,
});
export type Session = z.infer<typeof Session>;
export const WhoAmI = z.object({
  user: Session.shape.user,
  team: Team,
  teams: z.array(Team),
  via: z.enum(["session", "api_token"]),
});
export type WhoAmI = z.infer<typeof WhoAmI>;

/** An app's name becomes the first label of its hostname: `v7--shop` is a preview's. */
const AppName = DnsLabel.refine((name) => !/^v\d+--/.test(name), {
  message: "must not begin with v, digits and --: previews of releases are called so",
});
export const AppCreate = z.strictObject({
  name: AppName,
  project: DnsLabel.optional(),
  replicas: z.int().min(0).max(1_000).default(1),
  regions: z.array(RegionName).min(1).max(16).optional(),
});
export type AppCreate = z.infer<typeof AppCreate>;
/** How healthy: what `berth status` leads with. */
export const AppStatus = z.enum([
  "never_deployed",
  "deploying",
  "healthy",
  "degraded",
  "down",
  "scaled_to_zero",
  "destroyed",
]);
export const App = z.object({
  id: AppId,
  team: TeamId,
  project: ProjectId,
  name: DnsLabel,
  hostnames: z.array(z.string()),
  url: z.string(),
  replicas: z.int(),
  regions: z.array(RegionName),
  status: AppStatus,
  currentRelease: Release.nullable(),
  rollout: RolloutId.nullable(),
  readyInstances: z.int(),
  envNames: z.array(z.string()),
  /** What serves now, and what is reachable by its own name only (weight 0), the newest first. */
  weights: z.array(WeightOf.extend({ ready: z.int() })).default([]),
  maintenance: z.boolean().default(false),
  /** The release that is kept running for a quick way back, and until when. */
  warm: z.object({ version: z.int(), untilMs: AtMs }).nullable().default(null),
  createdAtMs: AtMs,
});
export type App = z.infer<typeof App>;

/** POST /v1/apps/{app}/releases. deadlineMs: how long the rollout may take in all. plan absent: as the release before was rolled, at first all beside the old. */
export const ReleaseCreate = z
  .strictObject({
    spec: ReleaseSpec,
    replicas: z.int().min(0).max(1_000).optional(),
    message: z.string().max(500).optional(),
    deadlineMs: z.int().min(5_000).max(604_800_000).optional(),
    plan: RolloutPlan.optional(),
  })
  .refine(({ deadlineMs = Infinity, plan }) => !plan || deadlineMs > waitsMsOf(plan), {
    message: "is no longer than what the plan's own steps take: such a rollout could only fail",
    path: ["deadlineMs"],
  });
export type ReleaseCreate = z.infer<typeof ReleaseCreate>;
/** POST /v1/apps/{app}/rollback. version absent: the release before the current one. */
export const RollbackCreate = z.strictObject({ version: z.int().positive().optional(), force: Force });
/** PATCH /v1/apps/{app}: one thing at a time. maintenance: visitors get a page that says so, nothing is stopped. */
export const AppPatch = z
  .strictObject({ replicas: z.int().min(0).max(1_000).optional(), maintenance: z.boolean().optional() })
  .refine(({ replicas, maintenance }) => (replicas === undefined) !== (maintenance === undefined), {
    message: "give either replicas or maintenance",
  });
/** PUT /v1/registries/{host}. Sealed before it is stored; the password is never shown. */
export const RegistryLogin = z.strictObject({
  username: z.string().min(1).max(256),
  password: z.string().min(1).max(8_192),
});
export const Registry = z.object({ host: z.string(), username: z.string(), updatedAtMs: AtMs });

/** 202 body of everything that changes a running app. rollout is null when there was nothing to roll. */
export const Accepted = z.object({ app: AppId, release: Release.nullable(), rollout: Rollout.nullable() });
export type Accepted = z.infer<typeof Accepted>;

/** An instance as shown. phase: the control plane's word; observed: the node's. */
export const Instance = z.object({
  id: InstanceId,
  app: AppId,
  release: ReleaseId,
  version: z.int(),
  ordinal: z.int(),
  generation: z.int(),
  node: NodeId.nullable(),
  nodeName: z.string().nullable(),
  cell: CellName.nullable(),
  phase: z.enum(["placing", "starting", "ready", "unready", "draining", "stopping", "stopped", "failed", "lost"]),
  observed: ObservedStatus.nullable(),
  failure: InstanceFailure.nullable(),
  restarts: z.int(),
  createdAtMs: AtMs,
  readyAtMs: AtMs.nullable(),
});
export type Instance = z.infer<typeof Instance>;

export const NODE_PHASES = ["enrolled", "ready", "suspect", "unreachable", "lost", "removed"] as const;
/** A drain under way or done. holding: what is left on the node and why it has not moved yet. */
export const NodeDrain = z.object({
  state: z.enum(["draining", "drained"]),
  sinceMs: AtMs,
  startedBy: z.string(),
  moved: z.int(),
  remaining: z.int(),
  holding: z.array(
    z.object({ instance: InstanceId, app: AppId, appName: z.string(), version: z.int(), reason: z.string() }),
  ),
});
export type NodeDrain = z.infer<typeof NodeDrain>;
/** One move of a rebalance: start-first, like a drain's. */
export const RebalanceStep = z.object({
  instance: InstanceId,
  app: AppId,
  appName: z.string(),
  from: NodeId,
  fromName: z.string(),
  to: NodeId,
  toName: z.string(),
});
export type RebalanceStep = z.infer<typeof RebalanceStep>;
/** POST /v1/nodes/rebalance. What moving the instances of under-used nodes would gain; execute: do it too. */
export const RebalanceCreate = z.strictObject({ region: RegionName.optional(), execute: z.boolean().default(false) });
export const Rebalance = z.object({
  steps: z.array(RebalanceStep),
  /** Nodes that would hold nothing afterwards. */
  freed: z.array(z.object({ node: NodeId, name: z.string() })),
  nodesUsedBefore: z.int(),
  nodesUsedAfter: z.int(),
  /** Percent of the scarcer resource reserved on the nodes in use. */
  utilisationBeforePercent: z.number(),
  utilisationAfterPercent: z.number(),
  executing: z.boolean(),
  /** Why nothing is to be gained, when there are no steps. */
  reason: z.string().nullable(),
  /** Cells that could not be asked: what they would do is not in here, what they do goes on. Absent: all answered. */
  unanswered: z.array(z.object({ cell: CellName, message: z.string() })).optional(),
});
export type Rebalance = z.infer<typeof Rebalance>;
/** DELETE /v1/nodes/{node}. Refused with `conflict` while something runs there, unless forced. */
export const NodeRemove = z.strictObject({ force: z.stringbool().default(false) });

export const Node = z.object({
  id: NodeId,
  name: z.string(),
  cell: CellName,
  region: RegionName,
  failureDomain: z.string(),
  labels: z.record(z.string(), z.string()),
  phase: z.enum(NODE_PHASES),
  cordoned: z.boolean(),
  conditions: z.array(NodeCondition),
  drain: NodeDrain.nullable(),
  runtime: RuntimeKind,
  platform: z.string(),
  agentVersion: z.string(),
  gatewayUrl: z.string(),
  /** Absent: directly. */
  reach: ShownReach.optional(),
  capacity: NodeCapacity,
  /** Ports of the node that instances may have, as ranges: from and to, both included. */
  hostPorts: HostPorts.optional(),
  /** Absent: it has not said, or runs processes. */
  isolation: NodeIsolation.optional(),
  reserved: z.object({ cpuMilli: z.int(), memoryBytes: z.int(), diskBytes: z.int(), pids: z.int() }),
  instances: z.int(),
  revision: z.int(),
  ackRevision: z.int(),
  lastHeartbeatAtMs: AtMs.nullable(),
  enrolledAtMs: AtMs,
});
export type Node = z.infer<typeof Node>;

/** GET /v1/nodes/{node}/instances: what the Cell has placed there. state gone: stopping, its room is still held. */
export const NodeInstance = z.object({
  id: InstanceId,
  generation: z.int(),
  app: AppId,
  appName: z.string(),
  team: TeamId,
  version: z.int(),
  ordinal: z.int(),
  state: z.enum(["run", "drain", "gone"]),
  singleton: z.enum(["available", "strict"]).nullable(),
  resources: Resources,
  observed: ObservedStatus.nullable(),
  restarts: z.int(),
});
export type NodeInstance = z.infer<typeof NodeInstance>;

/** POST /v1/nodes/tokens. token is shown once; single use; 15 minutes unless shorter. */
export const JoinTokenCreate = z.strictObject({
  region: RegionName.optional(),
  expiresInMs: z
    .int()
    .min(1_000)
    .max(15 * 60_000)
    .default(15 * 60_000),
});
export const JoinToken = z.object({
  id: JoinTokenId,
  region: RegionName.nullable(),
  createdAtMs: AtMs,
  expiresAtMs: AtMs,
  usedAtMs: AtMs.nullable(),
  usedBy: NodeId.nullable(),
});
export const JoinTokenCreated = JoinToken.extend({ token: z.string() });
export type JoinTokenCreated = z.infer<typeof JoinTokenCreated>;

/** A placement that could not be made, as `berth status` shows it. */
export const PlacementRefused = z.object({ ordinal: z.int(), refusal: Refusal, atMs: AtMs });
