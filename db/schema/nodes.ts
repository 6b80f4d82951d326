// Join tokens, and which node is in which cell (a copy: the Cell object owns the node).
import { sql } from "drizzle-orm";
import { index, pgTable, text } from "drizzle-orm/pg-core";
import type { CellName, JoinTokenId, NodeId, RegionName } from "../../contracts/ids.ts";
import { atMs, hexBytes, idColumn } from "../ids.ts";
import { scopePolicy } from "./policies.ts";

/** Single use: usedByJkt is the thumbprint of the key that used it, so that the same key may try again and gets the same node. */
export const joinTokens = pgTable(
  "join_tokens",
  {
    id: idColumn<JoinTokenId>("join")("id").primaryKey(),
    hash: hexBytes("hash").notNull().unique(),
    region: text("region").$type<RegionName>(),
    createdBy: text("created_by").notNull(),
    createdAtMs: atMs("created_at")
      .notNull()
      .default(sql`now()`),
    expiresAtMs: atMs("expires_at").notNull(),
    usedAtMs: atMs("used_at"),
    usedBy: idColumn<NodeId>("node")("used_by"),
    usedByJkt: text("used_by_jkt"),
  },
  () => [
    scopePolicy("join_tokens", "select", "operator", "enrol"),
    scopePolicy("join_tokens", "insert", "operator"),
    scopePolicy("join_tokens", "update", "operator", "enrol"),
  ],
);

export const nodes = pgTable(
  "nodes",
  {
    id: idColumn<NodeId>("node")("id").primaryKey(),
    name: text("name").notNull(),
    cell: text("cell").$type<CellName>().notNull(),
    region: text("region").$type<RegionName>().notNull(),
    failureDomain: text("failure_domain").notNull(),
    jkt: text("jkt").notNull(),
    enrolledBy: text("enrolled_by").notNull(),
    enrolledAtMs: atMs("enrolled_at")
      .notNull()
      .default(sql`now()`),
    revokedAtMs: atMs("revoked_at"),
    /** What the DNS may have records of; null: nothing, or nothing any more. */
    dnsName: text("dns_name"),
  },
  (table) => [
    index("nodes_name").on(table.name),
    index("nodes_cell").on(table.cell, table.id),
    scopePolicy("nodes", "select", "operator", "enrol"),
    scopePolicy("nodes", "insert", "enrol"),
    scopePolicy("nodes", "update", "operator", "enrol"),
  ],
);
