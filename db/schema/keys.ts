// The platform's keys by kind and version, who has heard of them, and how far re-wrapping under a new one has come. The operator's.
import { sql } from "drizzle-orm";
import { bigint, jsonb, pgTable, primaryKey, text } from "drizzle-orm/pg-core";
import type { KeyKind, KeyState } from "../../contracts/keys.ts";
import type { NodeId } from "../../contracts/ids.ts";
import { atMs, idColumn } from "../ids.ts";
import { scopePolicy } from "./policies.ts";

const count = (name: string) => bigint(name, { mode: "number" }).notNull().default(0);

/** sealed: under the key-encryption key; null where the Workers were given it as a secret. public: what others verify by. */
export const platformKeys = pgTable(
  "platform_keys",
  {
    kind: text("kind").$type<KeyKind>().notNull(),
    version: text("version").notNull(),
    state: text("state").$type<KeyState>().notNull(),
    sealed: text("sealed"),
    public: jsonb("public").$type<Record<string, string>>(),
    createdAtMs: atMs("created_at")
      .notNull()
      .default(sql`now()`),
    activatedAtMs: atMs("activated_at"),
    replacedAtMs: atMs("replaced_at"),
    retiredAtMs: atMs("retired_at"),
    /** When its age was last told of. */
    alarmedAtMs: atMs("alarmed_at"),
  },
  (table) => [
    primaryKey({ columns: [table.kind, table.version] }),
    scopePolicy("platform_keys", "select", "operator"),
    scopePolicy("platform_keys", "insert", "operator"),
    scopePolicy("platform_keys", "update", "operator"),
  ],
);

/** What a node said last, while keys were on their way: the ticket keys that it trusts, and the key of its credential. */
export const nodeKeys = pgTable(
  "node_keys",
  {
    node: idColumn<NodeId>("node")("node_id").primaryKey(),
    ticket: jsonb("ticket").$type<readonly string[]>().notNull(),
    credential: text("credential").notNull(),
    toldAtMs: atMs("told_at").notNull(),
  },
  () => [
    scopePolicy("node_keys", "select", "operator"),
    scopePolicy("node_keys", "insert", "operator"),
    scopePolicy("node_keys", "update", "operator"),
  ],
);

/** One row per version that things are re-wrapped under. cursor: within the stage, what was done last. */
export const keySweeps = pgTable(
  "key_sweeps",
  {
    version: text("version").primaryKey(),
    stage: text("stage").notNull(),
    cursor: text("cursor").notNull().default(""),
    seen: count("seen"),
    rewrapped: count("rewrapped"),
    failed: count("failed"),
    firstFailure: text("first_failure"),
    startedAtMs: atMs("started_at").notNull(),
    endedAtMs: atMs("ended_at"),
  },
  () => [
    scopePolicy("key_sweeps", "select", "operator"),
    scopePolicy("key_sweeps", "insert", "operator"),
    scopePolicy("key_sweeps", "update", "operator"),
  ],
);
