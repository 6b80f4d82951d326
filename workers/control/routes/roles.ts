// Roles of the caller's team: the built-in ones, and its own, each a list of policies.
import { createRoute, z } from "@hono/zod-openapi";
import { TEAM_ROLES, type Policy } from "../../../contracts/access.ts";
import { RoleParam, RolePut, TeamOwnRole } from "../../../contracts/teams.ts";
import { grantsOf } from "../../../core/authorise/roles.ts";
import { CUSTOM_ROLES_MAX } from "../../../core/authorise/limits.ts";
import type { ProjectId } from "../../../contracts/ids.ts";
import { projectsNamed } from "../../../db/queries/projects.ts";
import { deleteRole, findRole, listRoles, putRole, type RoleRecord } from "../../../db/queries/roles.ts";
import { newApi, type ControlRequest } from "../http/context.ts";
import { databaseOf } from "../http/database.ts";
import { aboutDeed, byOf } from "../http/deed.ts";
import { fail } from "../http/problem.ts";
import {
  IdempotencyHeader,
  json,
  jsonBody,
  READ_PROBLEMS,
  SIGNED_IN,
  unwrap,
  WRITE_PROBLEMS,
} from "../http/respond.ts";
import { requireWithin, storedPolicies } from "../http/rights.ts";

const tags = ["Teams and projects"];
const security = SIGNED_IN;

const listRolesRoute = createRoute({
  method: "get",
  path: "/v1/roles",
  operationId: "listRoles",
  tags,
  security,
  summary: "List roles",
  responses: {
    200: json(z.object({ items: z.array(TeamOwnRole) }), "The built-in ones, then the team's own by name."),
    ...READ_PROBLEMS,
  },
});
const putRoleRoute = createRoute({
  method: "put",
  path: "/v1/roles/{role}",
  operationId: "putRole",
  tags,
  security,
  summary: "Make or change a role of the team's own",
  description: "Everything that one of its policies allows, and nothing else. It counts at once for all who have it.",
  request: { params: RoleParam, headers: IdempotencyHeader, ...jsonBody(RolePut) },
  responses: { 200: json(TeamOwnRole, "The role."), ...WRITE_PROBLEMS },
});
const deleteRoleRoute = createRoute({
  method: "delete",
  path: "/v1/roles/{role}",
  operationId: "deleteRole",
  tags,
  security,
  summary: "Delete a role of the team's own",
  description: "Refused while a member has it, or an open invitation names it.",
  request: { params: RoleParam },
  responses: { 204: { description: "Deleted." }, ...WRITE_PROBLEMS },
});

const BUILT_IN: TeamOwnRole[] = TEAM_ROLES.map((name) => ({
  name,
  builtIn: true,
  policies: grantsOf({ kind: "built_in", name }).map(({ resource, actions, condition }) => ({
    ...{ resource, actions: [...actions] },
    condition: condition.own === true ? { own: true } : {},
  })),
  updatedAtMs: null,
}));

export const roles = newApi()
  .openapi(listRolesRoute, async (c) => {
    const own = await listRoles(databaseOf(c.env), c.get("caller").team.id);
    return c.json({ items: [...BUILT_IN, ...(await shown(c, own))] }, 200);
  })
  .openapi(putRoleRoute, async (c) => {
    const { role: name } = c.req.valid("param");
    aboutDeed(c, { subject: name });
    const policies = await storedPolicies(c, c.req.valid("json").policies);
    const before = await judged(c, name);
    requireWithin(c, { role: name, policies, projects: null }, "This role");
    const input = { team: c.get("caller").team.id, name, policies, judged: before, rolesMax: CUSTOM_ROLES_MAX };
    const [role] = await shown(c, [unwrap(await putRole(databaseOf(c.env), { ...byOf(c), ...input }))]);
    return c.json(role ?? fail("internal", "The role was not stored."), 200);
  })
  .openapi(deleteRoleRoute, async (c) => {
    const { role: name } = c.req.valid("param");
    aboutDeed(c, { subject: name });
    const before = await judged(c, name);
    const input = { team: c.get("caller").team.id, name, judged: before };
    unwrap(await deleteRole(databaseOf(c.env), { ...byOf(c), ...input }));
    return c.body(null, 204);
  });

/** What the role allows now must be the caller's own too, or somebody with less could take it from others. */
async function judged(c: ControlRequest, name: string): Promise<RoleRecord["policies"] | null> {
  const found = await findRole(databaseOf(c.env), c.get("caller").team.id, name);
  if (found === null) return null;
  requireWithin(c, { role: name, policies: found.policies, projects: null }, "This role as it is");
  return found.policies;
}

async function shown(c: ControlRequest, own: readonly RoleRecord[]): Promise<TeamOwnRole[]> {
  const ids = own.flatMap(({ policies }) => policies.flatMap(({ condition }) => condition.projects ?? []));
  const names = await projectsNamed(databaseOf(c.env), c.get("caller").team.id, ids);
  const nameOf = (id: ProjectId) => names.get(id) ?? id;
  const policyOf = ({ condition: { projects, ...condition }, ...policy }: RoleRecord["policies"][number]): Policy => ({
    ...policy,
    condition: { ...condition, ...(projects === undefined ? {} : { projects: projects.map(nameOf) }) },
  });
  return own.map(({ name, policies, updatedAtMs }) => ({
    ...{ name, updatedAtMs, builtIn: false },
    policies: policies.map(policyOf),
  }));
}
