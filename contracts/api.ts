// The public API's shapes that are not a release, an event or a failure. Strict where written, plain where read.
import { z } from "zod";
import { NodeCapacity, NodeCondition, ObservedStatus, RuntimeKind } from "./agent-protocol.ts";
import { InstanceFailure, Refusal, RolloutFailure } from "./failures.ts";
import {
  ApiTokenId,
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
import { EnvName, EnvValue, Release, ReleaseSpec, Resources } from "./release.ts";

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

export const Email = z.email().max(254);
export const Password = z.string().min(10).max(128);
export const SignUp = z.strictObject({ email: Email, password: Password, name: z.string().min(1).max(100) });
export const SignIn = z.strictObject({ email: Email, password: Password });
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

export const ApiToken = z.object({
  id: ApiTokenId,
  name: z.string(),
  prefix: z.string(),
  createdAtMs: AtMs,
  expiresAtMs: AtMs.nullable(),
  lastUsedAtMs: AtMs.nullable(),
});
export type ApiToken = z.infer<typeof ApiToken>;
export const ApiTokenCreate = z.strictObject({
  name: z.string().min(1).max(100),
  expiresInDays: z.int().min(1).max(3650).optional(),
});
export const ApiTokenCreated = ApiToken.extend({ token: z.string() });

export const AppCreate = z.strictObject({
  name: DnsLabel,
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
  createdAtMs: AtMs,
});
export type App = z.infer<typeof App>;

/** POST /v1/apps/{app}/releases. deadlineMs: how long the rollout may take in all; minReady of the old keep serving throughout. */
export const ReleaseCreate = z.strictObject({
  spec: ReleaseSpec,
  replicas: z.int().min(0).max(1_000).optional(),
  message: z.string().max(500).optional(),
  deadlineMs: z.int().min(5_000).max(3_600_000).optional(),
});
export type ReleaseCreate = z.infer<typeof ReleaseCreate>;
/** POST /v1/apps/{app}/rollback. version absent: the release before the current one. */
export const RollbackCreate = z.strictObject({ version: z.int().positive().optional() });
/** PATCH /v1/apps/{app}. */
export const AppPatch = z.strictObject({ replicas: z.int().min(0).max(1_000) });
/** PATCH /v1/apps/{app}/env. Values are sealed at once and never shown. Makes and rolls out a new release if the app has one. */
export const EnvPatch = z.strictObject({
  set: z.record(EnvName, EnvValue).default({}),
  unset: z.array(EnvName).max(500).default([]),
});
export type EnvPatch = z.infer<typeof EnvPatch>;
/** PUT /v1/registries/{host}. Sealed before it is stored; the password is never shown. */
export const RegistryLogin = z.strictObject({
  username: z.string().min(1).max(256),
  password: z.string().min(1).max(8_192),
});
export const Registry = z.object({ host: z.string(), username: z.string(), updatedAtMs: AtMs });

export const ROLLOUT_PHASES = ["rolling", "verifying", "completed", "failed", "cancelled", "superseded"] as const;
/** phase rolling and verifying are active, the others final. reason of a rollout: what started it. */
export const Rollout = z.object({
  id: RolloutId,
  app: AppId,
  reason: z.enum(["release", "rollback", "environment", "scale", "restart"]),
  phase: z.enum(ROLLOUT_PHASES),
  fromVersion: z.int().nullable(),
  toVersion: z.int(),
  replicas: z.int(),
  ready: z.int(),
  verified: z.int(),
  failure: RolloutFailure.nullable(),
  waitingFor: z.string().nullable(),
  startedAtMs: AtMs,
  deadlineAtMs: AtMs,
  endedAtMs: AtMs.nullable(),
  startedBy: z.string(),
});
export type Rollout = z.infer<typeof Rollout>;

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
  capacity: NodeCapacity,
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
