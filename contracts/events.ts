// Events: what happened, in the order of its source. Stored by the objects, streamed as SSE, copied to Postgres by the outbox.
import { z } from "zod";
import { AtMs, EventId, TeamId } from "./ids.ts";

export const EVENT_TYPES = [
  "app.created",
  "app.scaled",
  "app.restarted",
  "app.environment_changed",
  "app.destroyed",
  "release.created",
  "release.pinned",
  "rollout.started",
  "rollout.progressed",
  "rollout.verifying",
  "rollout.completed",
  "rollout.failed",
  "rollout.cancelled",
  "rollout.superseded",
  "route.published",
  "instance.placed",
  "instance.pulling",
  "instance.starting",
  "instance.ready",
  "instance.unready",
  "instance.restarting",
  "instance.failed",
  "instance.draining",
  "instance.stopped",
  "placement.refused",
  "node.enrolled",
  "node.ready",
  "node.suspect",
  "node.unreachable",
  "node.lost",
  "node.returned",
  "node.revoked",
  "node.metered",
] as const;
export const EventType = z.enum(EVENT_TYPES);
export type EventType = z.infer<typeof EventType>;

/** source: `app:<AppId>` or `cell:<CellName>`; seq rises by one per source and is the SSE id. subject: the id the event is about. */
export const BerthEvent = z.object({
  id: EventId,
  source: z.string(),
  seq: z.int().positive(),
  type: EventType,
  version: z.literal(1),
  team: TeamId.nullable(),
  subject: z.string(),
  actor: z.string(),
  causeId: z.string().nullable(),
  atMs: AtMs,
  data: z.record(z.string(), z.unknown()),
});
export type BerthEvent = z.infer<typeof BerthEvent>;
