// Who asks for what, as authorisation sees it: plain facts, put together from one row of Postgres.
import type { Action, Policy, Resource, TeamRole } from "../../contracts/access.ts";
import type { ProjectId } from "../../contracts/ids.ts";

/** A policy whose projects are ids. */
export interface Grant {
  readonly resource: Policy["resource"];
  readonly actions: Policy["actions"];
  readonly condition: {
    readonly projects?: readonly ProjectId[] | undefined;
    readonly own?: true | undefined;
    readonly sessionOnly?: true | undefined;
  };
}

export type Role =
  | { readonly kind: "built_in"; readonly name: TeamRole }
  | { readonly kind: "custom"; readonly name: string; readonly grants: readonly Grant[] };

export interface Subject {
  readonly role: Role;
  /** Of the membership: only these; null: the whole team. */
  readonly projects: readonly ProjectId[] | null;
  /** An API token never has more than its owner; null: a session. */
  readonly token: { readonly scopes: readonly string[]; readonly projects: readonly ProjectId[] | null } | null;
  readonly operator: boolean;
}

/** project and own: undefined where they are not known yet. own: whether the caller made the thing, or is it. */
export interface Asked {
  readonly resource: Resource;
  readonly action: Action;
  readonly project?: ProjectId | undefined;
  readonly own?: boolean | undefined;
}

export type Fact = "project" | "own";
export type DeniedReason =
  | { readonly kind: "operators_only" }
  | { readonly kind: "role"; readonly role: string }
  | { readonly kind: "not_own"; readonly role: string }
  /** As if it were not there. */
  | { readonly kind: "project" }
  | { readonly kind: "limited_to_projects" }
  | { readonly kind: "token_scope" };

/** depends: allowed for some things of the kind; ask again once these facts of the thing are known. */
export type Verdict =
  | { readonly kind: "allowed" }
  | { readonly kind: "depends"; readonly on: readonly Fact[] }
  | { readonly kind: "denied"; readonly reason: DeniedReason };
