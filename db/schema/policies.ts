// Row-level security: who sees which rows. The settings are made by db/scope.ts; where none was made, nothing matches.
import { sql, type SQL } from "drizzle-orm";
import { pgPolicy, pgRole, type AnyPgColumn, type PgPolicyConfig } from "drizzle-orm/pg-core";

export const berthAuth = pgRole("berth_auth").existing();
export const berthApp = pgRole("berth_app").existing();

/** The team of this transaction, or null. `nullif`: a setting once made in a session reads as '' afterwards. */
const currentTeam = sql`nullif(current_setting('berth.team', true), '')::uuid`;

/** Narrow views beside a team's: the operator's, an enrolling node's, the outbox sink's, the sweep's. */
export type ScopeKind = "operator" | "enrol" | "sink" | "sweep";
const inScope = (...kinds: ScopeKind[]): SQL =>
  sql.raw(`current_setting('berth.scope', true) in (${kinds.map((kind) => `'${kind}'`).join(", ")})`);

type Command = NonNullable<PgPolicyConfig["for"]>;

/** Rows whose team column is the transaction's team, for every command that berth_app was granted. */
export function teamPolicy(table: string, team: AnyPgColumn) {
  const own = sql`${team} = ${currentTeam}`;
  return pgPolicy(`${table}_team`, { for: "all", to: berthApp, using: own, withCheck: own });
}

/** Rows of a team, only to be read by it. */
export function teamReadPolicy(table: string, team: AnyPgColumn) {
  return pgPolicy(`${table}_team_read`, { for: "select", to: berthApp, using: sql`${team} = ${currentTeam}` });
}

/** All rows, for one command, in the scopes named. */
export function scopePolicy(table: string, command: Exclude<Command, "all">, ...kinds: ScopeKind[]) {
  const condition = inScope(...kinds);
  return pgPolicy(`${table}_${command}_${kinds.join("_")}`, {
    for: command,
    to: berthApp,
    ...(command === "insert" ? {} : { using: condition }),
    ...(command === "insert" || command === "update" ? { withCheck: condition } : {}),
  });
}

/** berth_auth finds out who is asking, so it sees all rows of the few tables it was granted. */
export function authPolicy(table: string) {
  return pgPolicy(`${table}_auth`, { for: "all", to: berthAuth, using: sql`true`, withCheck: sql`true` });
}
