// What can be allowed: the built-in roles, resources and actions, scopes of API tokens, and the policies of a team's own roles.
import { z } from "zod";
import { DnsLabel } from "./ids.ts";

/** From most to least. Every team has an owner. */
export const TEAM_ROLES = ["owner", "admin", "developer", "viewer"] as const;
export type TeamRole = (typeof TEAM_ROLES)[number];

export const ACTIONS = ["read", "create", "update", "delete"] as const;
export type Action = (typeof ACTIONS)[number];

/** Each belongs to an app, and so to one project. */
export const PROJECT_RESOURCES = [
  "app",
  "release",
  "rollout",
  "traffic",
  "environment",
  "domain",
  "log",
  "event",
] as const;
/** Each belongs to the team as a whole. */
export const TEAM_RESOURCES = ["team", "member", "role", "token", "project", "registry", "audit"] as const;
/** The installation's: an operator's, whichever team he is in. */
export const OPERATOR_RESOURCES = ["node", "agent", "installation", "backup", "operator_audit"] as const;

export type ProjectResource = (typeof PROJECT_RESOURCES)[number];
export type TeamResource = (typeof TEAM_RESOURCES)[number];
export type OperatorResource = (typeof OPERATOR_RESOURCES)[number];
export type Resource = ProjectResource | TeamResource | OperatorResource;
export const RESOURCES: readonly Resource[] = [...PROJECT_RESOURCES, ...TEAM_RESOURCES, ...OPERATOR_RESOURCES];

const names = (all: readonly string[]) => all.join(", ");

/** `app:read`, `release:*`, `*:read` or `*`. */
export const Scope = z.string().refine(
  (scope) => {
    if (scope === "*") return true;
    const [resource = "", action = "", ...rest] = scope.split(":");
    return (
      rest.length === 0 &&
      (resource === "*" || (RESOURCES as readonly string[]).includes(resource)) &&
      (action === "*" || (ACTIONS as readonly string[]).includes(action))
    );
  },
  { message: `must be resource:action, with * for any; resources: ${names(RESOURCES)}; actions: ${names(ACTIONS)}` },
);
export const Scopes = z.array(Scope).min(1).max(64);

/** Where a policy holds. projects: in these alone, by name. own: for what the caller made. sessionOnly: not for API tokens. */
export const PolicyCondition = z.strictObject({
  projects: z.array(DnsLabel).min(1).max(50).optional(),
  own: z.literal(true).optional(),
  sessionOnly: z.literal(true).optional(),
});
/** One line of a team's own role: these actions upon this resource, where the condition holds. All lines together are the role. */
export const Policy = z.strictObject({
  resource: z.enum(["*", ...PROJECT_RESOURCES, ...TEAM_RESOURCES]),
  actions: z
    .array(z.enum(["*", ...ACTIONS]))
    .min(1)
    .max(5),
  condition: PolicyCondition.default({}),
});
export type Policy = z.infer<typeof Policy>;

/** A role of the team's own must not be called like a built-in one. */
export const CustomRoleName = DnsLabel.refine((name) => !([...TEAM_ROLES, "member"] as string[]).includes(name), {
  message: `must not be ${names(TEAM_ROLES)} or member: built-in roles are called so`,
});
/** A built-in role or one of the team's own. */
export const RoleName = DnsLabel;
