// Members of the caller's team: listed, given another role, removed; and leaving, which is removing oneself.
import { createRoute, z } from "@hono/zod-openapi";
import { page, PageQuery } from "../../../contracts/api.ts";
import { UserId } from "../../../contracts/ids.ts";
import { Member, MemberPatch } from "../../../contracts/teams.ts";
import { changeMember, listMembers, removeMember } from "../../../db/queries/members.ts";
import { authDatabase } from "../auth/databases.ts";
import { requireThing } from "../http/authorise.ts";
import { newApi } from "../http/context.ts";
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
import { membershipOf, projectIds, requireWithin, rightsOfRole } from "../http/rights.ts";

const tags = ["Teams and projects"];
const security = SIGNED_IN;
const params = z.object({ member: UserId.meta({ description: "The user's id." }) });

const listMembersRoute = createRoute({
  method: "get",
  path: "/v1/members",
  operationId: "listMembers",
  tags,
  security,
  summary: "List the team's members",
  request: { query: PageQuery },
  responses: { 200: json(page(Member), "A page of members, in the order in which they signed up."), ...READ_PROBLEMS },
});
const changeMemberRoute = createRoute({
  method: "patch",
  path: "/v1/members/{member}",
  operationId: "changeMember",
  tags,
  security,
  summary: "Change a member's role or projects",
  description: "Nobody gives or takes more than they have. The last owner stays one.",
  request: { params, headers: IdempotencyHeader, ...jsonBody(MemberPatch) },
  responses: { 204: { description: "It counts from the member's next request on." }, ...WRITE_PROBLEMS },
});
const removeMemberRoute = createRoute({
  method: "delete",
  path: "/v1/members/{member}",
  operationId: "removeMember",
  tags,
  security,
  summary: "Remove a member, or leave",
  description: "Everyone may remove themselves, but the last owner. The member's API tokens of this team end too.",
  request: { params },
  responses: { 204: { description: "Nothing of the team opens to them from now on." }, ...WRITE_PROBLEMS },
});

export const members = newApi()
  .openapi(listMembersRoute, async (c) => {
    const databases = { app: databaseOf(c.env), auth: authDatabase(c.env) };
    return c.json(unwrap(await listMembers(databases, c.get("caller").team.id, c.req.valid("query"))), 200);
  })
  .openapi(changeMemberRoute, async (c) => {
    const { member: user } = c.req.valid("param");
    const { role, projects } = c.req.valid("json");
    aboutDeed(c, { subject: user });
    const before = await membershipOf(c, user);
    requireThing(c, { own: user === c.get("caller").user.id }, () =>
      fail("not_found", `This team has no member ${user}.`),
    );
    const ids = projects === undefined || projects === null ? projects : await projectIds(c, projects);
    const after = await rightsOfRole(c, role ?? before.role, ids === undefined ? before.projects : ids);
    requireWithin(c, before, "What the member has");
    requireWithin(c, after, "This role");
    const { team } = c.get("caller");
    const input = { team: team.id, user, judgedRole: before.role, role, projectIds: ids };
    unwrap(await changeMember(databaseOf(c.env), { ...byOf(c), ...input }));
    return c.body(null, 204);
  })
  .openapi(removeMemberRoute, async (c) => {
    const { member: user } = c.req.valid("param");
    const { team, user: self } = c.get("caller");
    aboutDeed(c, { subject: user });
    const own = user === self.id;
    const before = await membershipOf(c, user);
    requireThing(c, { own }, () => fail("not_found", `This team has no member ${user}.`));
    if (!own) requireWithin(c, before, "What the member has");
    unwrap(await removeMember(databaseOf(c.env), { ...byOf(c), team: team.id, user, judgedRole: before.role }));
    return c.body(null, 204);
  });
