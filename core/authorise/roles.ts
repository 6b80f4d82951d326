// What the built-in roles allow, as the same kind of lines that a team's own roles have.
import { PROJECT_RESOURCES, type TeamRole } from "../../contracts/access.ts";
import { assertNever } from "../step.ts";
import type { Grant, Role } from "./types.ts";

const anywhere = {};
const own = { own: true } as const;

const OWNER: readonly Grant[] = [{ resource: "*", actions: ["*"], condition: anywhere }];

/** Everything but what would end the team: so that an admin has less than an owner, and can make or unmake none. */
const ADMIN: readonly Grant[] = [
  ...PROJECT_RESOURCES.map((resource): Grant => ({ resource, actions: ["*"], condition: anywhere })),
  ...(["member", "role", "token", "project", "registry", "audit"] as const).map((resource): Grant => ({
    resource,
    actions: ["*"],
    condition: anywhere,
  })),
  { resource: "team", actions: ["read", "update"], condition: anywhere },
];

/** Of everyone: to see who is there, to go, and to have tokens that can do no more than oneself. */
const MEMBER: readonly Grant[] = [
  ...(["team", "member", "role", "project"] as const).map((resource): Grant => ({
    resource,
    actions: ["read"],
    condition: anywhere,
  })),
  { resource: "member", actions: ["delete"], condition: own },
  { resource: "token", actions: ["create"], condition: anywhere },
  { resource: "token", actions: ["read", "delete"], condition: own },
];

const DEVELOPER: readonly Grant[] = [
  ...MEMBER,
  ...PROJECT_RESOURCES.map((resource): Grant => ({ resource, actions: ["*"], condition: anywhere })),
  { resource: "registry", actions: ["*"], condition: anywhere },
  { resource: "project", actions: ["create"], condition: anywhere },
];

const VIEWER: readonly Grant[] = [
  ...MEMBER,
  ...PROJECT_RESOURCES.map((resource): Grant => ({ resource, actions: ["read"], condition: anywhere })),
  { resource: "registry", actions: ["read"], condition: anywhere },
];

const BUILT_IN: Readonly<Record<TeamRole, readonly Grant[]>> = {
  owner: OWNER,
  admin: ADMIN,
  developer: DEVELOPER,
  viewer: VIEWER,
};

export function grantsOf(role: Role): readonly Grant[] {
  switch (role.kind) {
    case "built_in":
      return BUILT_IN[role.name];
    case "custom":
      return role.grants;
    default:
      return assertNever(role);
  }
}
