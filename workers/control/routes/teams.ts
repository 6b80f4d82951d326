// Teams of the caller, and the projects of the team that the request is about.
import { createRoute } from "@hono/zod-openapi";
import { page, PageQuery, Project, ProjectCreate, Team, TeamCreate } from "../../../contracts/api.ts";
import type { ProjectId, TeamId } from "../../../contracts/ids.ts";
import { createProject, listProjects } from "../../../db/queries/projects.ts";
import { createTeam, listTeams } from "../auth/index.ts";
import { newApi } from "../http/context.ts";
import { databaseOf } from "../http/database.ts";
import { writeOnce } from "../http/idempotency.ts";
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

export const teams = newApi()
  .openapi(createTeamRoute, async (c) => {
    const input = c.req.valid("json");
    const act = async (id: string) => unwrap(await createTeam(c.get("caller"), input, c.env, id as TeamId));
    return c.json(await writeOnce(c, { operation: "team.create", input, prefix: "team", act }), 201);
  })
  .openapi(listTeamsRoute, async (c) => {
    return c.json({ items: unwrap(await listTeams(c.get("caller"), c.env)), nextCursor: null }, 200);
  })
  .openapi(createProjectRoute, async (c) => {
    const input = c.req.valid("json");
    const { team, actor } = c.get("caller");
    const by = { actor, requestId: c.get("requestId") };
    const act = async (id: string) =>
      unwrap(await createProject(databaseOf(c.env), { ...by, id: id as ProjectId, team: team.id, name: input.name }));
    return c.json(await writeOnce(c, { operation: "project.create", input, prefix: "proj", act }), 201);
  })
  .openapi(listProjectsRoute, async (c) => {
    return c.json(unwrap(await listProjects(databaseOf(c.env), c.get("caller").team.id, c.req.valid("query"))), 200);
  });
