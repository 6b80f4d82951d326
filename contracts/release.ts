// What a release is made of: source, command, port, resources, probes. Written by customers, so unknown fields are refused.
import { z } from "zod";
import { AtMs, DnsLabel, ReleaseId } from "./ids.ts";

const MIB = 1024 * 1024;

/** What an instance may use. cpuMilli: 1000 = one core. All are hard limits on the node and what placement reserves. */
export const Resources = z.strictObject({
  cpuMilli: z.int().min(10).max(256_000).default(250),
  memoryBytes: z
    .int()
    .min(4 * MIB)
    .max(4096 * 1024 * MIB)
    .default(256 * MIB),
  diskBytes: z
    .int()
    .min(1 * MIB)
    .max(64 * 1024 * 1024 * MIB)
    .default(1024 * MIB),
  pids: z.int().min(8).max(32_768).default(256),
});
export type Resources = z.infer<typeof Resources>;

const ProbeTiming = {
  periodMs: z.int().min(50).max(300_000).default(2_000),
  timeoutMs: z.int().min(50).max(60_000).default(1_000),
  failureThreshold: z.int().min(1).max(100).default(3),
};

/** How the agent asks an instance how it is. HTTP: any status from 200 to 399 is a success; TCP: an accepted connection. */
export const Probe = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("http"),
    path: z
      .string()
      .max(1024)
      .regex(/^\/[\x21-\x7e]*$/, { message: "must begin with / and hold no spaces" }),
    ...ProbeTiming,
  }),
  z.strictObject({ kind: z.literal("tcp"), ...ProbeTiming }),
]);
export type Probe = z.infer<typeof Probe>;

/** startup (optional) holds the others back until it succeeds; readiness gates traffic; liveness (optional) restarts. */
export const Probes = z.strictObject({
  startup: Probe.optional(),
  readiness: Probe.default({ kind: "tcp", periodMs: 2_000, timeoutMs: 1_000, failureThreshold: 3 }),
  liveness: Probe.optional(),
});
export type Probes = z.infer<typeof Probes>;

export const BundleHash = z
  .string()
  .regex(/^sha256:[0-9a-f]{64}$/, { message: "must be sha256: and 64 hexadecimal digits" })
  .brand<"BundleHash">();
export type BundleHash = z.infer<typeof BundleHash>;

/** image: a Docker reference (checked with a reference parser at the API). bundle: a gzipped tar of a folder, by its hash. */
export const Source = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("image"), reference: z.string().min(1).max(512) }),
  z.strictObject({ kind: z.literal("bundle"), hash: BundleHash }),
]);
export type Source = z.infer<typeof Source>;

/** No shell is involved: argv as it is. For a bundle `node` means the agent's own Node.js. */
export const Command = z.array(z.string().min(1).max(4096)).min(1).max(64);

/** A label of a node, as operators give them at enrolment: `disk=nvme`. */
export const LabelName = z.string().regex(/^[A-Za-z0-9]([A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?$/, {
  message: "must be 1 to 63 of letters, digits, '.', '_', '/' and '-', beginning and ending with a letter or digit",
});

/** Of a node, or asked of one: each is looked at for every slot and stands in what cells say of their nodes. */
export const LABELS_MAX = 16;
export const TOO_MANY_LABELS = `may be at most ${LABELS_MAX}`;
export const atMost = (max: number) => (labels: Readonly<Record<string, string>>) => Object.keys(labels).length <= max;

/**
 * Where instances may go. strategy pack fills used nodes first, spread the emptiest. failureDomains and nodes: whether two
 * replicas may share one when there is no other room (preferred) or never (required). awayFrom: apps of the same team that
 * no node is shared with: it goes to none of theirs, and they come to none of its. hostPorts: TCP ports of the node itself,
 * held by one instance at a time and forwarded to the same port of the instance. singleton: at most one instance, ever;
 * available: silence never stops it, strict: it stops itself when it may have been given up (invariant 4).
 */
export const PlacementPolicy = z.strictObject({
  strategy: z.enum(["pack", "spread"]).default("pack"),
  failureDomains: z.enum(["preferred", "required"]).default("preferred"),
  nodes: z.enum(["preferred", "required"]).default("preferred"),
  labels: z.record(LabelName, z.string().max(63)).refine(atMost(LABELS_MAX), { message: TOO_MANY_LABELS }).default({}),
  awayFrom: z.array(DnsLabel).max(16).default([]),
  hostPorts: z.array(z.int().min(1).max(65_535)).max(16).default([]),
  singleton: z.enum(["available", "strict"]).optional(),
});
export type PlacementPolicy = z.infer<typeof PlacementPolicy>;

/** One release for one visitor for as long as it has weight. cookie: set by the edge. header: the same value, the same release. */
export const Sticky = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("cookie"),
    ttlMs: z.int().min(1_000).max(31_536_000_000).default(86_400_000),
  }),
  z.strictObject({
    kind: z.literal("header"),
    name: z.string().regex(/^[A-Za-z][A-Za-z0-9-]{0,63}$/, { message: "must be a header's name" }),
  }),
]);
export type Sticky = z.infer<typeof Sticky>;

/**
 * How requests are passed on. connectTimeoutMs: to the instance. firstByteTimeoutMs: to the head of its answer. idleTimeoutMs:
 * nothing moved on a body or WebSocket. bodyBytesMax: of a request; absent, as much as the network before the edge allows. preview: who may
 * look at this release under its preview's hostname: whoever knows the name, or (absent) whoever was given a signed link or header.
 */
export const HttpPolicy = z.strictObject({
  connectTimeoutMs: z.int().min(50).max(60_000).default(3_000),
  firstByteTimeoutMs: z.int().min(100).max(3_600_000).default(300_000),
  idleTimeoutMs: z.int().min(1_000).max(86_400_000).default(3_600_000),
  bodyBytesMax: z.int().min(0).max(1_099_511_627_776).optional(),
  sticky: Sticky.optional(),
  preview: z.enum(["open", "signed"]).optional(),
});
export type HttpPolicy = z.infer<typeof HttpPolicy>;

/**
 * Which kind of OCI runtime runs it: runc shares the host's kernel; runsc (gVisor) has a kernel of its own in user space, kata a
 * virtual machine. Only nodes whose Engine has it take it.
 */
export const RuntimeClass = z.enum(["runc", "runsc", "kata"]);
export type RuntimeClass = z.infer<typeof RuntimeClass>;

/** Everything of a release but its environment. Immutable once accepted. */
export const ReleaseSpec = z.strictObject({
  source: Source,
  command: Command.optional(),
  port: z.int().min(1).max(65_535).default(8080),
  resources: Resources.default(Resources.parse({})),
  probes: Probes.default(Probes.parse({})),
  stopGraceMs: z.int().min(0).max(300_000).default(10_000),
  readOnlyRoot: z.boolean().default(false),
  /** Absent: runc, or whatever the Engine of the node has for its default. */
  runtimeClass: RuntimeClass.optional(),
  placement: PlacementPolicy.default(PlacementPolicy.parse({})),
  http: HttpPolicy.default(HttpPolicy.parse({})),
});
export type ReleaseSpec = z.infer<typeof ReleaseSpec>;

/** A POSIX environment variable's name. BERTH_ is kept for the platform. */
export const EnvName = z
  .string()
  .max(128)
  .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, { message: "must be letters, digits and _, not beginning with a digit" })
  .refine((name) => !name.startsWith("BERTH_"), { message: "BERTH_ is reserved for the platform" });
export const EnvValue = z
  .string()
  .max(32_768)
  .refine((value) => !value.includes("\0"), { message: "must not contain a NUL byte" });

/** A release as it is shown: names of its environment only, never values. digest: what the source was pinned to. */
export const Release = z.object({
  id: ReleaseId,
  version: z.int().positive(),
  spec: ReleaseSpec,
  envNames: z.array(z.string()),
  digest: z.string().nullable(),
  message: z.string().nullable(),
  createdAtMs: AtMs,
  createdBy: z.string(),
});
export type Release = z.infer<typeof Release>;
