// Which images may run: what the operator said for everybody, and what a team said for itself.
import { sql } from "drizzle-orm";
import { boolean, check, jsonb, pgTable, text } from "drizzle-orm/pg-core";
import type { ImagePolicy, TeamImagePolicy } from "../../contracts/image-policy.ts";
import type { TeamId } from "../../contracts/ids.ts";
import { atMs, idColumn } from "../ids.ts";
import { everyTeamPolicy, scopePolicy, teamPolicy } from "./policies.ts";
import { teams } from "./teams.ts";

const set = () => ({
  setBy: text("set_by").notNull(),
  setAtMs: atMs("set_at")
    .notNull()
    .default(sql`now()`),
});

export const teamImagePolicies = pgTable(
  "team_image_policies",
  {
    teamId: idColumn<TeamId>("team")("team_id")
      .primaryKey()
      .references(() => teams.id, { onDelete: "cascade" }),
    policy: jsonb("policy").$type<TeamImagePolicy>().notNull(),
    ...set(),
  },
  (table) => [teamPolicy("team_image_policies", table.teamId)],
);

/** One row, or none. Every release is judged by it, so every team's transaction reads it. */
export const installationImagePolicy = pgTable(
  "installation_image_policy",
  {
    only: boolean("only").primaryKey().default(true),
    policy: jsonb("policy").$type<ImagePolicy>().notNull(),
    ...set(),
  },
  (table) => [
    check("installation_image_policy_only", sql`${table.only}`),
    everyTeamPolicy("installation_image_policy"),
    scopePolicy("installation_image_policy", "insert", "operator"),
    scopePolicy("installation_image_policy", "update", "operator"),
  ],
);
