// Projects, apps and their hostnames: the owner of names. What an app runs is the App object's; here is who it belongs to.
import { sql } from "drizzle-orm";
import { foreignKey, index, integer, pgTable, text, unique, uniqueIndex } from "drizzle-orm/pg-core";
import type { AppId, ProjectId, RegionName, TeamId } from "../../contracts/ids.ts";
import { atMs, idColumn } from "../ids.ts";
import { scopePolicy, teamPolicy } from "./policies.ts";
import { teams } from "./teams.ts";

const teamId = () => idColumn<TeamId>("team")("team_id").notNull();

export const projects = pgTable(
  "projects",
  {
    id: idColumn<ProjectId>("proj")("id").primaryKey(),
    teamId: teamId().references(() => teams.id),
    name: text("name").notNull(),
    createdAtMs: atMs("created_at")
      .notNull()
      .default(sql`now()`),
  },
  (table) => [
    unique("projects_name").on(table.teamId, table.name),
    unique("projects_within_team").on(table.teamId, table.id),
    teamPolicy("projects", table.teamId),
  ],
);

/** A destroyed app keeps its row, for its history; its name and hostnames are free again. */
export const apps = pgTable(
  "apps",
  {
    id: idColumn<AppId>("app")("id").primaryKey(),
    teamId: teamId().references(() => teams.id),
    projectId: idColumn<ProjectId>("proj")("project_id").notNull(),
    name: text("name").notNull(),
    regions: text("regions").array().$type<RegionName[]>().notNull(),
    /** What was asked for at the start; from then on the App object's. */
    initialReplicas: integer("initial_replicas").notNull(),
    createdBy: text("created_by").notNull(),
    createdAtMs: atMs("created_at")
      .notNull()
      .default(sql`now()`),
    destroyedAtMs: atMs("destroyed_at"),
  },
  (table) => [
    // Within the team, so that nobody can put an app into another team's project.
    foreignKey({ columns: [table.teamId, table.projectId], foreignColumns: [projects.teamId, projects.id] }),
    unique("apps_within_team").on(table.teamId, table.id),
    uniqueIndex("apps_name")
      .on(table.teamId, table.name)
      .where(sql`${table.destroyedAtMs} is null`),
    index("apps_project").on(table.teamId, table.projectId),
    teamPolicy("apps", table.teamId),
    scopePolicy("apps", "select", "sweep"),
  ],
);

/** Unique over all teams: that is what the primary key is for, and row-level security does not hide a taken one from it. */
export const hostnames = pgTable(
  "hostnames",
  {
    hostname: text("hostname").primaryKey(),
    teamId: teamId(),
    appId: idColumn<AppId>("app")("app_id").notNull(),
    createdAtMs: atMs("created_at")
      .notNull()
      .default(sql`now()`),
  },
  (table) => [
    foreignKey({ columns: [table.teamId, table.appId], foreignColumns: [apps.teamId, apps.id] }),
    index("hostnames_app").on(table.teamId, table.appId),
    teamPolicy("hostnames", table.teamId),
    scopePolicy("hostnames", "select", "sweep"),
  ],
);
