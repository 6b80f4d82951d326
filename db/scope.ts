// Whose rows a transaction may see. Without one of these settings row-level security shows nothing (db/schema/policies.ts).
import { sql, type SQL } from "drizzle-orm";
import type { TeamId } from "../contracts/ids.ts";
import { toUuid } from "./ids.ts";

/**
 * team: the rows of one team. operator: nodes, join tokens and what belongs to no team. enrol: a node's first request.
 * sink: what the outbox brings. sweep: what is too old. domain: a team's rows, and which hostnames all teams hold. auth: of the role berth_auth, which sees all of its few tables.
 */
export type Scope =
  | { readonly kind: "team"; readonly team: TeamId }
  | { readonly kind: "operator" }
  | { readonly kind: "enrol" }
  | { readonly kind: "sink" }
  | { readonly kind: "sweep" }
  | { readonly kind: "domain"; readonly team: TeamId }
  | { readonly kind: "auth" };

/** The statement that a transaction begins with; its settings end with it. */
export function setScope(scope: Scope): SQL {
  const team = scope.kind === "team" || scope.kind === "domain" ? toUuid(scope.team, "team") : "";
  const kind = scope.kind === "team" || scope.kind === "auth" ? "" : scope.kind;
  return sql`select set_config('berth.team', ${team}, true), set_config('berth.scope', ${kind}, true)`;
}
