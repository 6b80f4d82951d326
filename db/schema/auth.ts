// better-auth's tables: users, sessions, accounts (password hashes), verifications. Granted to berth_auth alone.
import { boolean, index, pgTable, text, timestamp } from "drizzle-orm/pg-core";
import type { UserId } from "../../contracts/ids.ts";
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
