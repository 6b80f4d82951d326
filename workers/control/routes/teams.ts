// Teams of the caller, and the projects of the team that the request is about.
import { createRoute, z } from "@hono/zod-openapi";
import { page, PageQuery, Project, ProjectCreate, Team, TeamCreate } from "../../../contracts/api.ts";
import { TeamRename } from "../../../contracts/teams.ts";
import type { ProjectId, TeamId } from "../../../contracts/ids.ts";
import { createProject, listProjects } from "../../../db/queries/projects.ts";
import { renameTeam } from "../../../db/queries/teams.ts";
import { projectsShown } from "../../../core/authorise/authorise.ts";
import { createTeam, listTeams } from "../auth/index.ts";
import { newApi } from "../http/context.ts";
import { databaseOf } from "../http/database.ts";
import { aboutDeed, byOf } from "../http/deed.ts";
import { writeOnce } from "../http/idempotency.ts";
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

const tags = ["Teams and projects"];
const security = SIGNED_IN;

const createTeamRoute = createRoute({
  method: "post",
  path: "/v1/teams",
  operationId: "createTeam",
  tags,
  security,
  summary: "Make a team",
  request: { headers: IdempotencyHeader, ...jsonBody(TeamCreate) },
  responses: { 201: json(Team, "The team; the caller owns it."), ...WRITE_PROBLEMS },
});
const listTeamsRoute = createRoute({
  method: "get",
  path: "/v1/teams",
  operationId: "listTeams",
  tags,
  security,
  summary: "List the caller's teams",
  responses: { 200: json(page(Team), "All of them, oldest first."), ...READ_PROBLEMS },
});
const createProjectRoute = createRoute({
  method: "post",
  path: "/v1/projects",
  operationId: "createProject",
  tags,
  security,
  summary: "Make a project",
  request: { headers: IdempotencyHeader, ...jsonBody(ProjectCreate) },
  responses: { 201: json(Project, "The project."), ...WRITE_PROBLEMS },
});
const listProjectsRoute = createRoute({
  method: "get",
  path: "/v1/projects",
  operationId: "listProjects",
  tags,
  security,
  summary: "List projects",
  request: { query: PageQuery },
  responses: { 200: json(page(Project), "A page of projects, newest first."), ...READ_PROBLEMS },
});

const renameTeamRoute = createRoute({
  method: "patch",
  path: "/v1/teams/{team}",
  operationId: "renameTeam",
  tags,
  security,
  summary: "Rename the team",
  description: "The team that the request is about. Apps keep the hostnames that they have.",
  request: {
    params: z.object({ team: z.string().min(1).max(64).meta({ description: "The team's id or slug." }) }),
    headers: IdempotencyHeader,
    ...jsonBody(TeamRename),
  },
  responses: { 200: json(Team, "The team as it is called now."), ...WRITE_PROBLEMS },
});

export const teams = newApi()
  .openapi(createTeamRoute, async (c) => {
    const input = c.req.valid("json");
    aboutDeed(c, { subject: input.slug });
    const act = async (id: string) =>
      unwrap(await createTeam(c.get("caller"), input, c.env, { id: id as TeamId, by: byOf(c) }));
    return c.json(await writeOnce(c, { operation: "team.create", input, prefix: "team", act }), 201);
  })
  .openapi(listTeamsRoute, async (c) => {
    return c.json({ items: unwrap(await listTeams(c.get("caller"), c.env)), nextCursor: null }, 200);
  })
  .openapi(renameTeamRoute, async (c) => {
    const { team: named } = c.req.valid("param");
    const input = c.req.valid("json");
    const { team } = c.get("caller");
    if (named !== team.id && named !== team.slug) fail("not_found", `The request is about no team ${named}.`);
    aboutDeed(c, { subject: team.id });
    unwrap(await renameTeam(databaseOf(c.env), { ...byOf(c), team: team.id, ...input }));
    return c.json({ ...team, name: input.name ?? team.name, slug: input.slug ?? team.slug }, 200);
  })
  .openapi(createProjectRoute, async (c) => {
    const input = c.req.valid("json");
    const { team } = c.get("caller");
    aboutDeed(c, { subject: input.name });
    const act = async (id: string) =>
      unwrap(
        await createProject(databaseOf(c.env), { ...byOf(c), id: id as ProjectId, team: team.id, name: input.name }),
      );
    return c.json(await writeOnce(c, { operation: "project.create", input, prefix: "proj", act }), 201);
  })
  .openapi(listProjectsRoute, async (c) => {
    const { team, subject } = c.get("caller");
    // A project is the team's, and what is in it is limited: so the limits say which ones there are.
    const within = projectsShown(subject, { resource: "app", action: "read" });
    return c.json(unwrap(await listProjects(databaseOf(c.env), team.id, c.req.valid("query"), within)), 200);
  });
