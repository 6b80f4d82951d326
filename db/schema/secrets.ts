// Sealed things: pull credentials of a team, and every version an app's environment ever had. Ciphertext only.
import { sql } from "drizzle-orm";
import { foreignKey, index, pgTable, primaryKey, text, uniqueIndex, uuid } from "drizzle-orm/pg-core";
import type { AppId, TeamId } from "../../contracts/ids.ts";
import { atMs, idColumn } from "../ids.ts";
import { apps } from "./apps.ts";
import { scopePolicy, teamPolicy } from "./policies.ts";
import { teams } from "./teams.ts";

export const registries = pgTable(
  "registries",
  {
    teamId: idColumn<TeamId>("team")("team_id")
      .notNull()
      .references(() => teams.id),
    host: text("host").notNull(),
    username: text("username").notNull(),
    sealedPassword: text("sealed_password").notNull(),
    updatedAtMs: atMs("updated_at")
      .notNull()
      .default(sql`now()`),
  },
  (table) => [
    primaryKey({ columns: [table.teamId, table.host] }),
    teamPolicy("registries", table.teamId),
    // A new key-encryption key: the same value, wrapped anew.
    scopePolicy("registries", "select", "sweep"),
    scopePolicy("registries", "update", "sweep"),
  ],
);

/** sealed null: the name was removed; it may also be a reference to another app's variable. Append-only by grant; the function rewrap_environment_version changes a wrapping. */
export const environmentVersions = pgTable(
  "environment_versions",
  {
    id: uuid("id")
      .primaryKey()
      .default(sql`uuidv7()`),
    teamId: idColumn<TeamId>("team")("team_id").notNull(),
    appId: idColumn<AppId>("app")("app_id").notNull(),
    name: text("name").notNull(),
    sealed: text("sealed"),
    actor: text("actor").notNull(),
    /** The request's idempotency key: repeated, it is recorded once. */
    change: text("change"),
    createdAtMs: atMs("created_at")
      .notNull()
      .default(sql`now()`),
  },
  (table) => [
    uniqueIndex("environment_versions_change").on(table.teamId, table.appId, table.actor, table.change, table.name),
    foreignKey({ columns: [table.teamId, table.appId], foreignColumns: [apps.teamId, apps.id] }),
    index("environment_versions_app").on(table.teamId, table.appId, table.id),
    index("environment_versions_name").on(table.teamId, table.appId, table.name, table.id),
    teamPolicy("environment_versions", table.teamId),
    scopePolicy("environment_versions", "select", "sweep"),
  ],
);
