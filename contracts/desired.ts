// The desired document: all that belongs on one node, complete, under one revision. What is absent from it must stop.
import { z } from "zod";
import { DesiredAgent } from "./agent-release.ts";
import { AppId, AtMs, InstanceId, NodeId, ReleaseId, TeamId } from "./ids.ts";
import { BundleHash, Command, Probes, Resources, RuntimeClass } from "./release.ts";

/** As in ReleaseSpec, resolved for the node. digest: what the release is pinned to, once its first instance resolved it. */
export const DesiredSource = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("image"), reference: z.string(), digest: z.string().nullable() }),
  z.object({ kind: z.literal("bundle"), hash: BundleHash }),
]);
export type DesiredSource = z.infer<typeof DesiredSource>;

/** From when to when an instance drains, by the control plane's clock. */
export const DrainSpan = z.object({ sinceMs: AtMs, untilMs: AtMs });
export type DrainSpan = z.infer<typeof DrainSpan>;

/** Of HttpPolicy, what its node's gateway sees to. */
export const GatewayPolicy = z.object({
  connectTimeoutMs: z.int().positive(),
  firstByteTimeoutMs: z.int().positive(),
  idleTimeoutMs: z.int().positive(),
  bodyBytesMax: z.int().nonnegative().optional(),
});
export type GatewayPolicy = z.infer<typeof GatewayPolicy>;

/**
 * intent run: start it and keep it running. intent drain: keep it running and serving what still reaches it; the control
 * plane removes it from the document when its time is over. hasEnvironment, privateImage: whether the agent must ask for
 * the sealed environment or pull credentials before it starts.
 */
export const DesiredInstance = z.object({
  instance: InstanceId,
  generation: z.int().positive(),
  app: AppId,
  appName: z.string(),
  team: TeamId,
  release: ReleaseId,
  version: z.int().positive(),
  ordinal: z.int().nonnegative(),
  intent: z.enum(["run", "drain"]),
  /** Of a drain: its WebSockets are told to leave in the last part of it. */
  drainSpan: DrainSpan.optional(),
  source: DesiredSource,
  command: Command.optional(),
  port: z.int(),
  resources: Resources,
  probes: Probes,
  /** Absent: the gateway's own limits. */
  http: GatewayPolicy.optional(),
  stopGraceMs: z.int(),
  readOnlyRoot: z.boolean(),
  /** Absent: runc. */
  runtimeClass: RuntimeClass.optional(),
  hasEnvironment: z.boolean(),
  privateImage: z.boolean(),
  hostPorts: z.array(z.int()).default([]),
  /** strict: the agent stops it once no acknowledged lease covers it any more (see HeartbeatResponse.leaseCommitted). */
  singleton: z.enum(["available", "strict"]).nullable().default(null),
  /** Run once and for at most so long: no probes, no traffic, no restart; it ends as `stopped` with exit code 0, or as `failed`. */
  job: z.object({ timeoutMs: z.int().positive() }).nullable().optional(),
  /** Digests and bundle hashes of releases that a rollback of the app may go to: a node that has them keeps them. */
  keepImages: z.array(z.string().max(128)).max(32).optional(),
});
export type DesiredInstance = z.infer<typeof DesiredInstance>;

/** routes: the newest route version of each app on the node; the gateway names it in every answer. watch: apps whose gateway counters belong in each heartbeat. */
export const DesiredDocument = z.object({
  node: NodeId,
  revision: z.int().nonnegative(),
  instances: z.array(DesiredInstance),
  routes: z.record(z.string(), z.int().nonnegative()),
  watch: z.array(AppId).default([]),
  /** Absent, or of a kind that this agent does not know: stay as you are. */
  agent: DesiredAgent.optional().catch(undefined),
});
export type DesiredDocument = z.infer<typeof DesiredDocument>;

/** The variables every instance gets beside its own environment. PORT is the port it must listen on. */
export const PLATFORM_ENV_NAMES = [
  "PORT",
  "BERTH_APP",
  "BERTH_RELEASE",
  "BERTH_VERSION",
  "BERTH_INSTANCE",
  "BERTH_NODE",
  "BERTH_REGION",
  "BERTH_VARIABLES",
] as const;

/** Whether two ids name the same placement in the same life. */
export const instanceKey = (at: { instance: InstanceId; generation: number }): string =>
  `${at.instance}/${at.generation}`;
