// Row-level security: who sees which rows. The settings are made by db/scope.ts; where none was made, nothing matches.
import { sql, type SQL } from "drizzle-orm";
import { pgPolicy, pgRole, type AnyPgColumn, type PgPolicyConfig } from "drizzle-orm/pg-core";

export const berthAuth = pgRole("berth_auth").existing();
export const berthApp = pgRole("berth_app").existing();

/** The team of this transaction, or null. `nullif`: a setting once made in a session reads as '' afterwards. */
const currentTeam = sql`nullif(current_setting('berth.team', true), '')::uuid`;

/** Narrow views beside a team's: the operator's, an enrolling node's, the outbox sink's, the sweep's, and who holds which hostname. */
export type ScopeKind = "operator" | "enrol" | "sink" | "sweep" | "domain";
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

/** Rows of the installation that hold for every team: each reads them, and operators do. */
export function everyTeamPolicy(table: string) {
  const using = sql`${currentTeam} is not null or ${inScope("operator")}`;
  return pgPolicy(`${table}_every_team`, { for: "select", to: berthApp, using });
}

/** Rows of a team that it may change too, beside a policy to read them. */
export function teamChangePolicy(table: string, command: "update" | "delete", team: AnyPgColumn) {
  const own = sql`${team} = ${currentTeam}`;
  return pgPolicy(`${table}_team_${command}`, {
    for: command,
    to: berthApp,
    using: own,
    ...(command === "update" ? { withCheck: own } : {}),
  });
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

/** The rows that belong to no team, for one command, in the scopes named: an operator is no member of tenants' teams. */
export function installationPolicy(
  table: string,
  command: "select" | "insert",
  team: AnyPgColumn,
  ...kinds: ScopeKind[]
) {
  const condition = sql`${inScope(...kinds)} and ${team} is null`;
  return pgPolicy(`${table}_${command}_${kinds.join("_")}`, {
    for: command,
    to: berthApp,
    ...(command === "insert" ? { withCheck: condition } : { using: condition }),
  });
}

/** berth_auth finds out who is asking, so it sees all rows of the few tables it was granted. */
export function authPolicy(table: string) {
  return pgPolicy(`${table}_auth`, { for: "all", to: berthAuth, using: sql`true`, withCheck: sql`true` });
}
