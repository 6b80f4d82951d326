// Teams, who belongs to them in which role, who was invited, how they sign on, and the API tokens that act for one member in one team.
import { sql } from "drizzle-orm";
import { boolean, index, jsonb, pgTable, primaryKey, text, uniqueIndex } from "drizzle-orm/pg-core";
import type { Policy } from "../../contracts/access.ts";
import type { ApiTokenId, InvitationId, OperatorEntryId, ProjectId, TeamId, UserId } from "../../contracts/ids.ts";
import type { OperatorEntry } from "../../contracts/teams.ts";
import { atMs, hexBytes, idColumn } from "../ids.ts";
import { users } from "./auth.ts";
import { authPolicy, teamChangePolicy, teamPolicy, teamReadPolicy } from "./policies.ts";

const projectIds = () => idColumn<ProjectId>("proj")("project_ids").array();

export const teams = pgTable(
  "teams",
  {
    id: idColumn<TeamId>("team")("id").primaryKey(),
    slug: text("slug").notNull().unique(),
    name: text("name").notNull(),
    /** Members without a second factor reach nothing of it. */
    secondFactorRequired: boolean("second_factor_required").notNull().default(false),
    createdAtMs: atMs("created_at")
      .notNull()
      .default(sql`now()`),
  },
  (table) => [authPolicy("teams"), teamReadPolicy("teams", table.id), teamChangePolicy("teams", "update", table.id)],
);

/**
 * role: a built-in one, or the name of one of the team's own (`member` in rows of old: developer). projectIds: these alone; null: all
 * of the team. bySignOn: the team's own provider named them, and they have accepted nothing in person.
 */
export const memberships = pgTable(
  "memberships",
  {
    teamId: idColumn<TeamId>("team")("team_id")
      .notNull()
      .references(() => teams.id, { onDelete: "cascade" }),
    userId: idColumn<UserId>("user")("user_id")
      .notNull()
      .references(() => users.id, { onDelete: "cascade" }),
    role: text("role").notNull(),
    projectIds: projectIds(),
    bySignOn: boolean("by_sign_on").notNull().default(false),
    createdAtMs: atMs("created_at")
      .notNull()
      .default(sql`now()`),
  },
  (table) => [
    primaryKey({ columns: [table.teamId, table.userId] }),
    index("memberships_user").on(table.userId, table.teamId),
    authPolicy("memberships"),
    teamReadPolicy("memberships", table.teamId),
    teamChangePolicy("memberships", "update", table.teamId),
    teamChangePolicy("memberships", "delete", table.teamId),
  ],
);

/** A policy as it is stored: its projects are ids, so that no other project of a later name is meant. */
export type StoredPolicy = Omit<Policy, "condition"> & {
  readonly condition: Omit<Policy["condition"], "projects"> & { readonly projects?: readonly ProjectId[] | undefined };
};

/** A team's own roles. */
export const roles = pgTable(
  "roles",
  {
    teamId: idColumn<TeamId>("team")("team_id")
      .notNull()
      .references(() => teams.id, { onDelete: "cascade" }),
    name: text("name").notNull(),
    policies: jsonb("policies").$type<readonly StoredPolicy[]>().notNull(),
    updatedAtMs: atMs("updated_at")
      .notNull()
      .default(sql`now()`),
  },
  (table) => [
    primaryKey({ columns: [table.teamId, table.name] }),
    authPolicy("roles"),
    teamPolicy("roles", table.teamId),
  ],
);

/** hash: SHA-256 of what the invitation's link carries. email: in lower case. Open while neither accepted nor revoked nor expired. */
export const invitations = pgTable(
  "invitations",
  {
    id: idColumn<InvitationId>("inv")("id").primaryKey(),
    teamId: idColumn<TeamId>("team")("team_id")
      .notNull()
      .references(() => teams.id, { onDelete: "cascade" }),
    email: text("email").notNull(),
    role: text("role").notNull(),
    projectIds: projectIds(),
    hash: hexBytes("hash").notNull().unique(),
    invitedBy: text("invited_by").notNull(),
    createdAtMs: atMs("created_at")
      .notNull()
      .default(sql`now()`),
    expiresAtMs: atMs("expires_at").notNull(),
    acceptedAtMs: atMs("accepted_at"),
    acceptedBy: idColumn<UserId>("user")("accepted_by"),
    revokedAtMs: atMs("revoked_at"),
  },
  (table) => [
    index("invitations_team").on(table.teamId, table.id),
    authPolicy("invitations"),
    teamPolicy("invitations", table.teamId),
  ],
);

/**
 * Ways of operators into teams, each for a stated reason and until `endsAtMs` at most; kept for ever. email: the operator's, as it was.
 * endedAtMs: when it was ended before its time, or found to be over.
 */
export const operatorEntries = pgTable(
  "operator_entries",
  {
    id: idColumn<OperatorEntryId>("entry")("id").primaryKey(),
    teamId: idColumn<TeamId>("team")("team_id")
      .notNull()
      .references(() => teams.id, { onDelete: "cascade" }),
    userId: idColumn<UserId>("user")("user_id").notNull(),
    email: text("email").notNull(),
    role: text("role").$type<OperatorEntry["role"]>().notNull(),
    reason: text("reason").notNull(),
    createdAtMs: atMs("created_at")
      .notNull()
      .default(sql`now()`),
    endsAtMs: atMs("ends_at").notNull(),
    endedAtMs: atMs("ended_at"),
    endedBy: text("ended_by"),
  },
  (table) => [
    index("operator_entries_team").on(table.teamId, table.id),
    uniqueIndex("operator_entries_open")
      .on(table.teamId, table.userId)
      .where(sql`${table.endedAtMs} is null`),
    authPolicy("operator_entries"),
    teamReadPolicy("operator_entries", table.teamId),
  ],
);

/** scopes: null means all that its user may. hash: SHA-256 of the token; its 256 random bits need no salt. prefix: the token's first characters, to tell tokens apart. */
export const apiTokens = pgTable(
  "api_tokens",
  {
    id: idColumn<ApiTokenId>("tok")("id").primaryKey(),
    teamId: idColumn<TeamId>("team")("team_id").notNull(),
    userId: idColumn<UserId>("user")("user_id").notNull(),
    name: text("name").notNull(),
    prefix: text("prefix").notNull(),
    hash: hexBytes("hash").notNull().unique(),
    scopes: text("scopes").array(),
    projectIds: projectIds(),
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

/**
 * A team's own OpenID provider. clientSecret: sealed as every stored secret. domains: whose addresses it may sign on; none: any.
 * enforced: members come in through it alone, owners beside it with a second factor.
 */
export const singleSignOns = pgTable(
  "single_sign_ons",
  {
    teamId: idColumn<TeamId>("team")("team_id")
      .primaryKey()
      .references(() => teams.id, { onDelete: "cascade" }),
    issuer: text("issuer").notNull(),
    clientId: text("client_id").notNull(),
    clientSecret: text("client_secret").notNull(),
    domains: text("domains")
      .array()
      .notNull()
      .default(sql`'{}'`),
    enforced: boolean("enforced").notNull().default(false),
    createdAtMs: atMs("created_at")
      .notNull()
      .default(sql`now()`),
  },
  () => [authPolicy("single_sign_ons")],
);
