// The backups that were made of this installation, and the restores that made it. For the operator; append-only by grant.
import { bigint, index, pgTable, text } from "drizzle-orm/pg-core";
import { atMs } from "../ids.ts";
import { scopePolicy } from "./policies.ts";

const count = (name: string) => bigint(name, { mode: "number" }).notNull();

export const backups = pgTable(
  "backups",
  {
    id: text("id").primaryKey(),
    to: text("to").notNull(),
    bytes: count("bytes"),
    objects: count("objects"),
    rows: count("rows"),
    startedAtMs: atMs("started_at").notNull(),
    endedAtMs: atMs("ended_at").notNull(),
    alarmAfterMs: count("alarm_after_ms"),
  },
  (table) => [
    index("backups_ended").on(table.endedAtMs),
    scopePolicy("backups", "select", "operator"),
    scopePolicy("backups", "insert", "operator"),
  ],
);

/** endedAtMs null: its objects are loaded, and not all that they had still to hand over is in yet. Written by the restore's owner alone. */
export const restores = pgTable("restores", {
  backup: text("backup").primaryKey(),
  startedAtMs: atMs("started_at").notNull(),
  endedAtMs: atMs("ended_at"),
}).enableRLS();
