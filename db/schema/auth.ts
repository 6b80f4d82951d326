// better-auth's tables: users, sessions, accounts (password hashes), verifications, second factors, devices that ask to be signed in;
// and who is invited to sign up. Granted to berth_auth alone.
import { boolean, index, integer, pgTable, text, timestamp } from "drizzle-orm/pg-core";
import type { TeamId, UserId } from "../../contracts/ids.ts";
import { idColumn } from "../ids.ts";
import { authPolicy } from "./policies.ts";

const time = (name: string) => timestamp(name, { withTimezone: true, precision: 3 });
const createdAt = () => time("created_at").notNull().defaultNow();
const updatedAt = () => time("updated_at").notNull().defaultNow();

export const users = pgTable(
  "users",
  {
    id: idColumn<UserId>("user")("id").primaryKey(),
    email: text("email").notNull().unique(),
    emailVerified: boolean("email_verified").notNull().default(false),
    name: text("name").notNull(),
    image: text("image"),
    /** May see and change nodes of the whole installation. Never taken from input. */
    operator: boolean("operator").notNull().default(false),
    twoFactorEnabled: boolean("two_factor_enabled").notNull().default(false),
    createdAt: createdAt(),
    updatedAt: updatedAt(),
  },
  () => [authPolicy("users")],
);

/** token is half of a bearer: the other half is a signature over it (workers/control/auth/bearer.ts), so a row is no credential. */
export const sessions = pgTable(
  "sessions",
  {
    id: idColumn("sess")("id").primaryKey(),
    userId: idColumn<UserId>("user")("user_id")
      .notNull()
      .references(() => users.id, { onDelete: "cascade" }),
    token: text("token").notNull().unique(),
    expiresAt: time("expires_at").notNull(),
    ipAddress: text("ip_address"),
    userAgent: text("user_agent"),
    /** Whether a code or a recovery code was shown for it. */
    secondFactor: boolean("second_factor").notNull().default(false),
    /** Opened through this team's single sign-on: it reaches that team alone, and changes nothing of the account. */
    signOnTeam: idColumn<TeamId>("team")("sign_on_team"),
    createdAt: createdAt(),
    updatedAt: updatedAt(),
  },
  (table) => [
    index("sessions_user").on(table.userId),
    index("sessions_expiry").on(table.expiresAt),
    authPolicy("sessions"),
  ],
);

export const accounts = pgTable(
  "accounts",
  {
    id: idColumn("acct")("id").primaryKey(),
    userId: idColumn<UserId>("user")("user_id")
      .notNull()
      .references(() => users.id, { onDelete: "cascade" }),
    providerId: text("provider_id").notNull(),
    accountId: text("account_id").notNull(),
    /** scrypt, salted; made and checked by better-auth. */
    password: text("password"),
    accessToken: text("access_token"),
    refreshToken: text("refresh_token"),
    idToken: text("id_token"),
    accessTokenExpiresAt: time("access_token_expires_at"),
    refreshTokenExpiresAt: time("refresh_token_expires_at"),
    scope: text("scope"),
    createdAt: createdAt(),
    updatedAt: updatedAt(),
  },
  (table) => [index("accounts_user").on(table.userId), authPolicy("accounts")],
);

export const verifications = pgTable(
  "verifications",
  {
    id: idColumn("veri")("id").primaryKey(),
    identifier: text("identifier").notNull(),
    value: text("value").notNull(),
    expiresAt: time("expires_at").notNull(),
    createdAt: createdAt(),
    updatedAt: updatedAt(),
  },
  (table) => [index("verifications_identifier").on(table.identifier), authPolicy("verifications")],
);

/** secret and backupCodes are sealed by better-auth. verified: a first code was shown, so from now on one is asked for. */
export const twoFactors = pgTable(
  "two_factors",
  {
    id: idColumn("totp")("id").primaryKey(),
    userId: idColumn<UserId>("user")("user_id")
      .notNull()
      .unique()
      .references(() => users.id, { onDelete: "cascade" }),
    secret: text("secret").notNull(),
    backupCodes: text("backup_codes").notNull(),
    verified: boolean("verified").notNull().default(false),
    failedVerificationCount: integer("failed_verification_count").notNull().default(0),
    lockedUntil: time("locked_until"),
  },
  () => [authPolicy("two_factors")],
);

/** One row for each `berth login` that waits: gone once it was answered and fetched. The session gets what its approver's had. */
export const deviceCodes = pgTable(
  "device_codes",
  {
    id: idColumn("dev")("id").primaryKey(),
    deviceCode: text("device_code").notNull().unique(),
    userCode: text("user_code").notNull().unique(),
    userId: idColumn<UserId>("user")("user_id").references(() => users.id, { onDelete: "cascade" }),
    expiresAt: time("expires_at").notNull(),
    status: text("status").notNull(),
    lastPolledAt: time("last_polled_at"),
    pollingInterval: integer("polling_interval"),
    clientId: text("client_id"),
    scope: text("scope"),
    /** Where it was asked from, for whoever is to approve it. */
    ipAddress: text("ip_address"),
    userAgent: text("user_agent"),
    secondFactor: boolean("second_factor").notNull().default(false),
    signOnTeam: idColumn<TeamId>("team")("sign_on_team"),
  },
  (table) => [index("device_codes_expiry").on(table.expiresAt), authPolicy("device_codes")],
);

/** Who may make an account while sign-up is by invitation. Addresses in lower case. */
export const signUpInvitations = pgTable(
  "sign_up_invitations",
  {
    email: text("email").primaryKey(),
    invitedBy: text("invited_by").notNull(),
    expiresAt: time("expires_at").notNull(),
    createdAt: createdAt(),
  },
  () => [authPolicy("sign_up_invitations")],
);
