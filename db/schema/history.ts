// What the outbox brought: events in the order of their source, and the releases and rollouts that can be told from them.
import { sql } from "drizzle-orm";
import { bigint, index, integer, jsonb, pgTable, primaryKey, text } from "drizzle-orm/pg-core";
import type { BerthEvent, EventType } from "../../contracts/events.ts";
import type { AppId, ReleaseId, RolloutId, TeamId } from "../../contracts/ids.ts";
import type { Release } from "../../contracts/release.ts";
import type { Rollout } from "../../contracts/api.ts";
import { atMs, idColumn } from "../ids.ts";
import { scopePolicy, teamReadPolicy } from "./policies.ts";

const seq = (name: string) => bigint(name, { mode: "number" }).notNull();

/** How far each source has been taken in; only ever raised, by compare-and-set (db/queries/outbox.ts). */
export const outboxSources = pgTable(
  "outbox_sources",
  {
    source: text("source").primaryKey(),
    lastSeq: seq("last_seq"),
    updatedAtMs: atMs("updated_at")
      .notNull()
      .default(sql`now()`),
  },
  () => [
    scopePolicy("outbox_sources", "select", "sink"),
    scopePolicy("outbox_sources", "insert", "sink"),
    scopePolicy("outbox_sources", "update", "sink"),
  ],
);

/** Append-only by grant. teamId null: of the installation, for the operator. */
export const events = pgTable(
  "events",
  {
    source: text("source").notNull(),
    seq: seq("seq"),
    teamId: idColumn<TeamId>("team")("team_id"),
    type: text("type").$type<EventType>().notNull(),
    version: integer("version").notNull(),
    subject: text("subject").notNull(),
    actor: text("actor").notNull(),
    causeId: text("cause_id"),
    atMs: atMs("at").notNull(),
    data: jsonb("data").$type<BerthEvent["data"]>().notNull(),
    receivedAtMs: atMs("received_at")
      .notNull()
      .default(sql`now()`),
  },
  (table) => [
    primaryKey({ columns: [table.source, table.seq] }),
    index("events_team").on(table.teamId, table.source, table.seq),
    // Metering has tables of its own and would bury the rest.
    index("events_subject")
      .on(table.subject, table.seq)
      .where(sql`${table.type} <> 'node.metered'`),
    teamReadPolicy("events", table.teamId),
    scopePolicy("events", "select", "operator", "sink"),
    scopePolicy("events", "insert", "sink"),
  ],
);

/** seq of a projection: the event that wrote it last; an older one changes nothing. No foreign keys: history takes what comes. */
export const releaseHistory = pgTable(
  "release_history",
  {
    id: idColumn<ReleaseId>("rel")("id").primaryKey(),
    teamId: idColumn<TeamId>("team")("team_id").notNull(),
    appId: idColumn<AppId>("app")("app_id").notNull(),
    version: integer("version").notNull(),
    release: jsonb("release").$type<Release>().notNull(),
    createdBy: text("created_by").notNull(),
    createdAtMs: atMs("created_at").notNull(),
    seq: seq("seq"),
  },
  (table) => [
    index("release_history_app").on(table.teamId, table.appId, table.id),
    teamReadPolicy("release_history", table.teamId),
    scopePolicy("release_history", "select", "sink"),
    scopePolicy("release_history", "insert", "sink"),
    scopePolicy("release_history", "update", "sink"),
  ],
);

export const rolloutHistory = pgTable(
  "rollout_history",
  {
    id: idColumn<RolloutId>("roll")("id").primaryKey(),
    teamId: idColumn<TeamId>("team")("team_id").notNull(),
    appId: idColumn<AppId>("app")("app_id").notNull(),
    phase: text("phase").$type<Rollout["phase"]>().notNull(),
    rollout: jsonb("rollout").$type<Rollout>().notNull(),
    startedBy: text("started_by").notNull(),
    startedAtMs: atMs("started_at").notNull(),
    endedAtMs: atMs("ended_at"),
    seq: seq("seq"),
  },
  (table) => [
    index("rollout_history_app").on(table.teamId, table.appId, table.id),
    index("rollout_history_in_flight")
      .on(table.appId)
      .where(sql`${table.phase} in ('preparing', 'rolling', 'verifying', 'holding', 'finishing')`),
    teamReadPolicy("rollout_history", table.teamId),
    scopePolicy("rollout_history", "select", "sink"),
    scopePolicy("rollout_history", "insert", "sink"),
    scopePolicy("rollout_history", "update", "sink"),
  ],
);
