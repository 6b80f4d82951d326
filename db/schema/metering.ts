// Metering: one row per node and five minutes, and in it the cumulative counters of each instance. Append-only by grant.
import { sql } from "drizzle-orm";
import { bigint, doublePrecision, index, integer, pgTable, primaryKey } from "drizzle-orm/pg-core";
import type { AppId, InstanceId, NodeId, ReleaseId, TeamId } from "../../contracts/ids.ts";
import { atMs, idColumn } from "../ids.ts";
import { scopePolicy, teamReadPolicy } from "./policies.ts";

const count = (name: string) => bigint(name, { mode: "number" }).notNull();

export const meteringRows = pgTable(
  "metering_rows",
  {
    nodeId: idColumn<NodeId>("node")("node_id").notNull(),
    seq: count("seq"),
    fromMs: atMs("from_at").notNull(),
    toMs: atMs("to_at").notNull(),
    receivedAtMs: atMs("received_at")
      .notNull()
      .default(sql`now()`),
  },
  (table) => [
    primaryKey({ columns: [table.nodeId, table.seq] }),
    index("metering_rows_time").on(table.toMs),
    scopePolicy("metering_rows", "select", "operator", "sink"),
    scopePolicy("metering_rows", "insert", "sink"),
  ],
);

/** Cumulative since the instance was placed: what was used between two rows is their difference. */
export const meteringCounters = pgTable(
  "metering_counters",
  {
    nodeId: idColumn<NodeId>("node")("node_id").notNull(),
    seq: count("seq"),
    instanceId: idColumn<InstanceId>("ins")("instance_id").notNull(),
    generation: integer("generation").notNull(),
    teamId: idColumn<TeamId>("team")("team_id").notNull(),
    appId: idColumn<AppId>("app")("app_id").notNull(),
    releaseId: idColumn<ReleaseId>("rel")("release_id").notNull(),
    toMs: atMs("to_at").notNull(),
    runningMs: doublePrecision("running_ms").notNull(),
    cpuMs: doublePrecision("cpu_ms").notNull(),
    memoryByteMs: doublePrecision("memory_byte_ms").notNull(),
    requests: count("requests"),
    requests1xx: count("requests_1xx"),
    requests2xx: count("requests_2xx"),
    requests3xx: count("requests_3xx"),
    requests4xx: count("requests_4xx"),
    requests5xx: count("requests_5xx"),
    bytesIn: count("bytes_in"),
    bytesOut: count("bytes_out"),
  },
  (table) => [
    primaryKey({ columns: [table.nodeId, table.seq, table.instanceId, table.generation] }),
    index("metering_counters_team").on(table.teamId, table.appId, table.toMs),
    index("metering_counters_instance").on(table.instanceId, table.generation, table.toMs),
    teamReadPolicy("metering_counters", table.teamId),
    scopePolicy("metering_counters", "select", "operator", "sink"),
    scopePolicy("metering_counters", "insert", "sink"),
  ],
);
