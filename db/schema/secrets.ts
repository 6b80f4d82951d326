// Sealed things: pull credentials of a team, and every version an app's environment ever had. Ciphertext only.
import { sql } from "drizzle-orm";
import { foreignKey, index, pgTable, primaryKey, text, uuid } from "drizzle-orm/pg-core";
import type { AppId, TeamId } from "../../contracts/ids.ts";
import { atMs, idColumn } from "../ids.ts";
import { apps } from "./apps.ts";
import { teamPolicy } from "./policies.ts";
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
  (table) => [primaryKey({ columns: [table.teamId, table.host] }), teamPolicy("registries", table.teamId)],
);

/** sealed null: the name was removed. Append-only by grant. */
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
    createdAtMs: atMs("created_at")
      .notNull()
      .default(sql`now()`),
  },
  (table) => [
    foreignKey({ columns: [table.teamId, table.appId], foreignColumns: [apps.teamId, apps.id] }),
    index("environment_versions_app").on(table.teamId, table.appId, table.id),
    teamPolicy("environment_versions", table.teamId),
  ],
);
