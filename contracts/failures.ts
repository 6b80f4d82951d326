// Expected failures, as data: what crosses an RPC boundary instead of an exception, and why an instance or rollout failed.
import { z } from "zod";
import { AnalysisVerdict } from "./analysis.ts";
import { InstanceId, NodeId } from "./ids.ts";
import { QuotaRefusal, type Holding } from "./quota.ts";

export const REFUSAL_CONSTRAINTS = [
  "cpu",
  "memory",
  "disk",
  "pids",
  "ports",
  "runtime",
  "runtime_class",
  "agent",
  "labels",
  "away_from",
  "failure_domains",
  "nodes",
  "avoided",
  "region",
  "cordoned",
  "draining",
  "not_ready",
  "cell_full",
] as const;

/** Why placement refused: each constraint, how many nodes it excluded, and the most that was missing on the best of them. */
export const Refusal = z.object({
  nodesTotal: z.int().nonnegative(),
  constraints: z.array(
    z.object({
      constraint: z.enum(REFUSAL_CONSTRAINTS),
      nodesExcluded: z.int().nonnegative(),
      /** Units of the resource (cpuMilli, bytes, count); null where nothing is measured. missing: on the node nearest to fitting. */
      requested: z.number().nullable(),
      missing: z.number().nullable(),
      /** What was asked for where it is no amount: `disk=nvme`, `port 443`, an app's name. */
      wanted: z.string().nullable().optional(),
      /** What is the matter with the nodes that are not ready: `2 lost, 1 disk_pressure`. */
      detail: z.string().optional(),
    }),
  ),
  /** No node could take it even if it were empty and ready: waiting for room is in vain. */
  impossible: z.boolean().optional(),
});
export type Refusal = z.infer<typeof Refusal>;

export const INSTANCE_FAILURE_CODES = [
  "image_not_found",
  "image_pull_failed",
  "image_wrong_platform",
  "bundle_unavailable",
  "start_failed",
  "exited",
  "out_of_memory",
  "out_of_disk",
  "log_flood",
  "never_ready",
  "liveness_failed",
  "environment_unavailable",
  "node_lost",
  "gateway_unreachable",
  "disk_pressure",
  "fenced",
  "timed_out",
] as const;

/** Why an instance does not serve. exitCode and signal where a process ended; logTail: its last lines, at most 20. */
export const InstanceFailure = z.object({
  code: z.enum(INSTANCE_FAILURE_CODES),
  message: z.string().max(2_000),
  exitCode: z.int().nullable().default(null),
  /** The longest name of one is half as long; a row that took whatever a node says could outgrow the storage. */
  signal: z.string().max(32).nullable().default(null),
  logTail: z.array(z.string().max(2_000)).max(20).default([]),
});
export type InstanceFailure = z.infer<typeof InstanceFailure>;

/** Why a rollout ended without completing. nodeName: for as long as the instance is remembered. */
export const RolloutFailure = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("instance"),
    instance: InstanceId,
    node: NodeId.nullable(),
    nodeName: z.string().nullish(),
    failure: InstanceFailure,
  }),
  /** message: the refusal in words. */
  z.object({ kind: z.literal("no_capacity"), refusal: Refusal, message: z.string().optional() }),
  z.object({ kind: z.literal("deadline"), waitedMs: z.int(), waitingFor: z.string() }),
  z.object({
    kind: z.literal("verification"),
    instance: InstanceId,
    node: NodeId.nullable(),
    nodeName: z.string().nullish(),
    message: z.string(),
  }),
  /** It answered, but not as the smoke check wants. */
  z.object({
    kind: z.literal("smoke"),
    instance: InstanceId,
    node: NodeId.nullable(),
    nodeName: z.string().nullish(),
    message: z.string(),
  }),
  /** What gateways counted of it is worse than the plan's thresholds allow. */
  z.object({ kind: z.literal("analysis"), message: z.string(), verdict: AnalysisVerdict }),
  /** The command before or after the release. exitCode null: it did not end by itself, or nobody knows how. */
  z.object({
    kind: z.literal("command"),
    which: z.enum(["before", "after"]),
    exitCode: z.int().nullable(),
    message: z.string(),
    logTail: z.array(z.string().max(2_000)).max(20),
  }),
  /** It had traffic, and no instance that was ready any more. */
  z.object({ kind: z.literal("died"), message: z.string() }),
]);
export type RolloutFailure = z.infer<typeof RolloutFailure>;

/** A failure an operation may expect. `code` is stable and public; workers/control maps each to one HTTP status. */
export const FAILURE_CODES = [
  "invalid_request",
  "malformed_json",
  "payload_too_large",
  "unsupported_media_type",
  "method_not_allowed",
  "unprocessable",
  "unauthenticated",
  "second_factor_required",
  "forbidden",
  "not_found",
  "conflict",
  "name_taken",
  "gone",
  "precondition_failed",
  "idempotency_key_reused",
  "rate_limited",
  "quota_exceeded",
  "no_capacity",
  "rollout_not_active",
  "nothing_to_roll_back",
  "no_release",
  "image_refused",
  "scanner_unavailable",
  "join_token_used",
  "join_token_expired",
  "join_token_unknown",
  "credential_invalid",
  "credential_expired",
  "proof_invalid",
  "proof_replayed",
  "node_revoked",
  "protocol_unsupported",
  "database_unavailable",
  "dns_unavailable",
  "overloaded",
  "internal",
] as const;
export type FailureCode = (typeof FAILURE_CODES)[number];

/** One fault in a request: where (a JSON pointer such as `/spec/port`, or `header:…`, `query:…`) and which rule. */
export const FieldError = z.object({ pointer: z.string(), rule: z.string(), message: z.string() });
export type FieldError = z.infer<typeof FieldError>;

export type Failure = {
  readonly code: FailureCode;
  readonly message: string;
  readonly errors?: readonly FieldError[];
  readonly refusal?: Refusal;
  readonly quota?: QuotaRefusal;
  /** Of an App object: what it would hold, and what it holds now; with a grant of that much it accepts. */
  readonly growth?: { readonly needs: Holding; readonly holds: Holding };
  /** Of an App object: variables that are another app's, with where they come from; with their values it accepts. */
  readonly unresolved?: Readonly<Record<string, string>>;
  readonly retryAfterMs?: number;
};

/** What every RPC method and every core decision that can be refused returns. */
export type Result<Value> =
  { readonly ok: true; readonly value: Value } | { readonly ok: false; readonly failure: Failure };

/** RFC 9457 problem details, as every 4xx and 5xx of the API has it. */
export const Problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  code: z.enum(FAILURE_CODES),
  errors: z.array(FieldError).optional(),
  refusal: Refusal.optional(),
  quota: QuotaRefusal.optional(),
  requestId: z.string(),
});
export type Problem = z.infer<typeof Problem>;
