// What a node tells once: what its agent did by itself.
import { z } from "zod";
import { AtMs, InstanceId } from "./ids.ts";

export const NODE_NOTICE_KINDS = [
  "orphan_stopped",
  "stale_stopped",
  "container_missing",
  "engine_restarted",
  "agent_restarted",
  "gateway_restarted",
  "images_removed",
  "logs_removed",
  "singleton_fenced",
  "certificate_installed",
  "agent_upgraded",
  "agent_reverted",
  "gateway_replaced",
  "gateway_kept",
  "isolation_restored",
] as const;
export type NodeNoticeKind = (typeof NODE_NOTICE_KINDS)[number];
/** Of them, those that a control plane of the protocol before refuses a heartbeat for. */
export const NOTICE_KINDS_SINCE_3: readonly string[] = [
  "certificate_installed",
  "agent_upgraded",
  "agent_reverted",
  "gateway_replaced",
  "gateway_kept",
  "isolation_restored",
] satisfies NodeNoticeKind[];
/**
 * What an agent did by itself, once each: seq rises by one per node; repeated in heartbeats until noticeAck reaches it. kind: one of
 * NODE_NOTICE_KINDS, or what a newer agent calls something: a word that is not known here costs no heartbeat.
 */
export const NodeNotice = z.object({
  seq: z.int().positive(),
  kind: z.string().regex(/^[a-z][a-z0-9_]{0,39}$/),
  instance: InstanceId.nullable(),
  message: z.string().max(500),
  atMs: AtMs,
});
export type NodeNotice = z.infer<typeof NodeNotice>;
