// What each team may have and what it has taken of it: its plan, the releases of the day, and what its apps were granted.
import { sql } from "drizzle-orm";
import { bigint, date, foreignKey, index, integer, jsonb, pgTable, primaryKey, text } from "drizzle-orm/pg-core";
import type { AppId, TeamId } from "../../contracts/ids.ts";
import type { QuotaName } from "../../contracts/quota.ts";
import { atMs, idColumn } from "../ids.ts";
import { apps } from "./apps.ts";
import { authPolicy, scopePolicy, teamPolicy, teamReadPolicy } from "./policies.ts";
import { teams } from "./teams.ts";

const teamId = () => idColumn<TeamId>("team")("team_id").notNull();

/** Only what an operator said; a team without a row has the installation's default plan. */
export const teamPlans = pgTable(
  "team_plans",
  {
    teamId: teamId()
      .primaryKey()
      .references(() => teams.id, { onDelete: "cascade" }),
    plan: text("plan"),
    overrides: jsonb("overrides").$type<Partial<Record<QuotaName, number | null>>>().notNull().default({}),
    setBy: text("set_by").notNull(),
    setAtMs: atMs("set_at")
      .notNull()
      .default(sql`now()`),
  },
  (table) => [
    authPolicy("team_plans"),
    teamReadPolicy("team_plans", table.teamId),
    scopePolicy("team_plans", "select", "operator"),
    scopePolicy("team_plans", "insert", "operator"),
    scopePolicy("team_plans", "update", "operator"),
  ],
);

/** day: of the count, in UTC; on another day nothing was spent yet. */
export const teamReleases = pgTable(
  "team_releases",
  {
    teamId: teamId()
      .primaryKey()
      .references(() => teams.id, { onDelete: "cascade" }),
    day: date("day").notNull(),
    releases: integer("releases").notNull(),
  },
  (table) => [teamPolicy("team_releases", table.teamId)],
);

/**
 * What an app may hold of its team's quota. version: rises with each grant, and with each that was taken back. unsettled_since: not null
 * while the App object may hold less than this.
 */
export const appHoldings = pgTable(
  "app_holdings",
  {
    teamId: teamId(),
    appId: idColumn<AppId>("app")("app_id").notNull(),
    instances: bigint("instances", { mode: "number" }).notNull().default(0),
    cpuMilli: bigint("cpu_milli", { mode: "number" }).notNull().default(0),
    memoryBytes: bigint("memory_bytes", { mode: "number" }).notNull().default(0),
    diskBytes: bigint("disk_bytes", { mode: "number" }).notNull().default(0),
    version: bigint("version", { mode: "number" }).notNull().default(0),
    unsettledSinceMs: atMs("unsettled_since"),
  },
  (table) => [
    primaryKey({ columns: [table.teamId, table.appId] }),
    foreignKey({ columns: [table.teamId, table.appId], foreignColumns: [apps.teamId, apps.id] }),
    index("app_holdings_unsettled")
      .on(table.unsettledSinceMs)
      .where(sql`${table.unsettledSinceMs} is not null`),
    teamPolicy("app_holdings", table.teamId),
    scopePolicy("app_holdings", "select", "sweep"),
  ],
);
