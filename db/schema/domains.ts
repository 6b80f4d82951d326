// Custom domains: what each team added to its apps, and which of all teams holds a hostname.
import { sql } from "drizzle-orm";
import { bigint, foreignKey, index, jsonb, pgTable, text, unique } from "drizzle-orm/pg-core";
import type { DomainCertificate, Findings } from "../../contracts/domains.ts";
import type { AppId, TeamId } from "../../contracts/ids.ts";
import { atMs, idColumn } from "../ids.ts";
import { apps } from "./apps.ts";
import { scopePolicy, teamPolicy } from "./policies.ts";

const teamId = () => idColumn<TeamId>("team")("team_id").notNull();
const appId = () => idColumn<AppId>("app")("app_id").notNull();

/**
 * Any team may add any hostname and try to prove it; so many teams may have a row of one hostname. token: the proof's random part, made anew
 * each time it is added. `state` and the times beside it are core/domains' DomainState.
 */
export const domains = pgTable(
  "domains",
  {
    id: idColumn<string>("dom")("id").primaryKey(),
    teamId: teamId(),
    appId: appId(),
    hostname: text("hostname").notNull(),
    token: text("token").notNull(),
    state: text("state", { enum: ["pending", "proven", "suspended"] }).notNull(),
    sinceMs: atMs("since").notNull(),
    provenAtMs: atMs("proven_at"),
    seenAtMs: atMs("seen_at"),
    missingSinceMs: atMs("missing_since"),
    findings: jsonb("findings").$type<Findings>(),
    certificate: jsonb("certificate").$type<DomainCertificate>(),
    checkedAtMs: atMs("checked_at"),
    /** Rises with each look that was written: of two looks at once the one that began later stays. */
    checks: bigint("checks", { mode: "number" }).notNull().default(0),
    nextCheckAtMs: atMs("next_check_at"),
    createdBy: text("created_by").notNull(),
    createdAtMs: atMs("created_at")
      .notNull()
      .default(sql`now()`),
  },
  (table) => [
    foreignKey({ columns: [table.teamId, table.appId], foreignColumns: [apps.teamId, apps.id] }),
    unique("domains_hostname").on(table.teamId, table.hostname),
    index("domains_app").on(table.teamId, table.appId, table.hostname),
    index("domains_due").on(table.nextCheckAtMs),
    teamPolicy("domains", table.teamId),
    scopePolicy("domains", "select", "sweep"),
  ],
);

/**
 * One row for each hostname that was ever proven, never deleted: who has it (invariant 19: the primary key is over all teams), or had
 * it last. revision rises with each change; the Host object ignores an older one. settled: what the Host object has acknowledged.
 */
export const domainHolds = pgTable(
  "domain_holds",
  {
    hostname: text("hostname").primaryKey(),
    teamId: teamId(),
    appId: appId(),
    state: text("state", { enum: ["held", "resting"] }).notNull(),
    restsUntilMs: atMs("rests_until"),
    revision: bigint("revision", { mode: "number" }).notNull(),
    settled: bigint("settled", { mode: "number" }).notNull().default(0),
    /** The certificate issuer's id of the hostname, for as long as it has one there. */
    customHostnameId: text("custom_hostname_id"),
  },
  (table) => [
    foreignKey({ columns: [table.teamId, table.appId], foreignColumns: [apps.teamId, apps.id] }),
    index("domain_holds_app").on(table.teamId, table.appId),
    index("domain_holds_unsettled")
      .on(table.hostname)
      .where(sql`${table.settled} < ${table.revision}`),
    teamPolicy("domain_holds", table.teamId),
    scopePolicy("domain_holds", "select", "domain", "sweep"),
    scopePolicy("domain_holds", "insert", "domain"),
    scopePolicy("domain_holds", "update", "domain", "sweep"),
  ],
);
