// About requests: the keys under which writes were answered, and the audit trail.
import { sql } from "drizzle-orm";
import { index, integer, jsonb, pgTable, primaryKey, text, uuid } from "drizzle-orm/pg-core";
import type { TeamId } from "../../contracts/ids.ts";
import { atMs, idColumn } from "../ids.ts";
import { authPolicy, installationPolicy, scopePolicy, teamPolicy } from "./policies.ts";

/** resource: the id that the first try minted; a retry goes on with it. status null: begun, not yet answered. */
export const idempotencyKeys = pgTable(
  "idempotency_keys",
  {
    teamId: idColumn<TeamId>("team")("team_id").notNull(),
    actor: text("actor").notNull(),
    key: text("key").notNull(),
    operation: text("operation").notNull(),
    requestHash: text("request_hash").notNull(),
    resource: text("resource").notNull(),
    status: integer("status"),
    body: jsonb("body").$type<unknown>(),
    createdAtMs: atMs("created_at")
      .notNull()
      .default(sql`now()`),
  },
  (table) => [
    primaryKey({ columns: [table.teamId, table.actor, table.key] }),
    index("idempotency_keys_age").on(table.createdAtMs),
    teamPolicy("idempotency_keys", table.teamId),
    scopePolicy("idempotency_keys", "select", "sweep"),
    scopePolicy("idempotency_keys", "delete", "sweep"),
    scopePolicy("idempotency_keys", "update", "sweep"),
  ],
);

/**
 * Append-only by grant. teamId null: of the installation. outcome: `ok` or a failure code. before and after: what the deed changed, never
 * a secret. address and userAgent: of the request.
 */
export const audit = pgTable(
  "audit",
  {
    id: uuid("id")
      .primaryKey()
      .default(sql`uuidv7()`),
    teamId: idColumn<TeamId>("team")("team_id"),
    actor: text("actor").notNull(),
    action: text("action").notNull(),
    subject: text("subject").notNull(),
    outcome: text("outcome").notNull(),
    requestId: text("request_id"),
    address: text("address"),
    userAgent: text("user_agent"),
    before: jsonb("before").$type<Record<string, unknown>>(),
    after: jsonb("after").$type<Record<string, unknown>>(),
    data: jsonb("data").$type<Record<string, unknown>>().notNull().default({}),
    atMs: atMs("at")
      .notNull()
      .default(sql`now()`),
  },
  (table) => [
    index("audit_team").on(table.teamId, table.id),
    index("audit_subject").on(table.subject, table.id),
    index("audit_team_actor").on(table.teamId, table.actor, table.id),
    index("audit_team_action").on(table.teamId, table.action, table.id),
    index("audit_team_subject").on(table.teamId, table.subject, table.id),
    authPolicy("audit"),
    teamPolicy("audit", table.teamId),
    installationPolicy("audit", "select", table.teamId, "operator"),
    installationPolicy("audit", "insert", table.teamId, "operator", "enrol"),
  ],
);
