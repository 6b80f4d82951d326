// Teams, who belongs to them, and the API tokens that act for one member in one team.
import { sql } from "drizzle-orm";
import { index, pgTable, primaryKey, text } from "drizzle-orm/pg-core";
import type { ApiTokenId, TeamId, UserId } from "../../contracts/ids.ts";
import { atMs, hexBytes, idColumn } from "../ids.ts";
import { users } from "./auth.ts";
import { authPolicy, teamPolicy, teamReadPolicy } from "./policies.ts";

export const teams = pgTable(
  "teams",
  {
    id: idColumn<TeamId>("team")("id").primaryKey(),
    slug: text("slug").notNull().unique(),
    name: text("name").notNull(),
    createdAtMs: atMs("created_at")
      .notNull()
      .default(sql`now()`),
  },
  (table) => [authPolicy("teams"), teamReadPolicy("teams", table.id)],
);

export const memberships = pgTable(
  "memberships",
  {
    teamId: idColumn<TeamId>("team")("team_id")
      .notNull()
      .references(() => teams.id, { onDelete: "cascade" }),
    userId: idColumn<UserId>("user")("user_id")
      .notNull()
      .references(() => users.id, { onDelete: "cascade" }),
    role: text("role", { enum: ["owner", "admin", "member"] }).notNull(),
    createdAtMs: atMs("created_at")
      .notNull()
      .default(sql`now()`),
  },
  (table) => [
    primaryKey({ columns: [table.teamId, table.userId] }),
    index("memberships_user").on(table.userId, table.teamId),
    authPolicy("memberships"),
    teamReadPolicy("memberships", table.teamId),
  ],
);

/** hash: SHA-256 of the token; its 256 random bits need no salt. prefix: the token's first characters, to tell tokens apart. */
export const apiTokens = pgTable(
  "api_tokens",
  {
    id: idColumn<ApiTokenId>("tok")("id").primaryKey(),
    teamId: idColumn<TeamId>("team")("team_id").notNull(),
    userId: idColumn<UserId>("user")("user_id").notNull(),
    name: text("name").notNull(),
    prefix: text("prefix").notNull(),
    hash: hexBytes("hash").notNull().unique(),
    createdAtMs: atMs("created_at")
      .notNull()
      .default(sql`now()`),
    expiresAtMs: atMs("expires_at"),
    lastUsedAtMs: atMs("last_used_at"),
  },
  (table) => [
    index("api_tokens_team").on(table.teamId, table.id),
    authPolicy("api_tokens"),
    teamPolicy("api_tokens", table.teamId),
  ],
);
