// Invitations to the caller's team, by email address; and accepting one, for whoever it was sent to.
import { createRoute, z } from "@hono/zod-openapi";
import { page, PageQuery, Team } from "../../../contracts/api.ts";
import { InvitationId } from "../../../contracts/ids.ts";
import { Invitation, InvitationAccept, InvitationCreate, InvitationCreated } from "../../../contracts/teams.ts";
import { INVITATION_TTL_MS, MEMBERS_MAX, OPEN_INVITATIONS_MAX } from "../../../core/authorise/limits.ts";
import { acceptInvitation, invite, listInvitations, revokeInvitation } from "../../../db/queries/invitations.ts";
import { mintInvitation } from "../auth/bearer.ts";
import { sha256Hex } from "../sha256.ts";
import { originOf } from "../auth/accounts.ts";
import { authDatabase } from "../auth/databases.ts";
import { askedOf } from "../http/asked.ts";
import { newApi } from "../http/context.ts";
import { databaseOf } from "../http/database.ts";
import { aboutDeed, byOf } from "../http/deed.ts";
import { writeOnce } from "../http/idempotency.ts";
import { fail } from "../http/problem.ts";
import {
  IdempotencyHeader,
  json,
  jsonBody,
  problems,
  READ_PROBLEMS,
  SIGNED_IN,
  unwrap,
  WRITE_PROBLEMS,
} from "../http/respond.ts";
import { invitedToTeam } from "../mail/letters.ts";
import { projectIds, requireWithin, rightsOfRole } from "../http/rights.ts";

const tags = ["Teams and projects"];
const security = SIGNED_IN;

const inviteRoute = createRoute({
  method: "post",
  path: "/v1/invitations",
  operationId: "inviteMember",
  tags,
  security,
  summary: "Invite somebody to the team",
  description: "By email address, for seven days. Another invitation to the same address ends the one before.",
  request: { headers: IdempotencyHeader, ...jsonBody(InvitationCreate) },
  responses: { 201: json(InvitationCreated, "The invitation; its token is shown once."), ...WRITE_PROBLEMS },
});
const listInvitationsRoute = createRoute({
  method: "get",
  path: "/v1/invitations",
  operationId: "listInvitations",
  tags,
  security,
  summary: "List invitations",
  request: { query: PageQuery },
  responses: { 200: json(page(Invitation), "A page of invitations, newest first."), ...READ_PROBLEMS },
});
const revokeInvitationRoute = createRoute({
  method: "delete",
  path: "/v1/invitations/{invitation}",
  operationId: "revokeInvitation",
  tags,
  security,
  summary: "Revoke an invitation",
  request: { params: z.object({ invitation: InvitationId }) },
  responses: { 204: { description: "Its token opens nothing from now on." }, ...WRITE_PROBLEMS },
});
const acceptInvitationRoute = createRoute({
  method: "post",
  path: "/v1/invitations/accept",
  operationId: "acceptInvitation",
  tags,
  security,
  summary: "Accept an invitation",
  description: "Signed in with the address that it was sent to.",
  request: jsonBody(InvitationAccept),
  responses: { 200: json(Team, "The team that the caller belongs to now."), ...WRITE_PROBLEMS, ...problems(410) },
});

export const invitations = newApi()
  .openapi(acceptInvitationRoute, async (c) => {
    const { token } = c.req.valid("json");
    const { user } = c.get("caller");
    aboutDeed(c, { subject: user.email });
    const input = { hash: await sha256Hex(token), user: user.id, email: user.email, membersMax: MEMBERS_MAX };
    return c.json(unwrap(await acceptInvitation(authDatabase(c.env), { ...byOf(c), ...input })), 200);
  })
  .openapi(inviteRoute, async (c) => {
    const { email: given, role, projects } = c.req.valid("json");
    const email = given.toLowerCase();
    aboutDeed(c, { subject: email });
    const ids = projects === null ? null : await projectIds(c, projects);
    requireWithin(c, await rightsOfRole(c, role, ids), "This role");
    if (role === "owner" && ids !== null)
      fail("unprocessable", "An owner is not limited to projects: give another role.");
    const act = async (id: string) => {
      const { token, hash } = await mintInvitation();
      const { team, user } = c.get("caller");
      const facts = { email, role, projectIds: ids, hash };
      const input = { id: id as InvitationId, team: team.id, inviter: user.id, ...facts };
      const limits = { expiresAtMs: Date.now() + INVITATION_TTL_MS, openMax: OPEN_INVITATIONS_MAX };
      const made = unwrap(await invite(databaseOf(c.env), { ...byOf(c), ...input, ...limits }));
      askedOf(c).post([invitedToTeam(email, team.name, originOf(c.env), token)]);
      return { ...made, token };
    };
    const input = { email, role, projects };
    return c.json(await writeOnce(c, { operation: "member.invite", input, prefix: "inv", act }), 201);
  })
  .openapi(listInvitationsRoute, async (c) => {
    return c.json(unwrap(await listInvitations(databaseOf(c.env), c.get("caller").team.id, c.req.valid("query"))), 200);
  })
  .openapi(revokeInvitationRoute, async (c) => {
    const { invitation: id } = c.req.valid("param");
    aboutDeed(c, { subject: id });
    const revoked = await revokeInvitation(databaseOf(c.env), { ...byOf(c), team: c.get("caller").team.id, id });
    if (!revoked) fail("not_found", `This team has no invitation ${id} that could still be accepted.`);
    return c.body(null, 204);
  });
