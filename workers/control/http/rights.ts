// Giving rights: what a role would allow, held against what the giver may; and projects from their names to their ids.
import type { Policy } from "../../../contracts/access.ts";
import type { ProjectId, UserId } from "../../../contracts/ids.ts";
import { beyond } from "../../../core/authorise/giving.ts";
import { TEAM_ROLES } from "../../../contracts/access.ts";
import type { Subject } from "../../../core/authorise/types.ts";
import { findMembership, type MembershipRecord } from "../../../db/queries/members.ts";
import { findProjects } from "../../../db/queries/projects.ts";
import { findRole } from "../../../db/queries/roles.ts";
import type { StoredPolicy } from "../../../db/schema/teams.ts";
import { roleNamed } from "../auth/caller.ts";
import type { ControlRequest } from "./context.ts";
import { databaseOf } from "./database.ts";
import { fail, failField } from "./problem.ts";

type Rights = Omit<MembershipRecord, "policies"> & { readonly policies: readonly StoredPolicy[] | null };

const subjectOf = ({ role, policies, projects }: Rights): Subject => ({
  role: roleNamed(role, policies),
  ...{ projects, token: null, operator: false },
});

/** 403 where the rights are more than the caller's own: neither given nor taken. */
export function requireWithin(c: ControlRequest, rights: Rights, what: string): void {
  const more = beyond(c.get("caller").subject, subjectOf(rights));
  if (more === null) return;
  fail("forbidden", `${what} allows ${more}, which you may not: nobody gives or takes more than they have.`);
}

/** The role's rights, or 422 where the team has none of that name. */
export async function rightsOfRole(
  c: ControlRequest,
  role: string,
  projects: readonly ProjectId[] | null,
): Promise<Rights> {
  if ((TEAM_ROLES as readonly string[]).includes(role)) return { role, policies: null, projects };
  const found = await findRole(databaseOf(c.env), c.get("caller").team.id, role);
  if (found === null) {
    const message = `the team has no role ${role}; built in are ${TEAM_ROLES.join(", ")}`;
    return failField("unprocessable", { pointer: "/role", rule: "exists", message });
  }
  return { role, policies: found.policies, projects };
}

export async function membershipOf(c: ControlRequest, user: UserId): Promise<MembershipRecord> {
  const found = await findMembership(databaseOf(c.env), c.get("caller").team.id, user);
  return found ?? fail("not_found", `This team has no member ${user}.`);
}

/** 422 at the name that the team has no project of. */
export async function projectIds(
  c: ControlRequest,
  names: readonly string[],
  pointerOf: (at: number) => string = (at) => `/projects/${at}`,
): Promise<ProjectId[]> {
  const known = await findProjects(databaseOf(c.env), c.get("caller").team.id, names);
  return names.map((name, at) => {
    const id = known.get(name);
    if (id !== undefined) return id;
    const message = `the team has no project named ${name}`;
    return failField("unprocessable", { pointer: pointerOf(at), rule: "exists", message });
  });
}

export async function storedPolicies(c: ControlRequest, policies: readonly Policy[]): Promise<StoredPolicy[]> {
  return Promise.all(
    policies.map(async ({ condition: { projects, ...condition }, ...policy }, at) => {
      if (projects === undefined) return { ...policy, condition };
      const ids = await projectIds(c, projects, (place) => `/policies/${at}/condition/projects/${place}`);
      return { ...policy, condition: { ...condition, projects: ids } };
    }),
  );
}
